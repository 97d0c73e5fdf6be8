// WarmQueue: the jobs of warming that were put off, kept in a SQLite file, so that they outlive every process.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/assignment.hpp"

namespace larder {

class Database;

using WarmJobId = std::int64_t;

/// How a job stands. done = warmed + failed, and what a turn has behind it that is not written down yet.
struct WarmJob {
    enum class State : std::uint8_t { queued, running, done };

    WarmJobId id = 0;
    State state = State::queued;
    std::size_t total = 0, done = 0, warmed = 0, failed = 0;
    std::chrono::milliseconds duration{0};  ///< since it was begun; until its end, when it has one
};
std::string_view name_of(WarmJob::State state);

/// `{ job_id, state, total, done, warmed, failed, async_scheduled, duration_seconds }`
std::string to_json(const WarmJob& job);

/// One runner's part of a job, for the time that a batch takes.
struct WarmTurn {
    WarmJobId job = 0;
    std::size_t position = 0;       ///< of the first of `ids` in the job
    std::vector<AssignmentId> ids;  ///< at most the job's batch size
    std::size_t total = 0;

    bool is_last() const { return position + ids.size() >= total; }
};

/// The jobs of one cache; others of the same database have theirs beside them. Jobs take turns, a batch each, so that a
/// long one does not hold up a short one. A turn whose runner has not been heard of for `runner_patience` is another's
/// to take: what it had warmed is warmed again, which finds it there.
/// Every member throws SourceError. Looking (find, recent) never waits for those who change the queue. Threads: safe.
/// Fork: a child opens the file anew.
class WarmQueue {
public:
    static constexpr std::size_t max_open_jobs = 64;
    static constexpr std::size_t max_open_ids = 1'000'000;
    static constexpr std::size_t max_batch_size = 1'000;
    static constexpr std::size_t kept_jobs = 1'000;                ///< that have ended
    static constexpr std::chrono::hours abandoned_after{24 * 30};  ///< open, and nobody works at them: forgotten
    static constexpr std::chrono::seconds runner_patience{10};
    static constexpr std::chrono::milliseconds change_limit{5'000};  ///< longest wait for other writers
    static constexpr std::chrono::milliseconds look_limit{1'000};

    /// `cache` is Cache::segment_path(), by whatever links. Jobs without a cache, of a program that knew none, are
    /// every cache's.
    WarmQueue(std::string file, std::string cache);
    ~WarmQueue();
    WarmQueue(const WarmQueue&) = delete;
    WarmQueue& operator=(const WarmQueue&) = delete;

    /// nullopt: the queue is full. REQUIRES: ids are not empty, batch_size is from 1 to max_batch_size.
    std::optional<WarmJobId> push(std::span<const AssignmentId> ids, std::size_t batch_size);
    /// nullopt: no such job, or one that ended long ago.
    std::optional<WarmJob> find(WarmJobId id);
    /// The newest first.
    std::vector<WarmJob> recent(std::size_t limit);
    /// All of a job that has not ended.
    std::vector<AssignmentId> ids_of(WarmJobId job);

    /// The turn of the job that had the fewest; nullopt: none is open that nobody works at.
    /// `runner`: a number that no other runner has.
    std::optional<WarmTurn> take_turn(std::int64_t runner);
    /// Says that the runner lives, and how much of the turn is behind it. False: another has taken the turn.
    bool report(const WarmTurn& turn, std::int64_t runner, std::size_t done);
    /// Ends the turn; the job's end, when it was the last of it. False: another has taken the turn.
    bool finish_turn(const WarmTurn& turn, std::int64_t runner, std::size_t warmed, std::size_t failed);
    /// Gives the turn back, unfinished.
    void give_back(const WarmTurn& turn, std::int64_t runner);

private:
    struct Connection;
    /// One connection, which its users take in turn.
    struct Access {
        explicit Access(std::chrono::milliseconds longest_wait);
        ~Access();
        const std::chrono::milliseconds limit;  // of the wait for it and for the database's lock together
        std::timed_mutex mutex;
        std::unique_ptr<Connection> connection;
    };
    template <class Work>
    auto with(Access& access, Work work);

    const std::string path_, cache_;
    Access changing_{change_limit}, looking_{look_limit};
};

/// Behind the segment's path, where a database has no file of this host.
inline constexpr const char* warm_queue_suffix = ".jobs";

/// Where the jobs of that cache are: in the database's own file, or, where it is none of this host, in one beside the
/// segment, which is made where it is absent. Throws SourceError.
std::string warm_queue_file(const Database& database, const std::string& segment_path);

}  // namespace larder
