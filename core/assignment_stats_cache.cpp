#include "core/assignment_stats_cache.hpp"

#include <array>
#include <exception>
#include <string>

#include "core/analytics.hpp"
#include "core/cache_keys.hpp"
#include "core/stats_document.hpp"

namespace larder {
namespace {

/// The assignment was deleted between the look at its access entry and the computation.
struct UnknownAssignment : std::runtime_error {
    UnknownAssignment() : std::runtime_error("no such assignment") {}
};

DocumentState state_of(const Pinned& pinned) {
    if (pinned.state() == State::stale) return DocumentState::stale;
    if (pinned.source() == Source::computed) return DocumentState::miss;
    return pinned.source() == Source::waited ? DocumentState::wait : DocumentState::hit;
}

std::chrono::nanoseconds since(std::chrono::steady_clock::time_point start) {
    return std::chrono::steady_clock::now() - start;
}

}  // namespace

std::string_view name_of(DocumentState state) {
    constexpr std::array<std::string_view, 4> names{"hit", "miss", "stale", "wait"};
    return names[static_cast<std::size_t>(state)];
}

AssignmentStatsCache::AssignmentStatsCache(Cache cache, SourceFactory open_source, StatsCacheOptions options)
    : cache_(std::move(cache)),
      options_(std::move(options)),
      sources_(std::move(open_source)),
      access_(cache_, sources_, options_.ttl),
      notices_(cache_, options_.log),
      warmer_([this](AssignmentId id) { return warm_one(id); }, [this] { return mean_compute_time(); }, options_.log) {}

EntryOptions AssignmentStatsCache::entry_options() const {
    EntryOptions options;
    options.ttl = options_.ttl;
    options.soft_ttl = options_.soft_ttl;
    options.stale_if_error = options_.stale_if_error;
    return options;
}

Timestamp AssignmentStatsCache::wall_clock() const {
    if (options_.wall_clock) return options_.wall_clock();
    return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

/// Reads, computes and writes the document; adds the tags to `options`. nullopt: no such assignment.
std::optional<std::string> AssignmentStatsCache::compute(AssignmentId id, EntryOptions& options) {
    const Timestamp generated_at = wall_clock();
    const std::optional<AssignmentRecord> record = sources_.borrow()->load(id);
    if (!record) return std::nullopt;
    const Assignment& assignment = record->assignment;
    if (assignment.author_id) options.tags.push_back(author_tag(*assignment.author_id));
    if (assignment.course && !assignment.course->empty()) options.tags.push_back(course_tag(*assignment.course));
    return to_document(assignment, analyze(assignment, record->submissions), generated_at, wall_clock());
}

std::optional<Document> AssignmentStatsCache::get_or_calculate(AssignmentId id) {
    // First, so that a stranger's id takes no lease, no count and no place in the key table.
    if (!access_.ownership(id)) return std::nullopt;
    Document document;
    const auto computing = [&](EntryOptions& options) -> std::optional<std::string> {
        const auto start = std::chrono::steady_clock::now();
        try {
            std::optional<std::string> text = compute(id, options);
            if (!text) throw UnknownAssignment();
            document.compute_time = since(start);
            note_compute_time(document.compute_time);
            return text;
        } catch (const SourceError& error) {
            options_.log(LogLevel::error, "Computing assignment " + std::to_string(id) + " failed: " + error.what());
            throw;
        }
    };
    try {
        document.bytes = cache_.get_or_compute(stats_key(id), computing, entry_options());
    } catch (const UnknownAssignment&) {
        return std::nullopt;
    } catch (const ComputeFailed&) {
        if (!sources_.borrow()->ownership(id)) return std::nullopt;
        throw;
    }
    document.state = state_of(document.bytes);
    if (options_.log.wants(LogLevel::debug)) {
        const bool hit = document.state == DocumentState::hit || document.state == DocumentState::stale;
        options_.log(LogLevel::debug,
                     (hit ? "Cache HIT for assignment " : "Cache MISS for assignment ") + std::to_string(id));
    }
    return document;
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

void AssignmentStatsCache::note_compute_time(std::chrono::nanoseconds time) {
    computed_ns_.fetch_add(time.count(), std::memory_order_relaxed);
    computed_.fetch_add(1, std::memory_order_relaxed);
}

std::optional<std::chrono::nanoseconds> AssignmentStatsCache::mean_compute_time() const {
    if (const auto shared = cache_.mean_compute_time()) return shared;
    const std::int64_t count = computed_.load(std::memory_order_relaxed);
    if (count == 0) return std::nullopt;
    return std::chrono::nanoseconds{computed_ns_.load(std::memory_order_relaxed) / count};
}

/// Without a lease, because taking one counts a miss: at worst somebody else computes the same at the same time.
bool AssignmentStatsCache::warm_one(AssignmentId id) {
    const std::string key = stats_key(id);
    if (cache_.contains(key)) return true;
    EntryOptions options = entry_options();
    options.as_of = cache_.stamp();
    const auto start = std::chrono::steady_clock::now();
    const std::optional<std::string> text = compute(id, options);
    if (!text) throw UnknownAssignment();
    note_compute_time(since(start));
    const PutResult result = cache_.put(key, *text, options);
    if (result == PutResult::stored || result == PutResult::older) return true;
    throw std::runtime_error("the cache did not take the document (" + std::string(name_of(result)) + ")");
}

WarmResult AssignmentStatsCache::warm(std::vector<AssignmentId> ids, std::size_t batch_size) {
    return warmer_.warm(std::move(ids), batch_size);
}

WarmResult AssignmentStatsCache::warm_teacher(UserId author_id) {
    return warm(sources_.borrow()->recent_of_author(author_id, teacher_assignments));
}

}  // namespace larder
