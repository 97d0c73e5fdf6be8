#include "bench/flat_table.hpp"

#include <sys/mman.h>

#include <bit>
#include <cstring>
#include <new>

#include "bench/workload.hpp"
#include "shm/system.hpp"

namespace larder::bench {
namespace {

constexpr std::uint64_t kAllocatorBytes = 16;  // in front of each record, as the cache's allocator has them
constexpr std::uint64_t kMostKeyBytes = 64;

std::uint64_t units_for(std::uint64_t bytes) { return (bytes + shm::kUnitBytes - 1) / shm::kUnitBytes; }

}  // namespace

FlatTable::FlatTable(std::uint32_t entries, std::size_t value_bytes) {
    const std::uint64_t slots = std::bit_ceil(std::uint64_t{entries} * 5 / 2);  // the rule of the cache's directories
    const shm::RecordShape largest{kMostKeyBytes, 0, 0, value_bytes};
    const std::uint64_t record_units = units_for(largest.total() + kAllocatorBytes);
    bytes_ = slots * sizeof(std::uint64_t) + entries * record_units * shm::kUnitBytes;
    const shm::system::Descriptor file(::memfd_create("floor", MFD_CLOEXEC));
    base_ = shm::system::map_shared(file.number(), bytes_, true).base;
    if (!file.is_open() || base_ == nullptr) throw std::bad_alloc();
    shm::system::allocate_huge_pages(file.number(), base_, bytes_);
    if (shm::system::allocate(file.number(), bytes_) != 0) throw std::bad_alloc();
    slots_ = reinterpret_cast<std::uint64_t*>(base_);
    mask_ = slots - 1;
    end_units_ = units_for(slots * sizeof(std::uint64_t));
}

FlatTable::~FlatTable() { shm::system::unmap(base_, bytes_); }

void FlatTable::add(std::string_view key, std::string_view value) {
    require(find(key).empty(), "the floor's table has the key already");
    const shm::RecordShape shape{key.size(), 0, 0, value.size()};
    const std::uint64_t units = end_units_ + units_for(kAllocatorBytes);
    end_units_ = units + units_for(shape.total());
    require(end_units_ * shm::kUnitBytes <= bytes_, "the floor's table is full");

    auto* const record = new (base_ + units * shm::kUnitBytes) shm::Record{};
    record->key_bytes = static_cast<std::uint16_t>(key.size());
    record->value_at = static_cast<std::uint32_t>(shape.value_at());
    record->value_bytes = static_cast<std::uint32_t>(value.size());
    char* const bytes = reinterpret_cast<char*>(record);
    std::memcpy(bytes + sizeof(shm::Record), key.data(), key.size());
    std::memcpy(bytes + shape.value_at(), value.data(), value.size());

    const std::uint64_t hash = shm::hash_of(key, kSeed);
    std::uint64_t index = hash & mask_;
    while (slots_[index] != 0) index = (index + 1) & mask_;
    slots_[index] = shm::slot_word(units, shm::tag_of(hash), 1);
}

}  // namespace larder::bench
