// ServeStatus: the page of memory in which a supervisor and its workers tell each other how they stand.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>

#include "tools/serve_config.hpp"

namespace larder::tools {

/// Shared between the processes; each field is a flag by itself and orders nothing else. A stale read costs one answer
/// of /healthz.
struct ServeStatus {
    std::atomic<std::uint32_t> relay_caught_up{0};            ///< written by the supervisor
    std::atomic<std::uint32_t> started{0};                    ///< written by the supervisor: see Start
    std::atomic<std::uint32_t> draining{0};                   ///< written by the supervisor
    std::array<std::atomic<pid_t>, max_workers> listening{};  ///< by slot: the worker that takes connections; 0: none
    std::array<std::atomic<std::int64_t>, max_workers> turned_ms{};  ///< by slot: when its thread last turned, steady
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<pid_t>::is_always_lock_free &&
                  std::atomic<std::int64_t>::is_always_lock_free,
              "a lock of one process is none for the others");

/// Now, for turned_ms: the same clock in all processes.
std::int64_t steady_ms();

/// The page, mapped from an anonymous file. Owns the mapping and the descriptor.
class ServeStatusPage {
public:
    /// Where workers find the file.
    static constexpr int inherited_fd = 3;

    /// A new page. Throws std::system_error.
    static ServeStatusPage create();
    /// The supervisor's, in a worker. Throws std::system_error.
    static ServeStatusPage inherited();

    ServeStatusPage(ServeStatusPage&& other) noexcept;
    ServeStatusPage& operator=(ServeStatusPage&&) = delete;
    ~ServeStatusPage();

    ServeStatus* operator->() const { return status_; }
    int fd() const { return fd_; }

private:
    explicit ServeStatusPage(int fd);
    int fd_;
    ServeStatus* status_;
};

}  // namespace larder::tools
