// Who kills: picks a process and a moment, strikes, and checks that nobody else was hurt.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "shm/layout.hpp"
#include "tests/support/section.hpp"
#include "tests/torture/kill_world.hpp"

namespace larder::torture {

/// What was done and seen; the figures of R1, R2, R3 and R15.
struct KillReport {
    std::uint64_t kills = 0, aborts = 0, stops = 0;
    std::uint64_t inside = 0;      // victims that died inside a writing section
    std::uint64_t rebuilding = 0;  // of them inside a rebuild
    std::uint64_t rebuilds = 0;
    std::uint64_t operations = 0;
    std::vector<std::int64_t> answers_ns;  // a lookup and a put on each shard by each survivor after each kill
    std::int64_t slowest_cleaning_ns = 0;  // until slot, pins and lease of a dead process were given back
    std::string broken;                    // the promise that the failure breaks, "R1"
    std::string failure;                   // "": none
};

class Nemesis {
public:
    /// `start(n)`: forks actor n and returns its pid.
    using Start = std::function<pid_t(std::uint32_t)>;

    Nemesis(const shm::SegmentView& view, KillWorld& world, Start start, std::uint64_t seed);
    /// Ends whoever still lives.
    ~Nemesis();
    Nemesis(const Nemesis&) = delete;
    Nemesis& operator=(const Nemesis&) = delete;

    /// Strikes until so many have died, or something is wrong, or the time is over.
    KillReport run(std::uint64_t kills, std::chrono::seconds limit);

private:
    struct Victim {
        std::uint32_t actor = 0;
        bool was_stopped = false;  // before it was killed, so that it died where it was then
        bool was_inside = false;   // a writing section, by its own word
        bool was_rebuilding = false;
        bool may_break = false;  // it may have been inside a writing section
    };

    void begin();
    void strike();
    void stop_for_a_while(std::uint32_t actor);
    Victim kill(std::uint32_t actor, int signal);
    std::vector<Victim> kill_rebuilder();
    void end_with(const Victim& victim, int signal);
    void bury(Victim& victim);
    std::optional<std::uint32_t> actor_inside(bool rebuilding, std::chrono::microseconds patience) const;
    std::optional<std::uint32_t> stop_inside(bool rebuilding, std::chrono::microseconds patience) const;
    bool is_inside(std::uint32_t actor, bool rebuilding) const;
    std::optional<test::Section> section_of(std::uint32_t actor) const;
    std::uint32_t any_actor() { return static_cast<std::uint32_t>(random_() % kActors); }

    void see_to_the_dead(std::vector<Victim>& victims);
    void see_to_the_living(const std::vector<Victim>& victims);
    void await_answers(const std::vector<Victim>& victims);
    void check_rebuilds(const std::vector<Victim>& victims);
    void check_cleaning();
    void check_structure();
    void end();
    void fail(const char* promise, const std::string& what);
    std::array<std::uint64_t, kShards> rebuilds() const;

    const shm::SegmentView& view_;
    KillWorld& world_;
    const Start start_;
    std::mt19937_64 random_;
    std::array<pid_t, kActors> pids_{};
    std::array<std::uint64_t, kShards> rebuilds_before_{};
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::int64_t> dead_since_ns_;  // by slot and incarnation
    KillReport report_;
};

}  // namespace larder::torture
