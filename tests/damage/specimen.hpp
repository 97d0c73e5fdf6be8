// Specimen: a real segment as the processes that used it left it, kept as the pages of it that are not zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "shm/layout.hpp"

namespace larder::damage {

/// What a segment is made of. All have tags, negative, stale, expired and invalidated entries, notices, leases that are
/// held, pins of a dead process.
struct Shape {
    const char* name;
    std::uint32_t shards;
    std::uint32_t keys;
    std::size_t least_bytes, most_bytes;  // of a value
    Options::Recency recency = Options::Recency::clock;
    const char* findings = "";  // what the doctor says of it
    bool crashed = false;       // one shard was rebuilt and left a condemned arena, another one is half edited
};

/// Bytes of a file that are replaced.
struct Edit {
    std::uint64_t at = 0;
    std::string bytes;
};

inline constexpr const char* kCacheName = "specimen";

struct Unmap {
    std::uint64_t bytes = 0;
    void operator()(std::byte* memory) const;
};

class Specimen {
public:
    /// Made by processes of their own, which are killed. The same shape gives the same geometry, slots and records.
    explicit Specimen(const Shape& shape);
    Specimen(Specimen&&) noexcept = default;

    const Shape& shape() const { return shape_; }
    std::string key(std::uint32_t n) const { return "user:" + std::to_string(n); }
    /// The segment's bytes, unchanged.
    shm::SegmentView view() const { return {memory_.get(), bytes_, &view_header().geometry}; }
    std::uint64_t bytes() const { return bytes_; }
    /// Its shard was left half edited: the doctor says that its entries may be missed.
    bool is_half_edited(std::uint32_t n) const;
    /// Offsets of the pages that are not zero, and of all records that a slot names.
    const std::vector<std::uint64_t>& pages() const { return pages_; }
    const std::vector<std::uint64_t>& records() const { return records_; }

    /// A new file of mode 0600 with these bytes. REQUIRES: nothing is there.
    void write(const std::string& path, const std::vector<Edit>& edits, std::uint64_t file_bytes) const;

private:
    const shm::SegmentHeader& view_header() const { return *reinterpret_cast<shm::SegmentHeader*>(memory_.get()); }
    void read(const std::string& path);
    void find_records();

    Shape shape_;
    std::uint64_t bytes_ = 0;
    std::unique_ptr<std::byte, Unmap> memory_;
    std::vector<std::uint64_t> pages_, records_;
};

/// One of each shape.
std::vector<Specimen> make_specimens();

}  // namespace larder::damage
