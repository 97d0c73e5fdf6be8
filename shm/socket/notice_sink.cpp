#include "shm/socket/notice_sink.hpp"

#include <exception>
#include <vector>

#include "shm/socket/protocol.hpp"

namespace larder::shm {
namespace {

constexpr int kAttempts = 4;  // a segment is replaced by hand; more often than this within one request is a fault

std::string apply(const Request& request, NoticeSink& sink) {
    switch (request.verb) {
    case Verb::invalidate: {
        const std::vector<std::string_view> keys(request.args.begin(), request.args.end());
        return ok_answer(keys.size(), sink.invalidate(keys));
    }
    case Verb::invalidate_tag:
        return ok_answer(sink.invalidate_tag(request.args.front()));
    case Verb::invalidate_namespace:
        return ok_answer(sink.invalidate_namespace(request.args.front()));
    case Verb::invalidate_all:
        return ok_answer(sink.invalidate_all());
    case Verb::ping:
        return ok_answer();
    case Verb::stat:
        return ok_answer(std::string_view(sink.stat_json()));
    }
    return error_answer("this verb is not served");
}

}  // namespace

std::string answer_to(std::string_view line, NoticeSink& sink) {
    const ParsedLine parsed = parse_request(line);
    if (!parsed.request) return error_answer(parsed.error);
    try {
        for (int attempt = 0; attempt < kAttempts; ++attempt) {
            std::string answer = apply(*parsed.request, sink);
            if (sink.still_current()) return answer;
        }
        return error_answer("not applied, the cache is being replaced; send the line again");
    } catch (const std::exception& problem) {
        return error_answer(std::string("not applied, send the line again: ") + problem.what());
    }
}

}  // namespace larder::shm
