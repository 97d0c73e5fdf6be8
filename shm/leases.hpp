// Leases: which key is being computed, by whom, and what became of it (single flight over all processes of the host).
//
// Every key belongs to one of 64 groups of 16 slots, each group with a robust lock of its own that is held for some
// stores only. A slot is read and written under that lock; its state is stored last, and before other fields of a slot
// change their meaning its state says free, so that a slot is valid as before or as after wherever a process is killed:
// who gets EOWNERDEAD marks the lock consistent and goes on. The lock is waited for at most 10 ms (its owner may be
// stopped).
//
// A lease ends by release(), by the death of its holder, or at its deadline, whichever the next caller sees first. The
// token, raised by each new holder, makes whatever an old one still does worthless. How to use it:
//
//     for (;;) {                                       // bounded by the caller's own deadline
//         Acquired got = leases.acquire(hash, me, now_ns, lease_ns, is_dead);
//         if (got.answer == Answer::granted) break;    // look again, compute, publish if is_current(), then release
//         if (got.answer != Answer::wait) break;       // compute without a lease
//         leases.wait(got.slot, got.word, rest_ns);
//         if (leases.observe(got.slot, got.token).state == LeaseState::failed) break;  // ComputeFailed
//         // look into the cache; else ask again: acquire() is who finds out that the holder died
//     }
//
// A failure is told to those who waited for that very computation, through observe(). Who asks later may compute at
// once: a fresh computation is the only way to learn that the cause is gone; it takes another slot while one is to be
// had, so that the failed one goes on telling its waiters for a second.
//
// A thread that holds a lease never waits for another: it computes that key without one. That rule is the caller's.
// Threads and processes: any number. Nothing here reads a clock but the bounds of waits.
#pragma once

#include <cstdint>
#include <functional>

#include "shm/layout.hpp"

namespace larder::shm {

/// A process: registry slot and that slot's incarnation.
struct Holder {
    std::uint32_t slot = 0;
    std::uint64_t incarnation = 0;
};

/// Whether a process is gone, for leases: a doubt may say yes. Called outside all locks.
using HolderIsDead = std::function<bool(const Holder&)>;

inline constexpr std::int64_t kOutcomeKeptNs = 1'000'000'000;
inline constexpr std::int64_t kLeaseWaitStepNs = 10'000'000;
inline constexpr std::int64_t kLeaseLockBudgetNs = 10'000'000;

class Leases {
public:
    enum class Answer : std::uint8_t {
        granted,      ///< the caller computes, and releases
        wait,         ///< another is at it
        uncacheable,  ///< its value was found not to be storable a moment ago: everybody computes, without a lease
        full,         ///< no slot, or the group's lock was not to be had in time: compute without a lease
    };

    struct Acquired {
        Answer answer = Answer::full;
        bool took_over = false;     ///< granted: from a holder that died or was past its deadline
        std::uint32_t slot = 0;     ///< granted, wait
        std::uint64_t token = 0;    ///< granted: the caller's; wait: the holder's
        std::uint32_t word = 0;     ///< wait: hand it to wait()
        std::int64_t ended_ns = 0;  ///< granted: when the key's last computation ended; 0: not known (any more)
        bool fenced = false;        ///< that one's value had been overtaken before it was stored
    };

    Leases() = default;
    explicit Leases(const SegmentView& view) : view_(view) {}

    /// Initialises all groups of a segment that is being made.
    static void format(const SegmentView& view);

    /// Asks for the key's lease, which ends `lease_ns` after `now_ns`. Never waits but for the group's lock.
    Acquired acquire(std::uint64_t key_hash, const Holder& me, std::int64_t now_ns, std::int64_t lease_ns,
                     const HolderIsDead& is_dead) const;

    /// The lease is still the caller's: ask inside the shard's section, before publishing.
    bool is_current(std::uint32_t slot, std::uint64_t token) const;

    /// Ends the lease and wakes its waiters. `outcome`: stored, fenced, failed, uncacheable or abandoned; `as_of`: of
    /// what was stored. False: the token is not current any more (nothing was done), or the lock was not to be had in
    /// time (the deadline ends the lease).
    bool release(std::uint32_t slot, std::uint64_t token, LeaseState outcome, std::uint64_t as_of,
                 std::int64_t now_ns) const;

    /// Sleeps until the slot's word is not `word`, at most `limit_ns` and at most 10 ms (then ask again: the holder may
    /// be dead). May return early.
    void wait(std::uint32_t slot, std::uint32_t word, std::int64_t limit_ns) const;

    /// What became of the computation with that token. `held`: it goes on (or the lock was not to be had in time);
    /// `free`: the slot has forgotten it, look into the cache and ask again.
    struct Observed {
        LeaseState state = LeaseState::held;
        std::uint64_t as_of = 0;  ///< stored, fenced
    };
    Observed observe(std::uint32_t slot, std::uint64_t token) const;

    /// Ends leases of dead processes (as abandoned, waking their waiters) in `groups` groups from `first_group` on,
    /// modulo kLeaseLocks. Returns how many. Holders past their deadline are left to the next caller.
    std::uint32_t sweep(std::uint32_t first_group, std::uint32_t groups, std::int64_t now_ns,
                        const HolderIsDead& is_dead) const;

    /// The group of a key, and the slot itself, for inspectors.
    static constexpr std::uint32_t group_of(std::uint64_t key_hash) {
        return static_cast<std::uint32_t>(key_hash >> 32) % kLeaseLocks;
    }
    LeaseSlot& slot(std::uint32_t index) const {
        return view_.leases(index / kLeasesPerLock).slots[index % kLeasesPerLock];
    }

private:
    class Section;
    struct Choice;

    static Choice choose(LeaseGroup& group, std::uint64_t key_hash, std::int64_t now_ns);
    Acquired try_acquire(std::uint64_t key_hash, const Holder& me, std::int64_t now_ns, std::int64_t lease_ns,
                         const Acquired& dead, Holder& holder) const;
    bool end_if_dead(std::uint32_t index, std::int64_t now_ns, const HolderIsDead& is_dead) const;

    SegmentView view_;
};

}  // namespace larder::shm
