// The process that goes on when a victim has died: sets the scene before, and looks at everything afterwards.
#pragma once

#include <cstdint>
#include <string>

#include "shm/segment.hpp"
#include "tests/single_step/operation.hpp"
#include "tests/single_step/world.hpp"
#include "tests/support/child_process.hpp"

namespace larder::single_step {

/// What the one that kills has seen of a death.
struct Death {
    static constexpr std::uint32_t kNoShard = ~0u;

    std::uint32_t operation = 0;      // in operations()
    std::uint32_t broken = kNoShard;  // the shard that was left half edited
};

class Survivor {
public:
    /// Makes the cache, in a process of its own.
    Survivor(const World& world, Answers& answers);

    /// Both say what is wrong, beginning with the promise that it breaks ("R3 ..."); "": nothing.
    std::string prepare(std::uint32_t operation);
    std::string look_after(const Death& death);

private:
    static constexpr std::chrono::seconds kHang{10};  // R1: what counts as blocked

    std::string ask(char what, const Death& death);

    test::ChildProcess process_;
};

}  // namespace larder::single_step
