#include "tools/http/stats_service.hpp"

#include <spdlog/spdlog.h>

#include <exception>
#include <string>
#include <utility>

#include "core/hit_rate.hpp"
#include "core/rare_line.hpp"

namespace larder::tools {
namespace {

Answer unknown_assignment() { return error_answer(Fault::not_found, "There is no such assignment."); }

std::optional<Answer> refusal(Access access) {
    if (access == Access::not_found) return unknown_assignment();
    if (access != Access::forbidden) return std::nullopt;
    Answer answer = error_answer(Fault::forbidden, "Only the author of this assignment may see its statistics.");
    answer.refusal = "it is another author's";
    return answer;
}

Answer document_answer(Document document, bool is_degraded) {
    Answer answer;
    answer.headers.emplace_back("X-Cache", std::string(name_of(document.state)) + (is_degraded ? "; degraded" : ""));
    answer.stale = document.state == DocumentState::stale;
    answer.document = std::move(document.bytes);
    return answer;
}

void log_failure(AssignmentId id, const char* why) {
    static RareLine line;
    if (const auto text = line.worth_writing(fmt::format("Assignment {}: {}", id, why))) spdlog::error("{}", *text);
}

/// What goes wrong is an answer, too.
template <class Work>
auto guarded(AssignmentId id, Work work) -> decltype(work()) {
    try {
        return work();
    } catch (const SourceError& error) {
        log_failure(id, error.what());
    } catch (const ComputeFailed& error) {
        log_failure(id, error.what());
    } catch (const std::exception& error) {
        log_failure(id, error.what());
        return error_answer(Fault::internal, "Something went wrong; the log of the service says what.");
    }
    return error_answer(Fault::unavailable, "The database cannot be read just now; try again in a moment.");
}

}  // namespace

std::optional<Answer> StatsService::answer_at_once(const Call& call) {
    return guarded(call.id, [&]() -> std::optional<Answer> {
        const std::optional<Access> access = stats_.access().check_cached(call.caller, call.id);
        if (!access) return std::nullopt;
        if (std::optional<Answer> refused = refusal(*access)) return refused;
        if (call.check_only) return Answer();
        if (call.endpoint == Endpoint::hit_rate) return hit_rate(call.id);
        std::optional<Document> document = stats_.find(call.id);
        return document ? std::optional(document_answer(std::move(*document), stats_.is_degraded())) : std::nullopt;
    });
}

Answer StatsService::answer(const Call& call) {
    return guarded(call.id, [&]() -> Answer {
        if (std::optional<Answer> refused = refusal(stats_.access().check(call.caller, call.id)))
            return std::move(*refused);
        if (call.check_only) return {};
        if (call.endpoint == Endpoint::hit_rate) return hit_rate(call.id);
        std::optional<Document> document = stats_.get_or_calculate(call.id);
        return document ? document_answer(std::move(*document), stats_.is_degraded()) : unknown_assignment();
    });
}

void StatsService::refresh(const Call& call) noexcept {
    static_cast<void>(guarded(call.id, [&] {
        stats_.refresh(call.id);
        return Answer();
    }));
}

Answer StatsService::hit_rate(AssignmentId id) const { return json_answer(to_json(stats_.hit_rate(id))); }

}  // namespace larder::tools
