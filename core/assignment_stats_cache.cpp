#include "core/assignment_stats_cache.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <string>

#include "core/analytics.hpp"
#include "core/cache_keys.hpp"
#include "core/stats_document.hpp"

namespace larder {
namespace {

/// A notice, or a shard whose lock is not to be had in time, may keep the first document from being kept.
constexpr int warm_attempts = 3;

/// The assignment was deleted between the look at its access entry and the computation.
struct UnknownAssignment : std::runtime_error {
    UnknownAssignment() : std::runtime_error("no such assignment") {}
};

DocumentState state_of(const Pinned& pinned) {
    if (pinned.state() == State::stale) return DocumentState::stale;
    if (pinned.source() == Source::computed) return DocumentState::miss;
    return pinned.source() == Source::waited ? DocumentState::wait : DocumentState::hit;
}

/// Behind it in the position is the time of a message.
std::string stream_of(const OutboxPosition& position) {
    return position.database.substr(0, position.database.rfind('@'));
}

}  // namespace

std::string_view name_of(DocumentState state) {
    constexpr std::array<std::string_view, 4> names{"hit", "miss", "stale", "wait"};
    return names[static_cast<std::size_t>(state)];
}

AssignmentStatsCache::AssignmentStatsCache(Cache cache, SourceFactory open_source, StatsCacheOptions options)
    : cache_(std::move(cache)),
      options_(std::move(options)),
      sources_(std::move(open_source), options_.most_sources),
      access_(cache_, sources_, entry_options()),
      notices_(cache_, options_.log),
      warmer_([this](AssignmentId id) { return warm_one(id); }, [this] { return cache_.mean_compute_time(); },
              options_.log, options_.warm_queue) {}

EntryOptions AssignmentStatsCache::entry_options() const {
    EntryOptions options;
    options.ttl = options_.ttl;
    options.soft_ttl = options_.soft_ttl;
    options.stale_if_error = options_.stale_if_error;
    options.recompute_interval = options_.recompute_interval;
    options.backed = true;
    return options;
}

Timestamp AssignmentStatsCache::wall_clock() const {
    if (options_.wall_clock) return options_.wall_clock();
    return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

std::chrono::milliseconds AssignmentStatsCache::now_ms() const {
    return std::chrono::floor<std::chrono::milliseconds>(wall_clock().time_since_epoch());
}

/// Reads, computes and writes the document; adds the tags to `options`. Throws UnknownAssignment, SourceError.
std::string AssignmentStatsCache::compute(AssignmentId id, EntryOptions& options) {
    const Timestamp generated_at = wall_clock();
    const std::optional<AssignmentRecord> record = load(id, options.source_position);
    if (!record) throw UnknownAssignment();
    const Assignment& assignment = record->assignment;
    if (assignment.author_id) options.tags.push_back(author_tag(*assignment.author_id));
    if (assignment.course && !assignment.course->empty()) options.tags.push_back(course_tag(*assignment.course));
    if (options_.smart_ttl.is_wanted())
        options.ttl = larder::smart_ttl(change_times(*record), generated_at, options_.smart_ttl);
    return to_document(assignment, analyze(assignment, record->submissions), generated_at, wall_clock());
}

/// As another host of the fleet has computed it since the last change that this one was told of, else as compute, for
/// all of them. A host that is told nothing just now shares nothing.
std::string AssignmentStatsCache::take_or_compute(AssignmentId id, EntryOptions& options) {
    const std::optional<SyncState> sync = options_.tier == nullptr ? std::nullopt : cache_.sync_state();
    const std::optional<OutboxPosition> told = sync && !sync->degraded ? notices_.position() : std::nullopt;
    if (!told) return compute(id, options);
    const std::string key = stats_key(id);
    const std::string stream = stream_of(*told);
    bool is_computed = false;
    std::chrono::milliseconds age{};
    const auto is_fresh = [&](const TierDocument& found) {
        age = std::max(now_ms() - found.made_at, std::chrono::milliseconds(0));
        const bool is_young = age < found.ttl && (options.soft_ttl.count() == 0 || age < options.soft_ttl);
        return found.stream == stream && is_young && !is_degraded() &&
               cache_.is_current_at(stream_position(found.sequence), key, found.tags);
    };
    const auto compute_it = [&](TierLease::State lease) {
        is_computed = true;
        if (lease == TierLease::State::unreachable) options.tier = EntryOptions::Tier::unreachable;
        TierDocument made = compute_to_share(id, options);
        if (made.stream != stream) made.sequence = 0;
        return std::optional(std::move(made));
    };
    TierDocument document = *compute_once(*options_.tier, key, is_fresh, compute_it);
    if (is_computed) return std::move(document.bytes);
    options.tags = std::move(document.tags);
    options.ttl = document.ttl - age;
    if (options.soft_ttl.count() != 0) options.soft_ttl -= age;
    options.source_position = stream_position(document.sequence);
    options.tier = EntryOptions::Tier::hit;
    return std::move(document.bytes);
}

/// The primary has, when it is read, what had arrived before; a replica has it where nothing that was applied here came
/// later than what the replica had.
TierDocument AssignmentStatsCache::compute_to_share(AssignmentId id, EntryOptions& options) {
    const std::optional<OutboxPosition> arrived = notices_.contained(), applied = notices_.position();
    const std::chrono::milliseconds begun_at = now_ms();
    TierDocument made;
    made.bytes = compute(id, options);
    made.tags = options.tags;
    made.ttl = options.ttl;
    made.made_at = begun_at;
    const bool is_of_replica = options.source_position != 0;
    const std::optional<OutboxPosition>& contained = is_of_replica ? applied : arrived;
    if (!contained || (is_of_replica && !cache_.is_current_at(options.source_position, stats_key(id), made.tags)))
        return made;
    made.stream = stream_of(*contained);
    made.sequence = static_cast<std::uint64_t>(contained->seq);
    return made;
}

std::optional<AssignmentRecord> AssignmentStatsCache::load(AssignmentId id, std::uint64_t& position) {
    try {
        return sources_.read_current(
            position, [&](std::uint64_t at) { return lacks_nothing_told(cache_, at, stats_key(id)); },
            [id](SubmissionSource& source) { return source.load(id); });
    } catch (const SourceError& error) {
        const auto line =
            failure_.worth_writing("Computing assignment " + std::to_string(id) + " failed: " + error.what());
        if (line) options_.log(LogLevel::error, *line);
        throw;
    }
}

std::optional<Document> AssignmentStatsCache::get_or_calculate(AssignmentId id) {
    // First, so that a stranger's id takes no lease, no count and no place in the key table.
    if (!access_.ownership(id)) return std::nullopt;
    Document document;
    const auto computing = [&](EntryOptions& options) {
        const auto start = std::chrono::steady_clock::now();
        std::string text = take_or_compute(id, options);
        document.compute_time = std::chrono::steady_clock::now() - start;
        return std::optional(std::move(text));
    };
    try {
        document.bytes = cache_.get_or_compute(stats_key(id), computing, entry_options());
    } catch (const UnknownAssignment&) {
        return std::nullopt;
    } catch (const ComputeFailed&) {
        if (!sources_.read([id](SubmissionSource& source) { return source.ownership(id); })) return std::nullopt;
        throw;
    }
    document.state = state_of(document.bytes);
    log_lookup(id, document.state);
    return document;
}

std::optional<Document> AssignmentStatsCache::find(AssignmentId id) {
    Document document;
    document.bytes = cache_.find(stats_key(id));
    if (!document.bytes) return std::nullopt;
    document.state = state_of(document.bytes);
    log_lookup(id, document.state);
    return document;
}

void AssignmentStatsCache::refresh(AssignmentId id) {
    access_.ownership(id);  // which its document's caller needs, and which is as old
    cache_.warm(
        stats_key(id), [&](EntryOptions& options) { return std::optional(take_or_compute(id, options)); },
        entry_options());
}

void AssignmentStatsCache::log_lookup(AssignmentId id, DocumentState state) const {
    if (!options_.log.wants(LogLevel::debug)) return;
    const bool hit = state == DocumentState::hit || state == DocumentState::stale;
    options_.log(LogLevel::debug,
                 (hit ? "Cache HIT for assignment " : "Cache MISS for assignment ") + std::to_string(id));
}

void AssignmentStatsCache::on_submission_changed(AssignmentId id, std::optional<AssignmentId> before) {
    const std::array<AssignmentId, 2> ids{id, before.value_or(id)};
    invalidate_assignments(std::span(ids).first(ids[0] == ids[1] ? 1 : 2));
}

bool AssignmentStatsCache::is_degraded() const {
    const std::optional<SyncState> state = cache_.sync_state();
    return state && state->degraded;
}

HitRate AssignmentStatsCache::hit_rate(AssignmentId id) const {
    HitRate rate;
    rate.cache_key = stats_key(id);
    const KeyUse use = cache_.key_use(rate.cache_key);
    rate.hits = use.hits;
    rate.misses = use.misses;
    rate.ttl = std::chrono::duration_cast<std::chrono::seconds>(options_.ttl);
    return rate;
}

bool AssignmentStatsCache::warm_one(AssignmentId id) {
    if (!access_.ownership(id)) throw UnknownAssignment();
    const std::string key = stats_key(id);
    EntryOptions warmed = entry_options();
    warmed.jitter = warm_jitter;
    for (int attempt = 0; attempt < warm_attempts; ++attempt) {
        std::exception_ptr failure;  // which a stale document may have stood in for
        cache_.warm(
            key,
            [&](EntryOptions& options) {
                try {
                    return std::optional(take_or_compute(id, options));
                } catch (...) {
                    failure = std::current_exception();
                    throw;
                }
            },
            warmed);
        if (cache_.contains(key)) return true;
        if (failure) std::rethrow_exception(failure);
    }
    throw std::runtime_error("the cache did not keep the document: it is full, or the assignment changes all the time");
}

WarmResult AssignmentStatsCache::warm(std::vector<AssignmentId> ids, std::size_t batch_size) {
    return warmer_.warm(std::move(ids), batch_size);
}

WarmResult AssignmentStatsCache::warm_teacher(UserId author_id, std::size_t batch_size) {
    std::vector<AssignmentId> ids = sources_.read(
        [author_id](SubmissionSource& source) { return source.recent_of_author(author_id, teacher_assignments); });
    return warm(std::move(ids), batch_size);
}

std::vector<AssignmentId> AssignmentStatsCache::all_ids() {
    return sources_.read([](SubmissionSource& source) { return source.all_ids(); });
}

std::vector<AssignmentId> AssignmentStatsCache::active_ids(std::chrono::milliseconds period) {
    std::vector<AssignmentId> active =
        sources_.read([&](SubmissionSource& source) { return source.active_since(wall_clock() - period); });
    const auto changed = static_cast<std::ptrdiff_t>(active.size());
    for (const AssignmentId id : all_ids()) {
        const KeyUse use = cache_.key_use(stats_key(id));
        if (use.hits + use.misses != 0) active.push_back(id);
    }
    std::inplace_merge(active.begin(), active.begin() + changed, active.end());
    active.erase(std::unique(active.begin(), active.end()), active.end());
    return active;
}

}  // namespace larder
