#include "shm/leases.hpp"

#include <algorithm>
#include <chrono>

#include "shm/elapsed.hpp"
#include "shm/robust_mutex.hpp"
#include "shm/system.hpp"
#include "shm/testing.hpp"

namespace larder::shm {
namespace {

LeaseState state_of(const LeaseSlot& slot) {
    return static_cast<LeaseState>(slot.state.load(std::memory_order_acquire));
}
void set_state(LeaseSlot& slot, LeaseState state) {
    slot.state.store(static_cast<std::uint32_t>(state), std::memory_order_release);
}
std::uint64_t token_of(const LeaseSlot& slot) { return slot.token.load(std::memory_order_acquire); }
Holder holder_of(const LeaseSlot& slot) {
    return {slot.holder.load(std::memory_order_relaxed), slot.holder_incarnation.load(std::memory_order_relaxed)};
}
bool operator==(const Holder& a, const Holder& b) { return a.slot == b.slot && a.incarnation == b.incarnation; }
void raise_word(LeaseSlot& slot) { slot.word.fetch_add(1, std::memory_order_release); }

bool is_fresh(const LeaseSlot& slot, std::int64_t now_ns) {
    return elapsed_ns(slot.changed_ns.load(std::memory_order_relaxed), now_ns) < kOutcomeKeptNs;
}
bool is_overdue(const LeaseSlot& slot, std::int64_t now_ns) {
    return slot.deadline_ns.load(std::memory_order_relaxed) <= now_ns;
}

// Killed at any store: before the slot is held again it is free (its outcome is forgotten), or still held by a holder
// that is dead or overdue (whose token is void by then), or by the killed process itself.
std::uint64_t grant(LeaseSlot& slot, std::uint64_t key_hash, const Holder& me, std::int64_t now_ns,
                    std::int64_t lease_ns, bool take_over) {
    if (!take_over) {
        set_state(slot, LeaseState::free);
        LARDER_CRASH_POINT("lease.grant.freed");
        slot.key_hash.store(key_hash, std::memory_order_relaxed);
    }
    const std::uint64_t token = token_of(slot) + 1;
    slot.token.store(token, std::memory_order_release);
    LARDER_CRASH_POINT("lease.grant.token");
    slot.holder.store(me.slot, std::memory_order_relaxed);
    LARDER_CRASH_POINT("lease.grant.holder");
    slot.holder_incarnation.store(me.incarnation, std::memory_order_relaxed);
    slot.deadline_ns.store(now_ns + lease_ns, std::memory_order_relaxed);
    slot.changed_ns.store(now_ns, std::memory_order_relaxed);
    slot.as_of.store(0, std::memory_order_relaxed);
    slot.waiters.store(0, std::memory_order_relaxed);
    raise_word(slot);
    LARDER_CRASH_POINT("lease.grant.word");
    set_state(slot, LeaseState::held);
    LARDER_CRASH_POINT("lease.grant.held");
    return token;
}

// Killed before the last store, the slot is still held by a process that is dead.
void finish(LeaseSlot& slot, LeaseState outcome, std::uint64_t as_of, std::int64_t now_ns) {
    slot.as_of.store(as_of, std::memory_order_relaxed);
    slot.changed_ns.store(now_ns, std::memory_order_relaxed);
    LARDER_CRASH_POINT("lease.finish.changed");
    raise_word(slot);
    LARDER_CRASH_POINT("lease.finish.word");
    set_state(slot, outcome);
    LARDER_CRASH_POINT("lease.finish.state");
}

// How soon a slot may be given away: lower is sooner, then the one that changed first.
struct Rank {
    int order;
    std::int64_t changed_ns;
    bool operator<(const Rank& other) const {
        return order != other.order ? order < other.order : changed_ns < other.changed_ns;
    }
};
constexpr int kNever = 5;

// A fresh failure still has waiters to tell; other outcomes of the same key are in the cache by now.
Rank rank_of(const LeaseSlot& slot, bool same_key, std::int64_t now_ns) {
    const LeaseState state = state_of(slot);
    const std::int64_t changed_ns = slot.changed_ns.load(std::memory_order_relaxed);
    if (state == LeaseState::held) return {is_overdue(slot, now_ns) ? 4 : kNever, changed_ns};
    if (state == LeaseState::free) return {1, changed_ns};
    const bool telling = state == LeaseState::failed && is_fresh(slot, now_ns);
    if (same_key && !telling) return {0, changed_ns};
    return {is_fresh(slot, now_ns) ? 3 : 2, changed_ns};
}

}  // namespace

// The group's lock. A dead owner left every slot valid: there is nothing to repair.
class Leases::Section {
public:
    explicit Section(LeaseGroup& group) : mutex_(group.mutex) {
        const auto acquired = robust_mutex::acquire(mutex_, std::chrono::nanoseconds(kLeaseLockBudgetNs));
        held_ = robust_mutex::is_held(acquired);
        if (acquired == robust_mutex::Acquired::owner_died) robust_mutex::mark_consistent(mutex_);
    }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;
    ~Section() {
        if (held_) robust_mutex::release(mutex_);
    }
    bool held() const { return held_; }

private:
    pthread_mutex_t& mutex_;
    bool held_ = false;
};

// What a group has for a key. kLeasesPerLock: none.
struct Leases::Choice {
    std::uint32_t held = kLeasesPerLock;    // being computed
    std::uint32_t usable = kLeasesPerLock;  // best to give away
    bool uncacheable = false;
};

void Leases::format(const SegmentView& view) {
    for (std::uint32_t group = 0; group < kLeaseLocks; ++group) robust_mutex::initialise(view.leases(group).mutex);
}

Leases::Choice Leases::choose(LeaseGroup& group, std::uint64_t key_hash, std::int64_t now_ns) {
    Choice choice;
    Rank best{kNever, 0};
    for (std::uint32_t i = 0; i < kLeasesPerLock; ++i) {
        const LeaseSlot& slot = group.slots[i];
        const LeaseState state = state_of(slot);
        const bool same_key = state != LeaseState::free && slot.key_hash.load(std::memory_order_relaxed) == key_hash;
        if (same_key && state == LeaseState::held) choice.held = i;
        if (same_key && state == LeaseState::uncacheable && is_fresh(slot, now_ns)) choice.uncacheable = true;
        const Rank rank = rank_of(slot, same_key, now_ns);
        if (rank.order == kNever || !(rank < best)) continue;
        best = rank;
        choice.usable = i;
    }
    return choice;
}

// `dead`: slot and token of a holder that was found dead (token 0: none). `holder`: who is to be waited for.
Leases::Acquired Leases::try_acquire(std::uint64_t key_hash, const Holder& me, std::int64_t now_ns,
                                     std::int64_t lease_ns, const Acquired& dead, Holder& holder) const {
    const std::uint32_t group_index = group_of(key_hash);
    LeaseGroup& group = view_.leases(group_index);
    const Section section(group);
    if (!section.held()) return {};
    const Choice choice = choose(group, key_hash, now_ns);
    const bool is_held = choice.held != kLeasesPerLock;
    if (!is_held && choice.uncacheable) return {Answer::uncacheable};
    const std::uint32_t at = is_held ? choice.held : choice.usable;
    if (at == kLeasesPerLock) return {};
    LeaseSlot& slot = group.slots[at];
    const std::uint32_t index = group_index * kLeasesPerLock + at;
    const std::uint64_t token = token_of(slot);
    const bool known_dead = dead.token != 0 && dead.slot == index && dead.token == token;
    if (is_held && !known_dead && !is_overdue(slot, now_ns)) {
        holder = holder_of(slot);
        return {Answer::wait, false, index, token, slot.word.load(std::memory_order_acquire)};
    }
    const LeaseState before = state_of(slot);
    const bool was_its_own = slot.key_hash.load(std::memory_order_relaxed) == key_hash &&
                             (before == LeaseState::stored || before == LeaseState::fenced);
    const std::int64_t ended_ns = was_its_own ? slot.changed_ns.load(std::memory_order_relaxed) : 0;
    return {Answer::granted,
            is_held,
            index,
            grant(slot, key_hash, me, now_ns, lease_ns, is_held),
            0,
            ended_ns,
            was_its_own && before == LeaseState::fenced};
}

Leases::Acquired Leases::acquire(std::uint64_t key_hash, const Holder& me, std::int64_t now_ns, std::int64_t lease_ns,
                                 const HolderIsDead& is_dead) const {
    Holder holder;
    const Acquired first = try_acquire(key_hash, me, now_ns, lease_ns, {}, holder);
    if (first.answer != Answer::wait || holder == me || !is_dead(holder)) return first;
    return try_acquire(key_hash, me, now_ns, lease_ns, first, holder);
}

bool Leases::is_current(std::uint32_t index, std::uint64_t token) const {
    const LeaseSlot& lease = slot(index);
    return state_of(lease) == LeaseState::held && token_of(lease) == token;
}

// Always wakes: a count of sleepers that saves the call would have to survive killed ones and takeovers, and the call
// costs less than 1 us, once a computation.
bool Leases::release(std::uint32_t index, std::uint64_t token, LeaseState outcome, std::uint64_t as_of,
                     std::int64_t now_ns) const {
    LeaseSlot& lease = slot(index);
    {
        const Section section(view_.leases(index / kLeasesPerLock));
        if (!section.held() || !is_current(index, token)) return false;
        finish(lease, outcome, as_of, now_ns);
    }
    LARDER_CRASH_POINT("lease.release.before_wake");
    system::futex_wake(lease.word);
    return true;
}

// `waiters` is for people to look at: what a killed waiter leaves in it is gone with the next grant.
void Leases::wait(std::uint32_t index, std::uint32_t word, std::int64_t limit_ns) const {
    if (limit_ns <= 0) return;
    LeaseSlot& lease = slot(index);
    lease.waiters.fetch_add(1, std::memory_order_relaxed);
    LARDER_CRASH_POINT("lease.wait");
    system::futex_wait_for(lease.word, word, std::min(limit_ns, kLeaseWaitStepNs));
    std::uint32_t waiters = lease.waiters.load(std::memory_order_relaxed);
    for (int i = 0; i < 8 && waiters != 0; ++i)
        if (lease.waiters.compare_exchange_weak(waiters, waiters - 1, std::memory_order_relaxed)) break;
}

Leases::Observed Leases::observe(std::uint32_t index, std::uint64_t token) const {
    const LeaseSlot& lease = slot(index);
    const Section section(view_.leases(index / kLeasesPerLock));
    if (!section.held()) return {};
    if (token_of(lease) != token) return {LeaseState::free, 0};
    return {state_of(lease), lease.as_of.load(std::memory_order_relaxed)};
}

bool Leases::end_if_dead(std::uint32_t index, std::int64_t now_ns, const HolderIsDead& is_dead) const {
    LeaseSlot& lease = slot(index);
    if (state_of(lease) != LeaseState::held) return false;
    const std::uint64_t token = token_of(lease);
    const Holder holder = holder_of(lease);
    if (!is_dead(holder)) return false;
    {
        const Section section(view_.leases(index / kLeasesPerLock));
        if (!section.held() || !is_current(index, token) || !(holder_of(lease) == holder)) return false;
        finish(lease, LeaseState::abandoned, 0, now_ns);
    }
    system::futex_wake(lease.word);
    return true;
}

std::uint32_t Leases::sweep(std::uint32_t first_group, std::uint32_t groups, std::int64_t now_ns,
                            const HolderIsDead& is_dead) const {
    std::uint32_t ended = 0;
    for (std::uint32_t i = 0; i < std::min(groups, kLeaseLocks); ++i) {
        const std::uint32_t group = (first_group + i) % kLeaseLocks;
        for (std::uint32_t at = 0; at < kLeasesPerLock; ++at)
            ended += end_if_dead(group * kLeasesPerLock + at, now_ns, is_dead) ? 1 : 0;
    }
    return ended;
}

}  // namespace larder::shm
