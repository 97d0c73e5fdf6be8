// RelayThread: the outbox of a database, relayed for as long as a service runs; of several services on one cache, one
// does.
#pragma once

#include <atomic>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "core/assignment_notices.hpp"
#include "core/database.hpp"
#include "shm/cache.hpp"

namespace larder::tools {

/// The role is an flock on the cache's segment file, through a descriptor of its own: such a lock disturbs nobody's
/// record locks, and the kernel takes it back when the process dies. (Two relays would be safe, but each would take the
/// other's deletions for missed changes and announce everything.)
class RelayThread {
public:
    /// Throws std::system_error when the segment file cannot be opened.
    RelayThread(std::shared_ptr<const Database> database, Cache cache,
                AssignmentNotices::OnPublished on_published = {});
    ~RelayThread();
    RelayThread(const RelayThread&) = delete;
    RelayThread& operator=(const RelayThread&) = delete;

    /// Everything in the outbox was told, by this service or by the one that has the role. Any thread.
    bool caught_up() const;
    /// The database lies behind a network.
    bool is_remote() const { return database_->is_remote(); }

private:
    void run(const std::stop_token& stop);
    void await_role(const std::stop_token& stop);
    bool another_has_told_all();

    const std::shared_ptr<const Database> database_;
    const Cache cache_;
    AssignmentNotices notices_;
    int role_fd_ = -1;
    std::unique_ptr<Relay> relay_;                  // the thread's
    std::atomic<const Relay*> published_{nullptr};  // the same, once it is there; it stays
    std::atomic<bool> another_has_told_all_{false};
    std::jthread thread_;  // the last member: it ends first
};

/// Some RelayThread of the host has the role for this cache. Throws std::system_error as above.
bool somebody_relays(const Cache& cache);

}  // namespace larder::tools
