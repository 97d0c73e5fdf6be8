// AssignmentStatsCache: the statistics of assignments, computed once on the host and kept until something changes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/access.hpp"
#include "core/assignment_notices.hpp"
#include "core/document_tier.hpp"
#include "core/hit_rate.hpp"
#include "core/log.hpp"
#include "core/rare_line.hpp"
#include "core/smart_ttl.hpp"
#include "core/source_pool.hpp"
#include "core/warmer.hpp"
#include "shm/cache.hpp"

namespace larder {

/// How a document was come by: found, computed here, found past its soft TTL, or computed by another meanwhile.
enum class DocumentState : std::uint8_t { hit, miss, stale, wait };
std::string_view name_of(DocumentState state);

struct Document {
    Pinned bytes;  ///< the JSON text, in shared memory; valid until dropped
    DocumentState state = DocumentState::hit;
    std::chrono::nanoseconds compute_time{
        0};  ///< reading, computing and writing it; 0 unless that happened in this call
};

struct StatsCacheOptions {
    std::chrono::milliseconds ttl{300'000};
    std::chrono::milliseconds soft_ttl{
        0};  ///< past it a document is stale, served while one caller recomputes; 0: never
    std::chrono::milliseconds stale_if_error{0};      ///< past the ttl: served only when computing failed; 0: never
    std::chrono::milliseconds recompute_interval{0};  ///< between computations of one document that notices cause
    TtlRange smart_ttl{};  ///< wanted: each document's ttl comes from its own changes, within this range
    Log log{};
    std::function<Timestamp()> wall_clock{};  ///< of generated_at and cached_at; empty: the system's
    std::size_t most_sources = 0;             ///< open at a time; 0: as many as threads read
    std::shared_ptr<DocumentTier> tier{};  ///< where hosts share documents, of one computation for all; null: nowhere
    WarmQueue* warm_queue = nullptr;       ///< where warming that takes long is put off to; null: see Warmer
};

/// The document of an assignment is kept under `assignment_stats:{id}`, with the tags `author:{id}` and
/// `course:{name}`. Threads: safe. Fork: a child may go on with the one it inherited; sources are opened again there.
class AssignmentStatsCache {
public:
    static constexpr int teacher_assignments = 10;
    static constexpr double warm_jitter = 0.1;  ///< of the TTL: what was warmed together does not expire together

    AssignmentStatsCache(Cache cache, SourceFactory open_source, StatsCacheOptions options = {});
    AssignmentStatsCache(const AssignmentStatsCache&) = delete;
    AssignmentStatsCache& operator=(const AssignmentStatsCache&) = delete;

    /// Counts one hit or one miss. nullopt: no such assignment, which counts nothing and leaves nothing under
    /// `assignment_stats:`. A hit asks the source nothing while the access entry lives. Throws SourceError, and
    /// ComputeFailed when another process's computation failed.
    std::optional<Document> get_or_calculate(AssignmentId id);

    /// The document, if it is there: counts a hit, or nothing. Never waits. One that is stale is to be computed anew by
    /// `refresh`, in another thread.
    std::optional<Document> find(AssignmentId id);

    /// Computes what is stale anew, unless somebody on the host is at it; counts nothing. Throws as get_or_calculate.
    void refresh(AssignmentId id);

    /// Nobody has followed the database for longer than the cache's promise allows for: see Options::degraded_after.
    bool is_degraded() const;

    /// Of the last 24 hours, over all processes; counts nothing. Known or not: see access().
    HitRate hit_rate(AssignmentId id) const;

    /// From the return on nobody on the host is served what was cached, or computed from what was read, before.
    /// REQUIRES: the change is committed. Returns the notice's number.
    std::uint64_t invalidate_assignment(AssignmentId id) { return notices_.announce({&id, 1}); }
    std::uint64_t invalidate_assignments(std::span<const AssignmentId> ids) { return notices_.announce_each(ids); }

    /// For programs whose database has no triggers of ours: to be connected to what they say after a commit. A
    /// submission that moved names the assignment where it was, too.
    void on_submission_changed(AssignmentId id, std::optional<AssignmentId> before = std::nullopt);
    void on_assignment_changed(AssignmentId id) { invalidate_assignment(id); }

    /// Fills what is missing; counts nothing. See Warmer.
    WarmResult warm(std::vector<AssignmentId> ids, std::size_t batch_size = 10);
    /// The 10 most recently created assignments of that author. Throws SourceError.
    WarmResult warm_teacher(UserId author_id, std::size_t batch_size = 10);
    /// Fills one, now; throws, or says false, when it could not.
    bool warm_one(AssignmentId id);
    Warmer& warmer() { return warmer_; }

    /// All assignments; ascending. Throws SourceError.
    std::vector<AssignmentId> all_ids();
    /// Those that were asked for in the last 24 hours, or have a submission handed in or graded in the last `period`;
    /// ascending. Throws SourceError.
    std::vector<AssignmentId> active_ids(std::chrono::milliseconds period);

    AccessRule& access() { return access_; }
    AssignmentNotices& notices() { return notices_; }

private:
    std::string compute(AssignmentId id, EntryOptions& options);
    std::string take_or_compute(AssignmentId id, EntryOptions& options);
    TierDocument compute_to_share(AssignmentId id, EntryOptions& options);
    std::optional<AssignmentRecord> load(AssignmentId id, std::uint64_t& position);
    void log_lookup(AssignmentId id, DocumentState state) const;
    EntryOptions entry_options() const;
    Timestamp wall_clock() const;
    std::chrono::milliseconds now_ms() const;

    Cache cache_;
    StatsCacheOptions options_;
    SourcePool sources_;
    AccessRule access_;
    AssignmentNotices notices_;
    RareLine failure_;
    Warmer warmer_;  // last: its thread uses all of the above
};

}  // namespace larder
