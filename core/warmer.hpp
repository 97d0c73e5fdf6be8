// Warmer: fills the cache before anybody asks, at once when it is quick, else in the background.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/assignment.hpp"
#include "core/log.hpp"

namespace larder {

class WarmQueue;

/// What came of one `warm`. When async_scheduled, what is neither warmed nor failed is a job: it says how it stands,
/// where it has a number, and the log how it ended.
struct WarmResult {
    std::size_t total = 0, warmed = 0, failed = 0;
    bool async_scheduled = false;
    bool refused = false;  ///< the queue is full
    std::optional<std::int64_t> job_id;
    std::chrono::duration<double> duration{0};
};

/// `{ total, warmed, failed, async_scheduled, duration_seconds }`, and job_id where there is one.
std::string to_json(const WarmResult& result);

/// Fills one entry; false, or an exception: it failed.
using WarmOne = std::function<bool(AssignmentId)>;
/// unavailable: so would any other be now.
enum class WarmOutcome : std::uint8_t { warmed, failed, unavailable };
/// The same without an exception, which goes to the log.
WarmOutcome warm_quietly(const WarmOne& warm_one, const Log& log, AssignmentId id);
void log_warming_complete(const Log& log, std::size_t warmed, std::size_t failed);

/// Threads: safe. Fork: a child has a background thread of its own, from its first job on; jobs stay with the parent.
/// Its end waits for the assignment that is being computed, and drops the rest.
class Warmer {
public:
    static constexpr std::chrono::milliseconds default_estimate{500};  ///< of an assignment, until one was measured
    static constexpr std::chrono::milliseconds at_once_limit{2'000};
    static constexpr std::size_t max_queued_jobs = 64;
    static constexpr std::size_t max_queued_ids = 1'000'000;

    /// The mean time of real computations; nullopt: none yet.
    using Estimate = std::function<std::optional<std::chrono::nanoseconds>()>;
    using Time = std::chrono::steady_clock::time_point;

    /// `queue`, where given, takes what is put off, and outlives the warmer; who runs its jobs is not the warmer's
    /// business. Without one a thread of this process does it.
    Warmer(WarmOne warm_one, Estimate estimate, Log log, WarmQueue* queue = nullptr,
           std::function<Time()> clock = std::chrono::steady_clock::now);
    ~Warmer();
    Warmer(const Warmer&) = delete;
    Warmer& operator=(const Warmer&) = delete;

    /// What was begun at once and has not ended within at_once_limit is a job from there on. One id that fails never
    /// stops the others, but where the source is not to be had none is tried any more: the rest has failed. Jobs in the
    /// background take turns of batch_size ids. A job that the full queue has no room for fails as a whole. Throws
    /// SourceError when the queue cannot be used.
    WarmResult warm(std::vector<AssignmentId> ids, std::size_t batch_size = 10);

    /// Whether so many are warmed at once.
    bool at_once(std::size_t count) const;

    /// Waits until the background has nothing to do; false: not within `limit`.
    bool wait_until_idle(std::chrono::milliseconds limit);

private:
    struct Background;
    using Ids = std::span<const AssignmentId>;
    Ids warm_now(Ids ids, Time end, WarmResult& result);
    void put_off(Ids ids, std::size_t batch_size, WarmResult& result);
    bool schedule(Ids ids, std::size_t batch_size);
    Background& background();

    WarmOne warm_one_;
    Estimate estimate_;
    Log log_;
    WarmQueue* queue_;
    std::function<Time()> clock_;
    std::mutex mutex_;
    std::unique_ptr<Background> background_;
    int owner_pid_ = 0;
};

}  // namespace larder
