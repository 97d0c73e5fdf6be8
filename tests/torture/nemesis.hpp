// Who kills: picks a process and a moment, strikes, and checks that nobody else was hurt.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "shm/layout.hpp"
#include "tests/support/section.hpp"
#include "tests/torture/estates.hpp"
#include "tests/torture/kill_world.hpp"

namespace larder::torture {

/// What was done and seen; the figures of R1, R2, R3 and R15.
struct KillReport {
    std::uint64_t kills = 0, aborts = 0, stops = 0;
    std::uint64_t inside = 0;      // victims that died inside a writing section
    std::uint64_t rebuilding = 0;  // of them inside a rebuild
    std::uint64_t rebuilds = 0;
    std::uint64_t operations = 0;
    std::uint64_t checked = 0;             // values that were looked at
    std::vector<std::int64_t> answers_ns;  // what each survivor was doing at each kill, then a lookup and a put a shard
    std::vector<std::int64_t> returns_ns;  // from each kill until slot, pins and leases are seen to be back
    std::string broken;                    // the promise that the failure breaks, "R1"; or "aim", the harness's own
    std::string failure;                   // "": none

    std::uint64_t deaths() const { return kills + aborts; }
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
    /// Where to strike: in a writing section; in one that leaves its shard to be rebuilt; in a rebuild.
    enum class Place : std::uint8_t { section, half_edited, rebuild };

    struct Victim {
        std::uint32_t actor = 0;
        bool was_stopped = false;              // before it was killed, so that it died where it was then
        std::optional<test::Section> section;  // where it died, if it was stopped, or nobody has cleaned its slot since
        bool may_break = false;                // a shard that is not known, since its slot was cleaned too soon
    };

    void begin();
    void strike();
    void stop_for_a_while(std::uint32_t actor);
    Victim kill(std::uint32_t actor, int signal);
    std::vector<Victim> kill_rebuilder();
    void end_with(const Victim& victim, int signal);
    void bury(Victim& victim);
    std::optional<std::uint32_t> actor_inside(Place place, std::chrono::microseconds patience) const;
    std::optional<std::uint32_t> stop_inside(Place place, std::chrono::microseconds patience) const;
    bool stop_rebuilding(std::uint32_t actor, std::uint32_t shard, std::chrono::microseconds patience) const;
    bool is_inside(std::uint32_t actor, Place place) const;
    std::optional<test::Section> section_of(std::uint32_t actor) const;
    int any_signal() { return random_() % 4 == 0 ? SIGABRT : SIGKILL; }
    std::uint32_t any_actor() { return static_cast<std::uint32_t>(random_() % kActors); }

    void see_to_the_dead(std::vector<Victim>& victims);
    void see_to_the_living(const std::vector<Victim>& victims);
    void await_answers(const std::vector<Victim>& victims);
    void check_rebuilds(const std::vector<Victim>& victims);
    void check_returns();
    void await_returns();
    void check_structure();
    void check_bytes();
    void check_aim(std::uint64_t kills);
    void end();
    void fail(const char* promise, const std::string& what);
    std::array<std::uint64_t, kShards> rebuilds() const;

    const shm::SegmentView& view_;
    KillWorld& world_;
    const Start start_;
    std::mt19937_64 random_;
    std::array<pid_t, kActors> pids_{};
    std::array<std::uint64_t, kShards> rebuilds_before_{};
    Estates estates_;
    KillReport report_;
};

}  // namespace larder::torture
