#include "bench/locked_cache.hpp"

#include <sys/mman.h>

#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/containers/string.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/multi_index/hashed_index.hpp>
#include <boost/multi_index/member.hpp>
#include <boost/multi_index/sequenced_index.hpp>
#include <boost/multi_index_container.hpp>
#include <new>

#include "bench/workload.hpp"
#include "shm/hash.hpp"
#include "shm/system.hpp"

namespace larder::bench {
namespace {

namespace ipc = boost::interprocess;
namespace mi = boost::multi_index;

using Heap = ipc::managed_external_buffer;
template <class T>
using Allocator = ipc::allocator<T, Heap::segment_manager>;
using Text = ipc::basic_string<char, std::char_traits<char>, Allocator<char>>;

struct Entry {
    Text key, value;
    std::int64_t expires_ns;
    mutable std::uint64_t hits;
};

std::string_view view_of(const Text& text) { return {text.data(), text.size()}; }

struct Hash {
    std::size_t operator()(std::string_view key) const { return shm::hash_of(key, 1); }
    std::size_t operator()(const Text& key) const { return shm::hash_of(view_of(key), 1); }
};
struct Equal {
    bool operator()(std::string_view left, const Text& right) const { return left == view_of(right); }
    bool operator()(const Text& left, std::string_view right) const { return right == view_of(left); }
    bool operator()(const Text& left, const Text& right) const { return left == right; }
};
struct ByKey {};
struct ByUse {};
using Entries = mi::multi_index_container<
    Entry,
    mi::indexed_by<mi::hashed_unique<mi::tag<ByKey>, mi::member<Entry, Text, &Entry::key>, Hash, Equal>,
                   mi::sequenced<mi::tag<ByUse>>>,
    Allocator<Entry>>;

}  // namespace

struct LockedCache::Shared {
    Heap heap;
    ipc::interprocess_mutex mutex;
    Entries entries;
    std::uint64_t hits = 0, misses = 0;

    Shared(void* memory, std::size_t bytes)
        : heap(ipc::create_only, memory, bytes),
          entries(Entries::ctor_args_list(), Allocator<Entry>(heap.get_segment_manager())) {}

    /// Calls use(value) under the lock.
    template <class Use>
    bool look_up(std::string_view key, Use&& use) {
        const ipc::scoped_lock<ipc::interprocess_mutex> lock(mutex);
        auto& by_key = entries.get<ByKey>();
        const auto at = by_key.find(key, Hash{}, Equal{});
        if (at == by_key.end() || at->expires_ns <= shm::system::coarse_ns()) {
            ++misses;
            return false;
        }
        auto& by_use = entries.get<ByUse>();
        by_use.relocate(by_use.end(), entries.project<ByUse>(at));
        ++at->hits;
        ++hits;
        use(at->value);
        return true;
    }
};

LockedCache::LockedCache(std::uint64_t entries, std::size_t value_bytes) {
    constexpr std::size_t kEntryBytes = 512;
    bytes_ = (1ULL << 20) + entries * (value_bytes + kEntryBytes);
    void* const memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<std::byte*>(memory);
    constexpr std::size_t kHeapAt = (sizeof(Shared) + 4095) / 4096 * 4096;
    shared_ = new (base_) Shared(base_ + kHeapAt, bytes_ - kHeapAt);
    shared_->entries.get<ByKey>().reserve(entries);
}

LockedCache::~LockedCache() { ::munmap(base_, bytes_); }

void LockedCache::put(std::string_view key, std::string_view value, std::int64_t expires_ns) {
    const ipc::scoped_lock<ipc::interprocess_mutex> lock(shared_->mutex);
    const Allocator<char> bytes(shared_->heap.get_segment_manager());
    shared_->entries.get<ByUse>().push_back(
        Entry{Text(key.data(), key.size(), bytes), Text(value.data(), value.size(), bytes), expires_ns, 0});
}

std::optional<std::string> LockedCache::get(std::string_view key) {
    std::optional<std::string> found;
    shared_->look_up(key, [&found](const Text& value) { found.emplace(value.data(), value.size()); });
    return found;
}

bool LockedCache::get(std::string_view key, std::string& value) {
    return shared_->look_up(key, [&value](const Text& found) { value.assign(found.data(), found.size()); });
}

}  // namespace larder::bench
