// One process of a history: random operations on few keys, each of them written down, until it is told to stop or dies.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "shm/cache.hpp"
#include "shm/socket/notifier.hpp"
#include "tests/history/world.hpp"

namespace larder::history {

class Actor {
public:
    /// `number`: its place in the world, whose log it continues.
    Actor(Cache cache, Notifier notifier, World& world, std::uint32_t number, std::uint64_t seed);

    /// The process's exit code.
    int live();

private:
    void rest(std::uint32_t round);
    void step();
    void obey(Order order);

    Operation& start(Kind kind, std::uint32_t key, Life life = {}, Scope scope = Scope::key);
    void finish(Operation& operation) const;
    void observe(Operation& operation, const Pinned& given) const;

    void get(std::uint32_t key);
    void copied_get(std::uint32_t key);
    void compute(std::uint32_t key);
    void begin(std::uint32_t key);
    void fill(std::uint32_t key, Lease lease);
    void put(std::uint32_t key);
    void change(std::uint32_t key);
    void touch(std::uint32_t key);
    void erase(std::uint32_t key);
    void flood();

    bool announce(Scope scope, std::uint32_t key, bool through_socket);
    std::string read_source(std::uint32_t key, const Operation& writer);
    Life some_life(std::uint32_t key);
    EntryOptions options_of(std::uint32_t key, const Life& life) const;
    std::uint64_t random(std::uint64_t below) { return random_() % below; }

    Cache cache_;
    const Notifier notifier_;
    World& world_;
    const std::uint32_t number_;
    ActorLog& log_;
    std::mt19937_64 random_;
};

}  // namespace larder::history
