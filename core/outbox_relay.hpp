// OutboxRelay: what the triggers wrote into the outbox, turned into notices.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/relay.hpp"

namespace larder {

/// Invariants:
///  1. A row is deleted only after the sink was told of it; whoever is killed in between tells it again.
///  2. Writers of SQLite take turns, so numbers are committed in their order: all rows up to the highest one read are
///  known.
///  3. Numbers have no gaps (AUTOINCREMENT; a rollback takes them back). A missing one was taken away by another relay
///  (a
///     second cache on this database) or by hand: then everything is announced, rather than one change too few.
/// Threads: one, but for caught_up. Fork: make it after the fork; it has a connection of its own.
class OutboxRelay final : public Relay {
public:
    static constexpr std::chrono::milliseconds poll_interval{10};
    static constexpr std::chrono::milliseconds retry_interval{200};  ///< after an error
    static constexpr int default_batch_rows = 250'000;               ///< told at once, each assignment among them once

    /// Throws SourceError when the database cannot be opened. The sink outlives the relay.
    OutboxRelay(std::string database_path, NoticeSink& sink, Log log, int batch_rows = default_batch_rows);
    ~OutboxRelay() override;
    OutboxRelay(const OutboxRelay&) = delete;
    OutboxRelay& operator=(const OutboxRelay&) = delete;

    /// One step: looks whether another connection has committed, tells the sink of at most `batch_rows` rows, deletes
    /// some that were told. Once a second it looks whether the path still leads to the file that is open. Returns how
    /// many rows it told. Cheap when nothing has changed; waits for no lock longer than a few
    /// milliseconds, rows that it could not delete yet go with a later step. Throws SourceError.
    int poll() override;

    void run(std::stop_token stop) override;
    bool caught_up() const override { return caught_up_.load(std::memory_order_acquire); }

private:
    struct Connection;
    struct Batch;
    bool adopt_position();
    bool was_replaced();
    int tell(const Batch& batch);
    void sweep();
    void reopen();

    std::string path_;
    NoticeSink& sink_;
    Log log_;
    const int batch_rows_;
    std::unique_ptr<Connection> connection_;
    OutboxPosition told_;
    bool lost_ = true;                // the sink knows no position in this database: all may have changed
    std::int64_t seen_version_ = -1;  // of PRAGMA data_version, when the outbox was last read to its end
    bool swept_ = false;              // no row up to told_ is left
    int steps_since_sweep_ = 0;
    std::chrono::steady_clock::time_point file_looked_at_;
    std::atomic<bool> caught_up_{false};
};

/// The sink was told of everything that is in the outbox, by whomever. Throws SourceError.
bool is_told(const std::string& database_path, NoticeSink& sink);

}  // namespace larder
