#include "tools/http/dashboard_service.hpp"

#include <spdlog/spdlog.h>

#include <exception>
#include <map>
#include <utility>

#include "core/submission_source.hpp"
#include "shm/socket/listener_role.hpp"
#include "tools/http/metrics.hpp"
#include "tools/http/web_files.hpp"
#include "tools/inspection.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

// Nothing from elsewhere, nothing that stands in the page itself, no text that becomes markup.
constexpr const char* content_security_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

std::string with_token_mark(std::string page, bool needs_token) {
    constexpr std::string_view mark = "@TOKEN@";
    if (const std::size_t at = page.find(mark); at != std::string::npos)
        page.replace(at, mark.size(), needs_token ? "needed" : "none");
    return page;
}

std::string index_page(bool needs_token) {
    const WebFile* const file = find_web_file("/");
    return file == nullptr ? std::string() : with_token_mark(std::string(file->bytes), needs_token);
}

std::map<std::string, double> jobs_by_state(WarmQueue& queue) {
    std::map<std::string, double> states;
    for (const WarmJob::State state : {WarmJob::State::queued, WarmJob::State::running, WarmJob::State::done})
        states[std::string(name_of(state))] = 0;
    for (const WarmJob& job : queue.recent(WarmQueue::kept_jobs + WarmQueue::max_open_jobs))
        ++states[std::string(name_of(job.state))];
    return states;
}

}  // namespace

DashboardService::DashboardService(Options cache, bool needs_token, WarmQueue& jobs, SnapshotFeed& feed,
                                   std::function<bool()> relay_caught_up)
    : options_(std::move(cache)),
      index_(index_page(needs_token)),
      jobs_(jobs),
      feed_(feed),
      relay_caught_up_(std::move(relay_caught_up)) {}

std::optional<Answer> DashboardService::answer_at_once(const Call& call) {
    if (call.check_only) return Answer();
    if (call.endpoint == Endpoint::page) return page(*call.file);
    if (call.endpoint == Endpoint::events) return events(call.caller);
    return std::nullopt;
}

Answer DashboardService::answer(const Call& call) {
    if (call.endpoint != Endpoint::metrics) return *answer_at_once(call);
    try {
        return metrics();
    } catch (const std::exception& error) {
        spdlog::error("Metrics: {}", error.what());
        return error_answer(Fault::unavailable, "The cache cannot be read just now; the log of the service says why.");
    }
}

Answer DashboardService::page(const WebFile& file) const {
    Answer answer;
    answer.content_type = file.content_type;
    answer.text = file.path == "/" ? index_ : std::string(file.bytes);
    answer.headers.emplace_back("Content-Security-Policy", content_security_policy);
    answer.headers.emplace_back("X-Content-Type-Options", "nosniff");
    answer.headers.emplace_back("Referrer-Policy", "no-referrer");
    return answer;
}

Answer DashboardService::events(const Caller& caller) {
    std::shared_ptr<EventStream> stream = feed_.watch(caller);
    if (stream == nullptr) return error_answer(Fault::unavailable, "Too many dashboards watch this worker already.");
    Answer answer;
    answer.content_type = "text/event-stream";
    answer.headers.emplace_back("X-Accel-Buffering", "no");  // what stands between passes it on at once
    answer.events = std::move(stream);
    return answer;
}

Answer DashboardService::metrics() {
    const Inspection inspection = inspect(options_);
    MetricsBeside beside{.cache = inspection.location.name,
                         .relay_caught_up = relay_caught_up_(),
                         .listening = shm::somebody_listens(inspection.location.listen_path()),
                         .jobs = {},
                         .now_ns = segment_now_ns()};
    try {
        beside.jobs = jobs_by_state(jobs_);
    } catch (const SourceError& error) {
        spdlog::debug("Metrics: {}", error.what());
    }
    Answer answer;
    answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
    answer.text = metrics_text(inspection.view(), beside);
    return answer;
}

}  // namespace larder::tools
