// What the processes of a history share beside the cache: the source of truth, and what each of them did.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "tests/history/operation.hpp"
#include "tests/support/shared_object.hpp"

namespace larder::history {

/// Steps of one round; each appends one operation to its process's log, or two.
inline constexpr std::uint32_t kRoundSteps = 50'000;
inline constexpr std::uint32_t kMostOperations = kRoundSteps;  // of one log: whose is full rests

/// What the nemesis may ask of whoever comes first.
enum class Order : std::uint32_t { none, flood, invalidate_everything };

/// A mistake that a user of the cache makes on purpose, to see it found.
enum class Careless : std::uint32_t {
    none,
    late_stamp,    // taken after the source was read
    early_notice,  // announced before the change is committed
};

struct alignas(64) ActorLog {
    std::atomic<std::uint32_t> used{0};
    std::atomic<std::uint32_t> resting{0};  // the round whose work it knows to be over
    std::array<Operation, kMostOperations> operations;

    std::span<const Operation> all() const { return {operations.data(), used.load(std::memory_order_acquire)}; }
};

struct WorldState {
    std::array<std::atomic<std::uint32_t>, kKeys> source{};  // the version that a reader of the source sees
    alignas(64) std::atomic<std::uint32_t> round{0};         // 0: not yet
    std::atomic<std::int64_t> steps_left{0};
    std::atomic<bool> stop{false};
    std::atomic<Order> order{Order::none};
    std::atomic<Careless> careless{Careless::none};
    std::array<ActorLog, kActors> logs;
};

using World = test::SharedObject<WorldState>;

}  // namespace larder::history
