// The operations that are killed at their instructions.
#pragma once

#include <cstdint>
#include <span>

#include "tests/single_step/world.hpp"

namespace larder::single_step {

/// What a victim is killed at.
enum class Kind : std::uint8_t {
    use,      // of a cache that it has open, and has used
    rebuild,  // the same, with a shard that another victim left half edited
    attach,   // opens the cache
    create,   // makes one
};

struct Operation {
    const char* name;
    Kind kind;
    void (*prepare)(Side&);       // by the survivor
    void (*run)(Side&);           // by the victim, unless it opens
    std::uint32_t may_evict = 0;  // of shard 0's residents
};

std::span<const Operation> operations();

}  // namespace larder::single_step
