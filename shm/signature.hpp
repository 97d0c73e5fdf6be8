// A number that differs whenever two builds would lay the segment out differently.
#pragma once

#include <cstdint>

namespace larder::shm {

/// FNV-1a over the eight bytes of `value`; chain it.
constexpr std::uint64_t mix_signature(std::uint64_t signature, std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) signature = (signature ^ (value >> 8 * byte & 0xFF)) * 0x100000001B3ULL;
    return signature;
}

/// Of this build: sizes, alignments and offsets of everything in layout.hpp, the C library's mutex, the Boost version
/// (its containers are in the arenas), byte order, and the build switches that change any of them.
std::uint64_t layout_signature();

}  // namespace larder::shm
