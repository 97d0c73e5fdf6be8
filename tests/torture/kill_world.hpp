// What the processes of the kill torture share beside the cache: plain atomics in memory of their own, so that a dead
// process's last words stay as it left them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "tests/support/shared_object.hpp"

namespace larder::torture {

inline constexpr std::uint32_t kActors = 6;
inline constexpr std::uint32_t kShards = 8;
inline constexpr std::uint32_t kKeys = 400;

/// What a process is doing, as far as its death may cost others something.
enum class Doing : std::uint32_t { nothing, reading, writing };

/// Why the torture failed; the first one stays.
enum class Wrong : std::uint32_t { none, bytes, pinned_bytes, dumped_bytes, put_refused, exception };
inline constexpr std::array<const char*, 6> kWrongs = {"nothing",
                                                       "a lookup showed wrong bytes",
                                                       "the bytes of a pinned value changed",
                                                       "a dump showed wrong bytes",
                                                       "a good put was refused",
                                                       "an exception"};

struct alignas(64) ActorState {
    std::atomic<int> pid{0};
    std::atomic<Doing> doing{Doing::nothing};
    std::atomic<std::int64_t> next_ns{0};    // what it still needed after the last kill to finish what it was doing
    std::atomic<std::uint64_t> answered{0};  // the last round in which it finished an operation on every shard
    std::array<std::atomic<std::int64_t>, kShards> answers_ns{};  // how long a lookup and a put took there
    std::atomic<std::uint64_t> operations{0};
    std::atomic<std::uint64_t> checked{0};  // values
    std::atomic<bool> paused{false};
};

struct KillWorldState {
    std::array<ActorState, kActors> actors{};
    std::atomic<std::uint64_t> round{0};
    std::atomic<std::int64_t> killed_ns{0};  // just before the last kill; set before it is counted
    std::atomic<std::uint64_t> kills{0};     // counted once they are sent; two at a time count as one
    std::atomic<bool> pause{false}, stop{false};
    std::atomic<bool> tend{false};  // during a pause: one of them gives back what can be
    std::atomic<Wrong> wrong{Wrong::none};
    char why[160] = "";  // of an exception; written by whoever set `wrong`

    /// The promise that it breaks: a survivor that cannot go on was hurt.
    const char* broken() const { return wrong.load() < Wrong::put_refused ? "R3" : "R1"; }
    std::string what_is_wrong() const {
        return std::string(kWrongs[static_cast<std::size_t>(wrong.load())]) + (why[0] == '\0' ? "" : ": ") + why;
    }
};

using KillWorld = test::SharedObject<KillWorldState>;

inline std::string key_of(std::uint32_t n) { return (n % 3 == 0 ? "user:" : "page:") + std::to_string(n); }
inline std::string tag_of(std::uint32_t n) { return "tag:" + std::to_string(n % 16); }

}  // namespace larder::torture
