#include "tools/serve_worker.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <vector>

#include "core/assignment_stats_cache.hpp"
#include "core/warm_queue.hpp"
#include "tools/handover.hpp"
#include "tools/http/api_service.hpp"
#include "tools/http/audit_log.hpp"
#include "tools/http/control_service.hpp"
#include "tools/http/dashboard_service.hpp"
#include "tools/http/server.hpp"
#include "tools/http/snapshot_feed.hpp"
#include "tools/http/stats_service.hpp"
#include "tools/processors.hpp"
#include "tools/serve_status.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr rlim_t wanted_descriptors = 4'096;

// False: it is dead already.
bool die_with(pid_t supervisor) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    return ::getppid() == supervisor;
}

// Ctrl-C and a closed terminal reach the whole process group: the supervisor decides what comes of them.
void leave_signals_to_the_supervisor() {
    for (const int signal : {SIGINT, SIGHUP, SIGPIPE}) std::signal(signal, SIG_IGN);
}

void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted_descriptors) return;
    limit.rlim_cur = std::min(limit.rlim_max, wanted_descriptors);
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
}

// Up to the first descriptor that is none.
std::vector<int> inherited_listeners() {
    std::vector<int> listeners;
    for (int fd = inherited_listener_fd; fd < inherited_listener_fd + static_cast<int>(max_workers); ++fd) {
        int is_listening = 0;
        socklen_t size = sizeof is_listening;
        if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) != 0 || is_listening == 0) break;
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        listeners.push_back(fd);
    }
    return listeners;
}

Health health_of(const ServeStatus& status, const AssignmentStatsCache& stats) {
    if (status.draining.load(std::memory_order_relaxed) != 0) return Health::draining;
    if (status.started.load(std::memory_order_relaxed) == 0) return Health::starting;
    return stats.is_degraded() ? Health::degraded : Health::ok;
}

}  // namespace

int run_worker(const ServeConfig& config, const WorkerTicket& ticket) {
    if (!die_with(ticket.supervisor)) return kFailure;
    ::prctl(PR_SET_NAME, "larder");  // the kernel's would be `exe`, by the name it was started under
    leave_signals_to_the_supervisor();
    raise_descriptor_limit();
    const ServeStatusPage status = ServeStatusPage::inherited();

    Options options = config.cache;
    options.role = "worker";
    Cache cache = Cache::open(options);
    WarmQueue jobs(warm_queue_file(*config.database.database(), cache.segment_path()), cache.segment_path());
    StatsCacheOptions documents = config.documents;
    documents.warm_queue = &jobs;
    config.database.serve(documents, options.identity);
    AssignmentStatsCache stats(cache, config.database.sources(), documents);
    AuditLog audit(config.audit_log);
    std::optional<KeyRing> keys;
    if (!config.auth_key_file.empty()) keys = KeyRing::parse(Handover::inherited().key_file);
    StatsService pages(stats);
    ControlService control(stats, cache, jobs, audit);
    const auto relay_caught_up = [&status] { return status->relay_caught_up.load(std::memory_order_relaxed) != 0; };
    SnapshotFeed feed(options, config.database.sources(), jobs, relay_caught_up);
    DashboardService dashboard(options, keys.has_value(), jobs, feed, relay_caught_up);
    ApiService service(pages, control, dashboard);

    Server server({}, inherited_listeners(), service, keys ? &*keys : nullptr,
                  [&] { return health_of(*status.operator->(), stats); });
    const auto turned = [&] { status->turned_ms.at(ticket.slot).store(steady_ms(), std::memory_order_relaxed); };
    const auto ready = [&] {
        stay_on_own_processor(ticket.slot, config.workers);  // this thread: those that compute go where there is room
        turned();
        status->listening.at(ticket.slot).store(::getpid(), std::memory_order_relaxed);
    };
    const bool all_done = server.run(ready, turned);
    spdlog::default_logger()->flush();
    if (!all_done) std::_Exit(kOk);
    return kOk;
}

}  // namespace larder::tools
