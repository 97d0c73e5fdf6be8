// What a client of the invalidation socket sends, in pieces of any size: lines, requests, answers.
//
//     size of the pieces, less 1: u8, then what is sent
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "shm/layout.hpp"
#include "shm/socket/line_buffer.hpp"
#include "shm/socket/notice_sink.hpp"
#include "shm/socket/protocol.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace larder;
using namespace larder::fuzz;
using namespace larder::shm;

namespace {

/// Checks what it is told; every seventh call finds the segment replaced.
class CheckingSink final : public NoticeSink {
public:
    std::uint64_t invalidate(std::span<const std::string_view> keys) override {
        require(!keys.empty(), "an invalidation names a key");
        for (const std::string_view key : keys) check(key, kMaxKeyBytes);
        return ++notice_;
    }
    std::uint64_t invalidate_tag(std::string_view tag) override {
        check(tag, kMaxTagBytes);
        return ++notice_;
    }
    std::uint64_t invalidate_namespace(std::string_view name) override {
        check(name, kMaxKeyBytes);
        require(name.find(':') == std::string_view::npos, "a namespace has no colon");
        return ++notice_;
    }
    std::uint64_t invalidate_all() override { return ++notice_; }
    std::string stat_json() override { return "{\n\"notice\": " + std::to_string(++notice_) + "\r\n}"; }
    bool still_current() override { return notice_ % 7 != 3; }

private:
    static void check(std::string_view name, std::size_t most) {
        require(!name.empty() && name.size() <= most, "a name has its length");
    }
    std::uint64_t notice_ = 0;
};

void check_request(std::string_view line) {
    const ParsedLine parsed = parse_request(line);
    require(parsed.request.has_value() == parsed.error.empty(), "a line is a request or an error");
    if (!parsed.request) return;
    const std::vector<std::string_view> args(parsed.request->args.begin(), parsed.request->args.end());
    const ParsedLine again = parse_request(request_line(parsed.request->verb, args));
    require(again.request && again.request->verb == parsed.request->verb && again.request->args == parsed.request->args,
            "a request is read as it was written");
}

void check_answer(std::string_view answer) {
    require(!answer.empty() && answer.back() == '\n', "an answer is a line");
    answer.remove_suffix(1);
    for (const char c : answer) require(c != '\n' && c != '\r', "an answer is one line");
    require(parse_answer(answer).has_value(), "an answer is one of the protocol's");
}

/// All answers to `sent`, as a session gives them.
std::string converse(std::string_view sent, std::size_t piece) {
    CheckingSink sink;
    LineBuffer input(kMaxLineBytes);
    std::string answers;
    while (!input.finished()) {
        const std::string_view some = sent.substr(0, piece);
        sent.remove_prefix(some.size());
        const std::span<char> room = input.room(piece);
        std::copy(some.begin(), some.end(), room.begin());
        input.commit(some.size());
        if (some.empty()) input.finish();
        std::string_view line;
        for (LineBuffer::Found found; (found = input.next(line)) != LineBuffer::Found::nothing;) {
            if (found == LineBuffer::Found::too_long) return answers + "too long";
            require(line.size() <= kMaxLineBytes && line.find('\n') == std::string_view::npos, "a line is a line");
            check_request(line);
            const std::string answer = answer_to(line, sink);
            check_answer(answer);
            answers += answer;
        }
    }
    return answers;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes input(data, size);
    const std::size_t piece = input.byte() + std::size_t{1};
    const std::string_view sent = input.rest();
    require(converse(sent, piece) == converse(sent, sent.size() + 1), "answers do not depend on the pieces");
    require(decode_argument(encode_argument(sent)) == sent, "an argument is read as it was written");
    parse_answer(sent);
    return 0;
}
