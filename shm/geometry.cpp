#include "shm/geometry.hpp"

#include <algorithm>
#include <bit>
#include <string>

namespace larder::shm {
namespace {

constexpr std::uint64_t kBytesPerEntry = 8ULL << 10;  // unless the options say how many entries there will be
constexpr std::uint64_t kEntriesPerShard = 2048;
constexpr std::uint32_t kShardsWithSpare = 8;
constexpr std::uint64_t kMostEntriesPerShard = kMaxDirectorySlots / 2;
constexpr std::uint64_t kMaxEntries = kMostEntriesPerShard * kMaxShards;
constexpr std::uint64_t kMaxTrackedKeys = 1ULL << 28;
constexpr std::uint64_t kBytesPerKey = sizeof(KeyEntry) + kHitStripes * sizeof(Word64);
constexpr std::uint64_t kKeysShare = 16;  // of the segment, one part for keys

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t step) { return (value + step - 1) / step * step; }
constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t step) { return value / step * step; }

std::uint64_t least_arena_bytes(std::uint32_t directory_slots) {
    return std::max(kMinShardBytes, node_area_bytes(directory_slots) + kMinShardBytes / 2);
}

/// Fills in the offsets from the counts and segment_bytes. False: there is no room for arenas.
bool lay_out(Geometry& geometry) {
    std::uint64_t end = 0;
    const auto area = [&end](std::uint64_t bytes) {
        const std::uint64_t at = end;
        end += round_up(bytes, kPageBytes);
        return at;
    };
    area(sizeof(SegmentHeader));
    geometry.registry_at = area(sizeof(ProcessSlot) * kProcesses);
    geometry.threads_at = area(sizeof(ThreadBlock) * kThreadBlocks * kProcesses);
    geometry.fences_at = area(sizeof(Word64) * kFences);
    geometry.leases_at = area(sizeof(LeaseGroup) * kLeaseLocks);
    geometry.keys_at = area(sizeof(KeyEntry) * geometry.tracked_keys);
    geometry.key_hits_at = area(sizeof(Word64) * kHitStripes * geometry.tracked_keys);
    geometry.shards_at = area(sizeof(Shard) * geometry.shards);
    geometry.arena_states_at = area(sizeof(ArenaState) * geometry.arenas);
    geometry.directories_at = area(sizeof(Word64) * geometry.shards * geometry.directory_slots);
    geometry.arenas_at = end;
    geometry.node_bytes = node_area_bytes(geometry.directory_slots);
    if (end >= geometry.segment_bytes) return false;
    geometry.arena_bytes = round_down((geometry.segment_bytes - end) / geometry.arenas, kPageBytes);
    return geometry.arena_bytes >= least_arena_bytes(geometry.directory_slots);
}

std::uint64_t entries_of(const Options& options) {
    std::uint64_t entries = options.expected_entries;
    if (entries == 0) entries = options.max_entries;
    if (entries == 0) entries = options.size_bytes / kBytesPerEntry;
    return std::clamp<std::uint64_t>(entries, 1, kMaxEntries);
}

std::uint32_t directory_slots_of(std::uint64_t entries, std::uint32_t shards) {
    const std::uint64_t of_one = (entries + shards - 1) / shards;
    const std::uint64_t slots = std::bit_ceil(2 * of_one + of_one / 4);  // keys spread unevenly over the shards
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(slots, kMinDirectorySlots, kMaxDirectorySlots));
}

std::uint64_t tracked_keys_of(const Options& options, std::uint64_t segment_bytes, std::uint32_t shards) {
    const std::uint64_t step = static_cast<std::uint64_t>(shards) * kKeyWindow;
    if (options.tracked_keys != 0) return round_up(options.tracked_keys, step);
    return std::max(round_down(segment_bytes / kKeysShare / kBytesPerKey, step), step);
}

/// Everything but the offsets.
Geometry counts_of(const Options& options, std::uint64_t segment_bytes, std::uint32_t shards) {
    Geometry geometry{};
    geometry.segment_bytes = round_down(segment_bytes, kPageBytes);
    geometry.tracked_keys = tracked_keys_of(options, segment_bytes, shards);
    geometry.max_entries = options.max_entries;
    geometry.max_bytes = options.max_bytes;
    geometry.shards = shards;
    geometry.arenas = shards + (shards >= kShardsWithSpare ? 1 : 0);
    geometry.directory_slots = directory_slots_of(entries_of(options), shards);
    geometry.strict_recency = options.recency == Options::Recency::strict ? 1 : 0;
    return geometry;
}

std::uint64_t required_bytes(const Options& options, std::uint32_t shards) {
    std::uint64_t bytes = kPageBytes;
    for (int step = 0; step < 64; ++step) {  // the share for keys grows with the size: each step leaves a 16th to do
        Options sized = options;
        sized.size_bytes = bytes;
        Geometry geometry = counts_of(sized, bytes, shards);
        if (lay_out(geometry)) break;
        const std::uint64_t arenas = geometry.arenas * least_arena_bytes(geometry.directory_slots);
        bytes = std::max(bytes + kPageBytes, geometry.arenas_at + arenas);
    }
    return bytes;
}

std::uint32_t shards_of(const Options& options) {
    if (options.shards != 0) return options.shards;
    const std::uint64_t wanted = std::max<std::uint64_t>(entries_of(options) / kEntriesPerShard, 1);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(std::bit_floor(wanted), kMaxShards));
}

[[noreturn]] void refuse(const std::string& reason, const std::string& remedy) {
    throw OpenError("options", reason, remedy);
}

void check_numbers(const Options& options) {
    if (options.shards != 0 && (!std::has_single_bit(options.shards) || options.shards > kMaxShards)) {
        refuse(std::to_string(options.shards) + " shards",
               "give a power of two up to " + std::to_string(kMaxShards) + ", or 0 to let the cache choose");
    }
    if (options.size_bytes > kMaxSegmentBytes) {
        refuse("a size of " + std::to_string(options.size_bytes) + " bytes",
               "give at most " + std::to_string(kMaxSegmentBytes) + " bytes");
    }
    if (options.tracked_keys > kMaxTrackedKeys) {
        refuse(std::to_string(options.tracked_keys) + " tracked keys",
               "give at most " + std::to_string(kMaxTrackedKeys) + ", at 256 bytes each");
    }
    for (const std::uint64_t limit : {options.max_entries, options.max_bytes}) {
        if (limit == 0 || limit >= options.shards) continue;
        refuse("a limit of " + std::to_string(limit) + " for " + std::to_string(options.shards) + " shards",
               "give each shard at least one, or fewer shards");
    }
    const std::uint64_t entries = std::max(options.expected_entries, options.max_entries);
    if (entries > kMaxEntries)
        refuse(std::to_string(entries) + " entries", "give at most " + std::to_string(kMaxEntries));
    if (options.shards != 0 && entries > options.shards * kMostEntriesPerShard) {
        const std::uint64_t shards = std::bit_ceil((entries + kMostEntriesPerShard - 1) / kMostEntriesPerShard);
        refuse(std::to_string(entries) + " entries in " + std::to_string(options.shards) + " shards of at most " +
                   std::to_string(kMostEntriesPerShard),
               "give at least " + std::to_string(shards) + " shards");
    }
}

}  // namespace

Geometry plan_geometry(const Options& options) {
    check_numbers(options);
    for (std::uint32_t shards = shards_of(options); shards != 0; shards /= 2) {
        Geometry geometry = counts_of(options, options.size_bytes, shards);
        if (lay_out(geometry)) return geometry;
        const bool is_last = options.shards != 0 || shards == 1;
        if (!is_last) continue;
        refuse("size_bytes = " + std::to_string(options.size_bytes) + " is too small for " + std::to_string(shards) +
                   " shards of at least " + std::to_string(least_arena_bytes(geometry.directory_slots)) + " bytes, " +
                   std::to_string(geometry.tracked_keys) + " tracked keys and the tables",
               "give at least " + std::to_string(required_bytes(options, shards)) + " bytes" +
                   (shards > 1 ? ", or fewer shards" : ""));
    }
    refuse("no shards", "give a power of two");
}

std::uint64_t required_bytes(const Options& options) {
    check_numbers(options);
    return required_bytes(options, shards_of(options));
}

bool is_valid_geometry(const Geometry& geometry, std::uint64_t file_bytes) {
    const std::uint32_t shards = geometry.shards, slots = geometry.directory_slots;
    if (geometry.segment_bytes != file_bytes || file_bytes > kMaxSegmentBytes || file_bytes % kPageBytes != 0)
        return false;
    if (!std::has_single_bit(shards) || shards > kMaxShards) return false;
    if (geometry.arenas < shards || geometry.arenas > 2 * kMaxShards) return false;
    if (!std::has_single_bit(slots) || slots < kMinDirectorySlots || slots > kMaxDirectorySlots) return false;
    if (geometry.tracked_keys % (static_cast<std::uint64_t>(shards) * kKeyWindow) != 0) return false;
    if (geometry.tracked_keys > file_bytes / kBytesPerKey || geometry.strict_recency > 1) return false;
    Geometry right = geometry;
    return lay_out(right) && right.registry_at == geometry.registry_at && right.threads_at == geometry.threads_at &&
           right.fences_at == geometry.fences_at && right.leases_at == geometry.leases_at &&
           right.keys_at == geometry.keys_at && right.key_hits_at == geometry.key_hits_at &&
           right.shards_at == geometry.shards_at && right.arena_states_at == geometry.arena_states_at &&
           right.directories_at == geometry.directories_at && right.arenas_at == geometry.arenas_at &&
           right.arena_bytes == geometry.arena_bytes && right.node_bytes == geometry.node_bytes;
}

}  // namespace larder::shm
