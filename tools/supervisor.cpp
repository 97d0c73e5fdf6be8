#include "tools/supervisor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <spdlog/spdlog.h>
#include <sys/vfs.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shm/segment.hpp"
#include "shm/socket/protocol.hpp"
#include "tools/handover.hpp"
#include "tools/http/audit_log.hpp"
#include "tools/http/key_ring.hpp"
#include "tools/http/listen_address.hpp"
#include "tools/kept_geometry.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/port_file.hpp"
#include "tools/relay_thread.hpp"
#include "tools/reload.hpp"
#include "tools/serve_status.hpp"
#include "tools/service_manager.hpp"
#include "tools/settings.hpp"
#include "tools/verbs.hpp"
#include "tools/warm_thread.hpp"
#include "tools/worker_crew.hpp"

namespace larder::tools {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds tick_interval{50};
constexpr milliseconds drain_limit{5'000};
constexpr milliseconds relay_patience{2'000};  // a bulk change takes a while to be told, and is no reason for 503

// Blocked in every thread made from now on; the main thread takes them one by one. A worker's death is reported by
// SIGCHLD.
sigset_t take_over_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::sigaddset(&signals, signal);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return signals;
}

// The signal; below 0: none came.
int wait_for_signal(const sigset_t& signals, milliseconds limit) {
    const timespec time{.tv_sec = limit.count() / 1000, .tv_nsec = limit.count() % 1000 * 1'000'000};
    return ::sigtimedwait(&signals, nullptr, &time);
}

bool wants_end(int signal, Reloader& reloader) {
    if (signal == SIGHUP) reloader.ask(Clock::now());
    return signal == SIGTERM || signal == SIGINT || reloader.terminal_has_closed(Clock::now());
}

/// A request of the socket, in the words of the other invalidations.
std::string in_words(std::string_view request) {
    const shm::ParsedLine parsed = shm::parse_request(request);
    if (!parsed.request) return std::string(request);
    switch (parsed.request->verb) {
    case shm::Verb::invalidate_tag:
        return "tag " + parsed.request->args.front();
    case shm::Verb::invalidate_namespace:
        return "namespace " + parsed.request->args.front();
    case shm::Verb::invalidate_all:
        return "everything";
    default:
        return fmt::format("{}", fmt::join(parsed.request->args, ", "));
    }
}

ListenAddress checked_address(const ServeConfig& config, const shm::system::Descriptor& passed_listener) {
    try {
        if (!passed_listener.is_open()) return served_address(config.listen, config.auth_key_file);
        const ListenAddress address = ListenAddress::of_socket(passed_listener.number());
        refuse_open_house(address, config.auth_key_file);
        return address;
    } catch (const AddressError& error) {
        throw UsageError(fmt::format("{}: {}", name_for("listen", config.listen), error.what()));
    }
}

/// Variables are meant for new caches alone.
std::vector<std::string_view> geometry_asked_for() {
    std::vector<std::string_view> rows;
    for (const Setting& setting : settings_in_use().settings)
        if (setting.row->group == OptionGroup::geometry &&
            (setting.origin == Origin::flag || setting.origin == Origin::file))
            rows.push_back(setting.row->name);
    return rows;
}

void warn_about(const ServeConfig& config, const Cache& cache) {
    const shm::Segment segment = shm::Segment::attach_read_only(cache.segment_path());
    if (const std::string warning = kept_warning(geometry_asked_for(), config.cache, *segment.view().geometry);
        !warning.empty())
        spdlog::warn("{}", warning);
    struct statfs status {};
    if (::statfs(cache.segment_path().c_str(), &status) == 0 && status.f_type != TMPFS_MAGIC)
        spdlog::warn(
            "{} is not on tmpfs: the cache is slower there, and disk is written; set LARDER_DIR to a directory below "
            "/dev/shm or /run",
            cache.segment_path());
    if (config.auth_key_file.empty())
        spdlog::warn("No --auth-key-file: everybody on this host is let in and may see every assignment");
}

Handover handover_of(const ServeConfig& config) {
    return {.file = settings_in_use().file,
            .key_file = config.auth_key_file.empty() ? std::string() : KeyRing::read_file(config.auth_key_file),
            .schema = config.database.schema_text(),
            .identity = config.cache.identity};
}

void drain(WorkerCrew& workers, WarmThread& warming, const ServeStatusPage& status, const sigset_t& signals) {
    spdlog::info("Ending: requests that have begun are finished");
    warming.request_stop();
    notify_stopping();
    status->draining.store(1, std::memory_order_relaxed);
    workers.close_listeners();
    workers.signal_all(SIGTERM);
    const auto deadline = Clock::now() + drain_limit;
    bool hurry = false;
    while (workers.any_alive() && !hurry && Clock::now() < deadline) {
        const int signal = wait_for_signal(signals, tick_interval);
        hurry = signal == SIGTERM || signal == SIGINT;
        workers.reap(Clock::now());
    }
    workers.signal_all(SIGKILL);
    while (workers.any_alive() && Clock::now() < deadline + drain_limit) {
        workers.reap(Clock::now());
        wait_for_signal(signals, milliseconds{10});
    }
}

/// What is served is current. A file is always at hand: as long as its relay is behind, nothing is served. What lies
/// behind a network may be away while others serve: who has caught up once, or waited for `relay_patience`, says that
/// he is degraded, and goes on.
class Start {
public:
    explicit Start(bool is_remote) : is_remote_(is_remote) {}
    bool is_over(bool caught_up) {
        is_over_ = is_remote_ && (is_over_ || caught_up || Clock::now() - begun_ > relay_patience);
        return is_over_ || caught_up;
    }

private:
    const bool is_remote_;
    const Clock::time_point begun_ = Clock::now();
    bool is_over_ = false;
};

// False: no worker ever came to listen.
bool supervise(PortFile& port_file, const ListenAddress& address, WorkerCrew& workers, const ServeStatusPage& status,
               const RelayThread& relay, Reloader& reloader, const sigset_t& signals) {
    ServiceManager service_manager;
    Start start(relay.is_remote());
    bool announced = false;
    Clock::time_point caught_up_at{};
    do {
        workers.reap(Clock::now());
        workers.start_due(Clock::now());
        reloader.step(workers, Clock::now());
        if (relay.caught_up()) caught_up_at = Clock::now();
        const bool caught_up = Clock::now() - caught_up_at < relay_patience;
        status->relay_caught_up.store(caught_up ? 1 : 0, std::memory_order_relaxed);
        const bool started = start.is_over(caught_up);
        status->started.store(started ? 1 : 0, std::memory_order_relaxed);
        service_manager.tell({workers.size(), workers.listening(), caught_up, started}, Clock::now());
        if (!announced && workers.any_listening()) {
            port_file.publish(address.port());
            announce(LogLevel::info, "listening on " + address.url());
            announced = true;
        }
        if (!announced && workers.deaths() >= BackOff::patient_deaths) return false;
    } while (!wants_end(wait_for_signal(signals, announced ? tick_interval : tick_interval / 5), reloader));
    return true;
}

// Whatever ends it, requests that have begun are finished.
bool supervise_and_drain(PortFile& port_file, const ListenAddress& address, WorkerCrew& workers, WarmThread& warming,
                         const ServeStatusPage& status, const RelayThread& relay, Reloader& reloader,
                         const sigset_t& signals) try {
    const bool served = supervise(port_file, address, workers, status, relay, reloader, signals);
    drain(workers, warming, status, signals);
    return served;
} catch (...) {
    drain(workers, warming, status, signals);
    throw;
}

}  // namespace

int run_supervisor(ServeConfig config) {
    const shm::system::Descriptor passed_listener = take_passed_listener();
    ListenAddress address = checked_address(config, passed_listener);
    const ServeStatusPage status = ServeStatusPage::create();
    Handover handover = handover_of(config);
    config.database.check();
    if (config.warm_on_publish) config.database.check_publications();
    AuditLog audit(config.audit_log);
    std::optional<PortReservation> reservation;
    if (!passed_listener.is_open()) reservation.emplace(address);
    PortFile port_file(config.port_file);
    const sigset_t signals = take_over_signals();

    config.cache.role = "supervisor";
    config.cache.listen = true;
    config.cache.on_socket_notice = [&audit](const SocketNotice& notice) {
        audit.note(fmt::format("uid {}, process {}", notice.uid, notice.pid), in_words(notice.request), notice.number);
    };
    Cache cache = Cache::open(config.cache);
    warn_about(config, cache);
    WarmThread warming(config, cache);
    AssignmentNotices::OnPublished on_published;
    if (config.warm_on_publish)
        on_published = [&warming](std::span<const AssignmentId> ids) { warming.warm_published(ids); };
    const RelayThread relay(config.database.database(), cache, on_published);
    WorkerCrew workers(config.workers, address, status, handover, passed_listener.number());
    Reloader reloader(address, std::move(handover), [&](const SettingText& text_of) {
        ServeConfig fresh = config.reloaded(text_of);
        fresh.cache.listen = false;  // `cache` does
        warming.reload(fresh, Cache::open(fresh.cache));
        audit.write_to(fresh.audit_log);
    });
    const bool served = supervise_and_drain(port_file, address, workers, warming, status, relay, reloader, signals);
    if (!served) throw Refusal(kFailure, "no worker could start; the lines above say why");
    return kOk;
}

}  // namespace larder::tools
