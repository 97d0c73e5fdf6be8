// What lies behind a Record's fixed fields, and the one check that makes it safe to look there.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "shm/layout.hpp"

namespace larder::shm {

/// Bytes of key, stripes and tags behind the fixed fields, and where the value starts (16-aligned).
struct RecordShape {
    std::uint64_t key_bytes = 0, tags = 0, tags_bytes = 0, value_bytes = 0;

    constexpr std::uint64_t stripes() const { return 2 + tags; }  // of the key, its namespace, its tags
    constexpr std::uint64_t stripes_at() const { return (sizeof(Record) + key_bytes + 3) / 4 * 4; }
    constexpr std::uint64_t tags_at() const { return stripes_at() + 4 * stripes(); }
    constexpr std::uint64_t value_at() const {
        return (tags_at() + tags_bytes + kUnitBytes - 1) / kUnitBytes * kUnitBytes;
    }
    constexpr std::uint64_t total() const { return value_at() + value_bytes; }
};

/// Each length is read once: a rogue peer may scribble over them while they are judged.
inline RecordShape shape_of(const Record& record) {
    const auto once = [](const auto& field) { return __atomic_load_n(&field, __ATOMIC_RELAXED); };
    return {once(record.key_bytes), once(record.tags), once(record.tags_bytes), once(record.value_bytes)};
}

/// The value, where the record's lengths agree with each other and with a key of `key_bytes`, and end within `room`
/// bytes. Else data() is null, and the record is another key's or damaged.
inline std::string_view fitting_value(const Record& record, std::uint64_t key_bytes, std::uint64_t room) {
    const RecordShape shape = shape_of(record);
    const std::uint64_t value_at = __atomic_load_n(&record.value_at, __ATOMIC_RELAXED);
    if (shape.key_bytes != key_bytes || key_bytes == 0 || key_bytes > kMaxKeyBytes || shape.tags > kMaxTags ||
        shape.tags_bytes > kMaxTags * (kMaxTagBytes + 2) || value_at != shape.value_at() || shape.total() > room)
        return {};
    return {reinterpret_cast<const char*>(&record) + value_at, shape.value_bytes};
}

/// Its lengths agree with each other and end within `room` bytes: nothing below leaves the arena. What fails is
/// damaged.
inline bool record_fits(const Record& record, std::uint64_t room) {
    return fitting_value(record, record.key_bytes, room).data() != nullptr;
}

// REQUIRES of all below: record_fits.

inline const char* bytes_of(const Record& record) { return reinterpret_cast<const char*>(&record); }

inline std::string_view key_of(const Record& record) { return {bytes_of(record) + sizeof(Record), record.key_bytes}; }

/// Whether `text` is at `bytes`. Keys are short: words inline, since a call would cost more than the comparison.
inline bool same_bytes(const char* bytes, std::string_view text) {
    const auto differs_at = [&](std::size_t at) {
        std::uint64_t left = 0, right = 0;
        std::memcpy(&left, bytes + at, sizeof left);
        std::memcpy(&right, text.data() + at, sizeof right);
        return left != right;
    };
    if (text.size() < 8 || text.size() > 64) return std::memcmp(bytes, text.data(), text.size()) == 0;
    for (std::size_t at = 0; at + 8 < text.size(); at += 8)
        if (differs_at(at)) return false;
    return !differs_at(text.size() - 8);
}

inline std::string_view value_of(const Record& record) {
    return {bytes_of(record) + record.value_at, record.value_bytes};
}

/// stripe_of(record, 0) is the key's, 1 the namespace's, then one for each tag.
inline std::uint32_t stripe_of(const Record& record, std::uint64_t i) {
    std::uint32_t stripe = 0;
    std::memcpy(&stripe, bytes_of(record) + shape_of(record).stripes_at() + 4 * i, sizeof stripe);
    return stripe % kFences;
}

/// Calls visit(std::string_view) for each tag; stops at one that would leave the tags' bytes.
template <class Visit>
void for_each_tag(const Record& record, Visit&& visit) {
    const char* at = bytes_of(record) + shape_of(record).tags_at();
    const char* const end = at + record.tags_bytes;
    for (unsigned i = 0; i < record.tags; ++i) {
        std::uint16_t length = 0;
        if (end - at < static_cast<std::ptrdiff_t>(sizeof length)) return;
        std::memcpy(&length, at, sizeof length);
        at += sizeof length;
        if (end - at < length) return;
        visit(std::string_view(at, length));
        at += length;
    }
}

}  // namespace larder::shm
