#include "tools/http/control_service.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/cache_keys.hpp"
#include "shm/socket/protocol.hpp"
#include "tools/http/json_request.hpp"
#include "tools/http/token.hpp"

namespace larder::tools {
namespace {

constexpr unsigned status_accepted = 202;
constexpr std::int64_t max_batch_size = WarmQueue::max_batch_size;

std::string name_of(const Call& call) { return tools::name_of(call.caller) + " at " + call.client; }

std::size_t take_batch_size(JsonRequest& request) {
    const std::int64_t size = request.take_number("batch_size").value_or(10);
    if (size < 1 || size > max_batch_size)
        throw BadRequest(fmt::format("`batch_size` is a number from 1 to {}.", max_batch_size));
    return static_cast<std::size_t>(size);
}

/// What is to be announced: in words for the audit log, and how.
struct Change {
    std::string what;
    std::function<std::uint64_t()> announce;
};

std::string checked(shm::Verb verb, std::string name) {
    const std::string_view names[] = {name};
    if (const std::string refusal = shm::refusal_of(verb, names); !refusal.empty()) throw BadRequest(refusal + ".");
    return name;
}

Change by_tag(Cache& cache, std::string tag) {
    tag = checked(shm::Verb::invalidate_tag, std::move(tag));
    return {"tag " + tag, [&cache, tag] { return cache.invalidate_tag(tag); }};
}

Change by_namespace(Cache& cache, std::string name) {
    if (!name.empty() && name.back() == ':') name.pop_back();
    name = checked(shm::Verb::invalidate_namespace, std::move(name));
    return {"namespace " + name, [&cache, name] { return cache.invalidate_namespace(name); }};
}

/// Exactly one way of naming it.
Change change_of(JsonRequest request, Cache& cache, AssignmentStatsCache& stats) {
    std::vector<Change> changes;
    if (const auto ids = request.take_ids("ids"))
        changes.push_back({fmt::format("assignments {}", fmt::join(*ids, ", ")),
                           [&stats, ids = *ids] { return stats.invalidate_assignments(ids); }});
    if (const auto author = request.take_id("author")) changes.push_back(by_tag(cache, author_tag(*author)));
    if (const auto course = request.take_text("course")) changes.push_back(by_tag(cache, course_tag(*course)));
    if (const auto tag = request.take_text("tag")) changes.push_back(by_tag(cache, *tag));
    if (const auto name = request.take_text("namespace")) changes.push_back(by_namespace(cache, *name));
    if (request.take_true("all")) changes.push_back({"everything", [&cache] { return cache.invalidate_all(); }});
    request.refuse_rest();
    if (changes.size() != 1)
        throw BadRequest("Name exactly one of `ids`, `author`, `course`, `tag`, `namespace` and `all`.");
    return std::move(changes.front());
}

template <class Work>
Answer guarded(Work work) {
    try {
        return work();
    } catch (const BadRequest& error) {
        return error_answer(Fault::bad_request, error.what());
    } catch (const SourceError& error) {
        spdlog::error("{}", error.what());
        return error_answer(Fault::unavailable, "The database cannot be used just now; try again in a moment.");
    } catch (const std::exception& error) {
        spdlog::error("{}", error.what());
        return error_answer(Fault::internal, "Something went wrong; the log of the service says what.");
    }
}

}  // namespace

std::optional<Answer> ControlService::answer_at_once(const Call& call) {
    if (call.check_only) return Answer();
    if (call.endpoint != Endpoint::invalidate) return std::nullopt;
    return guarded([&] { return invalidate(call); });
}

Answer ControlService::answer(const Call& call) {
    return guarded([&]() -> Answer {
        switch (call.endpoint) {
        case Endpoint::invalidate:
            return invalidate(call);
        case Endpoint::job:
            return job(call.id);
        case Endpoint::jobs:
            return jobs();
        default:
            return warm(call);
        }
    });
}

Answer ControlService::warm(const Call& call) {
    JsonRequest request(call.body);
    const std::size_t batch_size = take_batch_size(request);
    const auto ids = call.endpoint == Endpoint::warm ? request.take_ids("ids") : std::nullopt;
    request.refuse_rest();
    if (call.endpoint == Endpoint::warm && !ids) throw BadRequest("Name the assignments: `{\"ids\": [1, 2]}`.");
    const WarmResult result = ids ? stats_.warm(*ids, batch_size) : stats_.warm_teacher(call.id, batch_size);
    if (result.refused)
        return error_answer(Fault::unavailable, "The queue of warming jobs is full; try again when some have ended.");
    Answer answer = json_answer(to_json(result));
    if (!result.async_scheduled) return answer;
    answer.status = status_accepted;
    if (result.job_id) answer.headers.emplace_back("Location", fmt::format("/api/cache/jobs/{}", *result.job_id));
    return answer;
}

Answer ControlService::invalidate(const Call& call) {
    const Change change = change_of(JsonRequest(call.body), cache_, stats_);
    const std::uint64_t notice = change.announce();
    audit_.note(name_of(call), change.what, notice);
    return json_answer(fmt::format(R"({{"notice":{}}})", notice));
}

Answer ControlService::job(WarmJobId id) {
    const std::optional<WarmJob> found = jobs_.find(id);
    return found ? json_answer(to_json(*found)) : error_answer(Fault::not_found, "There is no such job.");
}

Answer ControlService::jobs() {
    std::string text = "{\"jobs\":[";
    for (const WarmJob& job : jobs_.recent(shown_jobs)) text += (text.back() == '[' ? "" : ",") + to_json(job);
    return json_answer(text + "]}");
}

}  // namespace larder::tools
