// The floor under any lookup: hash, one directory probe, whole-key comparison, and nothing else. No pin, no lock, no
// clock, no counter, no bounds check. Records have the cache's shape and lie in shared memory of the same kind, in huge
// pages where the cache is in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shm/directory.hpp"
#include "shm/hash.hpp"
#include "shm/record.hpp"

namespace larder::bench {

/// One thread's; only ever added to.
class FlatTable {
public:
    /// Room for so many values of one size.
    FlatTable(std::uint32_t entries, std::size_t value_bytes);
    ~FlatTable();
    FlatTable(const FlatTable&) = delete;
    FlatTable& operator=(const FlatTable&) = delete;

    /// REQUIRES: room, and the key is not there.
    void add(std::string_view key, std::string_view value);

    /// Empty: not there. Touches the value itself in no way.
    std::string_view find(std::string_view key) const {
        const std::uint64_t hash = shm::hash_of(key, kSeed);
        for (std::uint64_t index = hash & mask_;; index = (index + 1) & mask_) {
            const std::uint64_t word = slots_[index];
            if (word == 0) return {};
            if (shm::slot_tag(word) != shm::tag_of(hash)) continue;
            const auto& record = *reinterpret_cast<const shm::Record*>(base_ + shm::slot_units(word) * shm::kUnitBytes);
            if (shm::key_of(record) == key) return shm::value_of(record);
        }
    }

private:
    static constexpr std::uint64_t kSeed = 0x666c6f6f72ULL;

    std::byte* base_ = nullptr;
    std::size_t bytes_ = 0;
    std::uint64_t* slots_ = nullptr;
    std::uint64_t mask_ = 0;
    std::uint64_t end_units_ = 0;
};

}  // namespace larder::bench
