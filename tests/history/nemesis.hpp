// Who makes a history hard: kills, stops, floods, invalidates everything and replaces the segment at random moments.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>

#include "tests/history/counts.hpp"
#include "tests/history/world.hpp"

namespace larder::history {

/// What may happen in a round, beside stops and floods.
struct Plan {
    bool kills = false;
    bool replaces = false;  // the segment, once
};

struct Deeds {
    std::uint64_t kills = 0, stops = 0, floods = 0, invalidations = 0, removals = 0, unlinks = 0;
};

class Nemesis {
public:
    /// How a segment goes: by the code of `larder rm --force`, or as by `rm` from behind everybody's back.
    enum class Removal { orderly, unlink };

    /// `start(n)` forks actor n and returns its pid; `remove` false: it could not.
    Nemesis(World& world, SegmentTrail& trail, std::function<pid_t(std::uint32_t)> start,
            std::function<bool(Removal)> remove, std::uint64_t seed);
    /// Ends whoever still lives.
    ~Nemesis();
    Nemesis(const Nemesis&) = delete;
    Nemesis& operator=(const Nemesis&) = delete;

    /// Until all that are alive rest. What went wrong, or "".
    std::string play(const Plan& plan);
    /// Tells all to end. What was wrong with that, or "".
    std::string end();
    const Deeds& deeds() const { return deeds_; }

private:
    struct Stopped {
        std::uint32_t actor;
        std::int64_t until_ns;
    };

    void strike(const Plan& plan);
    void stop_some();
    void let_go();
    void replace();
    void kill_one();
    bool all_rest() const;
    std::uint64_t operations() const;
    std::uint32_t any_actor() { return static_cast<std::uint32_t>(random_() % kActors); }

    World& world_;
    SegmentTrail& trail_;
    const std::function<pid_t(std::uint32_t)> start_;
    const std::function<bool(Removal)> remove_;
    std::mt19937_64 random_;
    std::array<pid_t, kActors> pids_{};
    std::optional<Stopped> stopped_;
    bool replaced_ = false;  // in this round
    Deeds deeds_;
    std::string failure_;
};

}  // namespace larder::history
