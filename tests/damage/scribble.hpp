// Scribbling: processes read a segment while a peer writes over its slots, records and values, and puts back what was
// there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/damage/specimen.hpp"

namespace larder::damage {

/// What readers met.
struct Scribbled {
    std::vector<std::string> wrong_bytes, broken;  // broken: by a crash, a hang, or without a hit
};

/// Slots and records for half of the time, then values, too. Prints what was read.
Scribbled scribble(const std::vector<Specimen>& specimens, std::uint64_t seed, std::uint64_t seconds);

}  // namespace larder::damage
