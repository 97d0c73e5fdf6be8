// What every benchmark asks for: 20,000 keys, values that prove themselves, and the same orders of use in every run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace larder::bench {

inline constexpr std::uint32_t kKeys = 20'000;
inline constexpr std::size_t kKeyBytes = 24;  // "assignment_stats:" and seven digits

enum class Distribution : std::uint8_t { uniform, zipf };  // zipf: exponent 0.99, popular keys spread over all numbers
std::string_view name_of(Distribution distribution);
std::string bytes_text(std::size_t bytes);  // "64 B", "8 KiB"

/// A check that stays on. Throws std::runtime_error.
inline void require(bool holds, const char* what) {
    if (!holds) throw std::runtime_error(what);
}

struct Key {
    std::array<char, kKeyBytes> bytes;
    std::string_view text() const { return {bytes.data(), bytes.size()}; }
};
Key key_of(std::uint32_t number);

/// Bytes that only this key's value has. REQUIRES: size_bytes >= 8.
std::string value_of(std::uint32_t number, std::size_t size_bytes);
/// The first eight bytes of value_of, as a number.
std::uint64_t mark_of(std::uint32_t number);

/// An order of use, prepared beforehand and walked round and round. The keys' bytes lie in the order in which they are
/// used, so that fetching them costs as little as if the caller had just made them.
struct Sequence {
    std::vector<Key> keys;
    std::vector<std::uint32_t> numbers;
    std::vector<std::uint64_t> marks;  // marks[n]: the sum of mark_of over the first n

    static constexpr std::size_t kLength = 1 << 16;
    std::string_view operator[](std::size_t use) const { return keys[use % kLength].text(); }
    std::uint64_t marks_of(std::size_t uses) const { return marks[uses]; }
};

/// Made once, equal in every process.
const Sequence& sequence(Distribution distribution);
/// Of keys that no benchmark stores.
const Sequence& absent_sequence();

}  // namespace larder::bench
