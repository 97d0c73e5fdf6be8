// Values that prove themselves: whoever reads one can tell that it is whole, belongs to its key, and which version it
// is.
//
//     | hash of the key: 8 | version: 8 | length: 8 | filler from key and version | checksum of all before: 8 |
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "shm/hash.hpp"

namespace larder::test {

inline constexpr std::size_t kLeastProvingBytes = 32;

inline std::string proving_value(std::string_view key, std::uint64_t version, std::size_t bytes = 256) {
    std::string value(bytes < kLeastProvingBytes ? kLeastProvingBytes : bytes, '\0');
    const auto put = [&value](std::size_t at, std::uint64_t word) {
        std::memcpy(value.data() + at, &word, sizeof word);
    };
    const std::uint64_t hash = shm::hash_of(key, 0), length = value.size();
    put(0, hash);
    put(8, version);
    put(16, length);
    std::uint64_t state = hash ^ version;
    for (std::size_t at = 24; at + 8 < value.size(); ++at) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        value[at] = static_cast<char>(state >> 56);
    }
    put(value.size() - 8, shm::hash_of(std::string_view(value).substr(0, value.size() - 8), 1));
    return value;
}

/// The version; nullopt: these are not the bytes that proving_value gave for this key.
inline std::optional<std::uint64_t> proven_version(std::string_view key, std::string_view value) {
    if (value.size() < kLeastProvingBytes) return std::nullopt;
    const auto word = [value](std::size_t at) {
        std::uint64_t read = 0;
        std::memcpy(&read, value.data() + at, sizeof read);
        return read;
    };
    if (word(0) != shm::hash_of(key, 0) || word(16) != value.size()) return std::nullopt;
    if (word(value.size() - 8) != shm::hash_of(value.substr(0, value.size() - 8), 1)) return std::nullopt;
    return word(8);
}

/// The bytes that proving_value gave for this key, or for any other.
inline bool proves_any_key(std::string_view value) {
    if (value.size() < kLeastProvingBytes) return false;
    std::uint64_t checksum = 0;
    std::memcpy(&checksum, value.data() + value.size() - sizeof checksum, sizeof checksum);
    return checksum == shm::hash_of(value.substr(0, value.size() - sizeof checksum), 1);
}

}  // namespace larder::test
