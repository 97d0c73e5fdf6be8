#include "tools/trace_replay.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <memory>

#include "shm/cache.hpp"
#include "shm/geometry.hpp"
#include "tools/trace_reader.hpp"

namespace larder::tools {
namespace {

constexpr std::int64_t kBaseNs = 3'600'000'000'000;  // the trace's first request: time 0 is no time
constexpr std::uint64_t kSmallestSegment = 16ULL << 20;
constexpr std::uint64_t kEntriesPerShard = 2'048;
constexpr std::uint64_t kEntryBytes = 256;  // a record beside its key, with what the allocator adds
constexpr std::uint64_t kSlack = 3;         // shards fill unevenly, one arena is a spare
constexpr std::chrono::hours kForever{24 * 365 * 100};
constexpr std::uint64_t kReportEvery = 4'096;

struct TraceClock final : Clock {
    std::int64_t now_ns() override { return now.load(std::memory_order_relaxed); }
    std::atomic<std::int64_t> now{kBaseNs};
};

/// What a first reading tells.
struct TraceFacts {
    std::uint64_t requests = 0, longest_key = 0;
    std::int64_t first_ns = 0;
};

TraceFacts survey(const TraceFile& file) {
    TraceReader reader(file);
    TraceRequest request;
    TraceFacts facts;
    for (; reader.next(request); ++facts.requests) {
        if (facts.requests == 0) facts.first_ns = request.at_ns;
        facts.longest_key = std::max<std::uint64_t>(facts.longest_key, request.key.size());
    }
    return facts;
}

std::uint32_t shards_for(const ReplayOptions& replay) {
    if (replay.shards != 0) return replay.shards;
    if (replay.strict) return 1;
    // Without a number of entries the cache counts one per 8 KiB, as everywhere.
    return replay.entries == 0 ? 0
                               : static_cast<std::uint32_t>(std::bit_floor(
                                     std::clamp<std::uint64_t>(replay.entries / kEntriesPerShard, 1, shm::kMaxShards)));
}

void plan_entries(const ReplayOptions& replay, const TraceFacts& facts, Options& options) {
    options.max_entries = options.expected_entries = replay.entries;
    options.tracked_keys = 1;
    options.size_bytes = shm::required_bytes(options) + replay.entries * (kEntryBytes + facts.longest_key) * kSlack;
}

void plan_size(const ReplayOptions& replay, Options& options) {
    options.size_bytes = std::max(replay.size_bytes, kSmallestSegment);
    options.expected_entries = replay.expected_entries;
    if (replay.size_bytes < kSmallestSegment) options.max_bytes = replay.size_bytes;
}

Options plan(const ReplayOptions& replay, const TraceFacts& facts, std::shared_ptr<Clock> clock) {
    Options options;
    options.in_memory = true;
    options.role = "replay";
    options.recency = replay.strict ? Options::Recency::strict : Options::Recency::clock;
    options.ttl = replay.ttl.count() != 0 ? replay.ttl : std::chrono::milliseconds(kForever);
    options.clock = std::move(clock);
    options.random_seed = 1;  // the same trace gives the same numbers
    options.shards = shards_for(replay);
    if (replay.entries != 0)
        plan_entries(replay, facts, options);
    else
        plan_size(replay, options);
    return options;
}

/// Of the values that this cache takes; what is larger need not be made to know what becomes of it.
class ValueSource {
public:
    explicit ValueSource(const Options& options) {
        const shm::Geometry geometry = shm::plan_geometry(options);
        most_bytes_ = shm::max_value_bytes(geometry);
        // The first shards' parts are a byte larger where they are not all the same.
        if (geometry.max_bytes != 0) most_payload_ = (geometry.max_bytes + geometry.shards - 1) / geometry.shards;
    }
    bool is_too_large(std::uint64_t key_bytes, std::uint64_t value_bytes) const {
        return value_bytes > most_bytes_ ||
               (most_payload_ != 0 && value_bytes > most_payload_ - std::min(key_bytes, most_payload_));
    }
    /// REQUIRES: not too large. Valid until the next one.
    std::string_view value(std::uint64_t bytes) {
        if (bytes_.size() < bytes) bytes_.resize(bytes, 'v');
        return std::string_view(bytes_).substr(0, bytes);
    }
    std::uint64_t most_bytes() const { return most_payload_ == 0 ? most_bytes_ : std::min(most_bytes_, most_payload_); }
    bool is_payload_limit() const { return most_payload_ != 0 && most_payload_ <= most_bytes_; }

private:
    std::uint64_t most_bytes_ = 0, most_payload_ = 0;  // of a value; of a key and its value, 0: no limit
    std::string bytes_;
};

}  // namespace

double ReplayResult::hit_ratio() const {
    return requests == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(requests);
}

ReplayResult replay(const ReplayOptions& options,
                    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) {
    const TraceFile file(options.trace);
    const TraceFacts facts = survey(file);
    const auto clock = std::make_shared<TraceClock>();
    const Options planned = plan(options, facts, clock);
    Cache cache = Cache::open(planned);
    ValueSource values(planned);
    TraceReader reader(file);
    TraceRequest request;
    ReplayResult result;
    result.most_bytes = values.most_bytes();
    result.limited_by_payload = values.is_payload_limit();
    while (reader.next(request)) {
        clock->now.store(kBaseNs + request.at_ns - facts.first_ns, std::memory_order_relaxed);
        ++result.requests;
        if (progress && result.requests % kReportEvery == 0) progress(result.requests, facts.requests);
        if (cache.get(request.key)) {
            ++result.hits;
            continue;
        }
        ++result.misses;
        const std::uint64_t size = options.entries != 0 ? 1 : std::max<std::uint64_t>(request.size_bytes, 1);
        if (values.is_too_large(request.key.size(), size)) {
            ++result.too_large;
            continue;
        }
        const PutResult put = cache.put(request.key, values.value(size));
        if (put == PutResult::too_large)
            ++result.too_large;
        else if (put != PutResult::stored)
            ++result.refused;
    }
    if (result.requests != facts.requests)
        throw CsvError(options.trace, 0, 0, "was changed while it was read; replay it again when nobody writes to it");
    return result;
}

}  // namespace larder::tools
