// What the operations of a round must look like from outside, whatever order they really had:
//
//   1. A value proves itself, and an operation of this round on this key has written it.
//   2. It is not older than the last version whose notice had been acknowledged before the lookup began.
//   3. It was not kept before such a notice was begun, nor before a later put of its key was begun that had ended.
//   4. It was not over by the coarse clock as the lookup's caller saw it, and not called fresh when it was stale.
//
// "Before" is between the end of one operation and the beginning of another, and only if the clock says so by more than
// kClockNs: what lies closer, or overlaps, may have happened in any order. Operations that never returned promise
// nothing, but what they kept may be seen. A notice waits until everybody has looked at the segment's name, a put does
// not: where the file was unlinked, who has not looked yet may go on for kLookNs with what he has mapped.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "tests/history/operation.hpp"

namespace larder::history {

/// Reading the clock is not ordered with the loads and stores around it to the nanosecond.
inline constexpr std::int64_t kClockNs = 200;

/// One round of all processes; it began with a notice that names everything.
struct History {
    std::array<std::span<const Operation>, kActors> logs;
    std::uint32_t round = 0;
    bool unlinked = false;  // the segment's file was removed from behind everybody's back
    std::array<std::uint32_t, kKeys> versions_before{}, versions_after{};  // of the source
};

/// Violations by promise, over all that was checked.
struct Judgement {
    std::uint64_t values = 0;      // lookups that were given one
    std::uint64_t hits = 0;        // of them from the cache, not of a computation
    std::uint64_t foreign = 0;     // R3: bytes that nobody wrote for this key
    std::uint64_t overtaken = 0;   // R11: rules 2 and 3
    std::uint64_t over = 0;        // R9: rule 4
    std::uint64_t near_death = 0;  // values given within two ticks around the end of their lives
    double latest_ms = 0;          // how long after its ttl a value was given, by the true clock (R9)
    std::uint64_t clock_stops =
        0;              // lookups that found the coarse clock behind by more than two ticks, not in `latest_ms`
    std::string first;  // violation, in words

    std::uint64_t violations() const { return foreign + overtaken + over; }
};

/// Adds what the history shows. `tick_ns`: of the coarse clock.
void judge(const History& history, std::int64_t tick_ns, Judgement& judgement);

}  // namespace larder::history
