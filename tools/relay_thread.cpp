#include "tools/relay_thread.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <system_error>
#include <utility>

#include "core/outbox_relay.hpp"
#include "core/repeated_error.hpp"
#include "tools/serve_config.hpp"

namespace larder::tools {
namespace {

constexpr std::chrono::milliseconds role_interval{20};  // a change waits for it when a relay has died
constexpr int looks_a_check = 5;                        // whether the one that has it is behind
constexpr std::chrono::milliseconds retry_interval{200};

int open_segment_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw std::system_error(errno, std::generic_category(), path);
    return fd;
}

}  // namespace

RelayThread::RelayThread(std::shared_ptr<const Database> database, Cache cache,
                         AssignmentNotices::OnPublished on_published)
    : database_(std::move(database)),
      cache_(cache),
      notices_(cache, core_log(), std::move(on_published)),
      role_fd_(open_segment_file(cache.segment_path())),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

RelayThread::~RelayThread() {
    thread_ = {};  // stopped and waited for
    ::close(role_fd_);
}

bool RelayThread::caught_up() const {
    const Relay* const relay = published_.load(std::memory_order_acquire);  // pairs with the release in run
    return another_has_told_all_.load(std::memory_order_relaxed) || (relay != nullptr && relay->caught_up());
}

void RelayThread::await_role(const std::stop_token& stop) {
    for (int look = 0; !stop.stop_requested() && ::flock(role_fd_, LOCK_EX | LOCK_NB) != 0; ++look) {
        if (look % looks_a_check == 0) another_has_told_all_.store(another_has_told_all(), std::memory_order_relaxed);
        std::this_thread::sleep_for(role_interval);
    }
    another_has_told_all_.store(false, std::memory_order_relaxed);
}

bool RelayThread::another_has_told_all() {
    if (database_->is_remote()) {
        const std::optional<SyncState> state = cache_.sync_state();
        return state && !state->degraded;
    }
    try {
        return is_told(database_->file(), notices_);
    } catch (const SourceError& error) {
        spdlog::debug("Outbox relay: {}", error.what());
        return false;
    }
}

void RelayThread::run(const std::stop_token& stop) {
    await_role(stop);
    RepeatedError repeated;
    while (!stop.stop_requested()) {
        try {
            relay_ = database_->open_relay(notices_, core_log());
            published_.store(relay_.get(), std::memory_order_release);
            return relay_->run(stop);
        } catch (const std::exception& error) {
            if (repeated.is_news(error.what())) spdlog::error("Outbox relay: {}", error.what());
            std::this_thread::sleep_for(retry_interval);
        }
    }
}

bool somebody_relays(const Cache& cache) {
    const int fd = open_segment_file(cache.segment_path());
    const bool taken = ::flock(fd, LOCK_SH | LOCK_NB) != 0;
    ::close(fd);
    return taken;
}

}  // namespace larder::tools
