// One process of the kill torture: random operations on values that prove themselves, until it is told to stop or dies.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "shm/layout.hpp"
#include "tests/torture/kill_world.hpp"

namespace larder::torture {

class KillActor {
public:
    /// `view`: the segment, for dumps. `number`: its place in the world.
    KillActor(Cache cache, const shm::SegmentView& view, KillWorld& world, std::uint32_t number, std::uint64_t seed);

    /// The process's exit code.
    int live();

private:
    struct Held {
        std::string key;
        Pinned pinned;
    };

    void step();
    template <class Operation>
    std::int64_t time(Operation&& operation);
    void answer(std::uint64_t round);
    void pause();
    template <class Operation>
    auto as(Doing doing, Operation&& operation);

    void get(const std::string& key);
    void hold(const std::string& key);
    void put(const std::string& key, std::uint32_t n);
    void compute(const std::string& key, std::uint32_t n);
    void invalidate(const std::string& key, std::uint32_t n);
    void dump();
    void check(const std::string& key, std::string_view value, Wrong wrong);
    std::string fresh_value(const std::string& key);
    void fail(Wrong wrong, const char* why = "");

    Cache cache_;
    const shm::SegmentView& view_;
    KillWorld& world_;
    ActorState& self_;
    std::mt19937_64 random_;
    std::vector<Held> held_;
    std::array<std::string, kShards> key_in_shard_;
    std::uint64_t version_ = 0;
    std::uint64_t kills_ = 0;  // after which it has finished something
};

}  // namespace larder::torture
