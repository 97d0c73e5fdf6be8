#include "tools/http/stats_service.hpp"

#include <spdlog/spdlog.h>

#include <exception>
#include <string>
#include <utility>

#include "core/cache_keys.hpp"
#include "core/hit_rate.hpp"

namespace larder::tools {
namespace {

Answer unknown_assignment() { return error_answer(Fault::not_found, "There is no such assignment."); }

}  // namespace

// Asks what the answer will ask, without counting. A stale document is not ready: whoever asks for it computes.
bool StatsService::is_ready(const Call& call) const {
    const State access = cache_.peek(access_key(call.assignment_id)).state();
    if (access == State::negative) return true;
    if (access != State::live) return false;
    return call.check_only || call.endpoint != Endpoint::analytics ||
           cache_.peek(stats_key(call.assignment_id)).state() == State::live;
}

Answer StatsService::answer(const Call& call) {
    try {
        return answer_or_throw(call);
    } catch (const SourceError& error) {
        spdlog::error("Assignment {}: {}", call.assignment_id, error.what());
    } catch (const ComputeFailed& error) {
        spdlog::error("Assignment {}: {}", call.assignment_id, error.what());
    } catch (const std::exception& error) {
        spdlog::error("Assignment {}: {}", call.assignment_id, error.what());
        return error_answer(Fault::internal, "Something went wrong; the log of the service says what.");
    }
    return error_answer(Fault::unavailable, "The database cannot be read just now; try again in a moment.");
}

Answer StatsService::answer_or_throw(const Call& call) {
    switch (stats_.access().check(call.caller, call.assignment_id)) {
    case Access::not_found:
        return unknown_assignment();
    case Access::forbidden:
        return error_answer(Fault::forbidden, "Only the author of this assignment may see its statistics.");
    case Access::ok:
        break;
    }
    if (call.check_only) return {};
    if (call.endpoint == Endpoint::hit_rate) return json_answer(to_json(stats_.hit_rate(call.assignment_id)));
    return analytics(call.assignment_id);
}

Answer StatsService::analytics(AssignmentId id) {
    std::optional<Document> document = stats_.get_or_calculate(id);
    if (!document) return unknown_assignment();
    Answer answer;
    answer.headers.emplace_back("X-Cache", std::string(name_of(document->state)));
    answer.document = std::move(document->bytes);
    return answer;
}

}  // namespace larder::tools
