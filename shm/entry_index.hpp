// What the writers of a shard decide from: one entry for each record, by key, by expiry and by recency.
#pragma once

#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/offset_ptr.hpp>
#include <boost/multi_index/hashed_index.hpp>
#include <boost/multi_index/mem_fun.hpp>
#include <boost/multi_index/member.hpp>
#include <boost/multi_index/ordered_index.hpp>
#include <boost/multi_index_container.hpp>
#include <cstdint>

#include "shm/arena.hpp"
#include "shm/hash.hpp"
#include "shm/record.hpp"

#if defined(BOOST_MULTI_INDEX_ENABLE_SAFE_MODE) || defined(BOOST_MULTI_INDEX_ENABLE_INVARIANT_CHECKING)
#error "MultiIndex safe mode puts process-local pointers into the segment: build without it"
#endif

namespace larder::shm {

struct KeyHash {
    std::size_t operator()(const HashedKey& key) const { return key.hash; }
};

struct IndexEntry {
    boost::interprocess::offset_ptr<Record> record;
    std::int64_t expires_ns;
    std::uint64_t stamp;  // the last use that the index knows of; never above the record's own

    HashedKey key() const { return {record->hash, key_of(*record)}; }
};

struct ByKey {};
struct ByExpiry {};
struct ByRecency {};

using EntryAllocator = boost::interprocess::allocator<IndexEntry, Heap::segment_manager>;
using EntryIndex = boost::multi_index::multi_index_container<
    IndexEntry,
    boost::multi_index::indexed_by<
        boost::multi_index::hashed_unique<boost::multi_index::tag<ByKey>,
                                          boost::multi_index::const_mem_fun<IndexEntry, HashedKey, &IndexEntry::key>,
                                          KeyHash>,
        boost::multi_index::ordered_non_unique<
            boost::multi_index::tag<ByExpiry>,
            boost::multi_index::member<IndexEntry, std::int64_t, &IndexEntry::expires_ns>>,
        boost::multi_index::ordered_non_unique<
            boost::multi_index::tag<ByRecency>,
            boost::multi_index::member<IndexEntry, std::uint64_t, &IndexEntry::stamp>>>,
    EntryAllocator>;

/// The index of a formatted arena. REQUIRES the shard's lock.
EntryIndex& entry_index(std::byte* arena);

}  // namespace larder::shm
