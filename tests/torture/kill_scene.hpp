// A segment and processes that work on it until they are told to stop or die, and what must be left of them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "shm/cache.hpp"
#include "shm/segment.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/torture/kill_world.hpp"

namespace larder::torture {

/// Whoever has it only looks; what makes and fills the segment are processes of their own.
class KillScene {
public:
    KillScene();

    /// Forks the actor; its random choices are those of `seed`.
    pid_t start_actor(std::uint32_t number, std::uint64_t seed);
    /// When all have ended: everything is erased, and what is left then is told, in words. Empty: nothing.
    std::string leftovers() const;

    const Options& options() const { return options_; }
    const shm::SegmentView& view() const { return segment_.view(); }
    const std::string& path() const { return path_; }
    KillWorld& world() { return world_; }
    const KillWorld& world() const { return world_; }

private:
    test::ScopedDirectory directory_;
    Options options_;
    std::string path_;
    shm::Segment segment_;
    std::uint64_t fresh_bytes_;
    KillWorld world_;
};

}  // namespace larder::torture
