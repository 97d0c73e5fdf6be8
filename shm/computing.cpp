// get_or_compute and its two-step form: one computation per key on the host (protocol.md 4).
//
//   1. A miss takes the key's lease and looks again. The holder reads the source, publishes, then releases.
//   2. Who does not get the lease waits for its holder, with a deadline, and takes any value whose source was read
//   after it
//      asked, fenced or late meanwhile or not: as fresh as computing itself. So nobody waits for more than two
//      computations.
//   3. A thread that holds a lease never waits for another one: no deadlock, no waiting for itself.
//   4. What is stale is served by everybody but the one that got the lease.
#include <algorithm>
#include <chrono>
#include <thread>

#include "shm/cache_impl.hpp"
#include "shm/elapsed.hpp"
#include "shm/histogram.hpp"
#include "shm/process.hpp"
#include "shm/segment.hpp"

namespace larder::detail {
namespace {

constexpr std::chrono::milliseconds kLongestRest{1'000};

bool is_fresh(shm::Verdict verdict) { return verdict == shm::Verdict::live || verdict == shm::Verdict::negative; }

State fresh_state(const shm::Record& record) {
    return (record.flags & shm::kNegative) != 0 ? State::negative : State::live;
}

/// Leases that the calling thread holds; shared, since a lease may be ended by another thread. A forked child holds
/// none of its parent's.
std::shared_ptr<std::atomic<int>> leases_of_this_thread() {
    static constinit thread_local bool ended = false;  // destructors of other thread_locals may still compute
    struct Held {
        std::uint64_t generation = 0;
        std::shared_ptr<std::atomic<int>> count;
        ~Held() { ended = true; }
    };
    if (ended) return std::make_shared<std::atomic<int>>(0);
    static thread_local Held held;
    if (held.generation != shm::process::generation()) {
        held.generation = shm::process::generation();
        held.count = std::make_shared<std::atomic<int>>(0);
    }
    return held.count;
}

shm::HolderIsDead liveness(shm::Mapping& mapping) {
    return [&mapping](const shm::Holder& holder) {
        return mapping.registry().dead_for_leases(holder.slot, holder.incarnation);
    };
}

/// `stamp`: of the computation. In a segment that was not open yet the next one who waits may be able to keep its
/// value.
shm::LeaseState outcome_of(PutResult result, const Stamp& stamp) {
    if (stamp.incarnation == 0) return shm::LeaseState::fenced;
    switch (result) {
    case PutResult::stored:
    case PutResult::older:
        return shm::LeaseState::stored;
    case PutResult::fenced:
        return shm::LeaseState::fenced;
    default:
        return shm::LeaseState::uncacheable;
    }
}

}  // namespace

/// One caller's way to a value. Keeps a stale one at hand, which is all that a failed computation leaves.
class CacheImpl::Computation {
public:
    Computation(CacheImpl& cache, Context& context, const shm::HashedKey& key, const Compute& compute,
                const EntryOptions& options, bool counted)
        : cache_(cache), context_(context), key_(key), compute_(compute), options_(options), counted_(counted) {}
    ~Computation() { shm::release(fallback_); }
    Computation(const Computation&) = delete;
    Computation& operator=(const Computation&) = delete;

    Pinned run() {
        arrival_sync_ns_ = context_.attached->sync.last_ns();  // before the notices that it stands for
        arrival_ = context_.attached->fences.now();
        arrival_ns_ = context_.now_ns;
        const std::int64_t begin_ns = sample_begin(context_, counted_);
        shm::Look look = cache_.look_up(context_, key_);
        if (is_fresh(look.verdict)) {
            Pinned found = hit(look);
            end_sample(context_, begin_ns);
            return found;
        }
        if (look.verdict == shm::Verdict::stale) return refresh(look);
        count_miss(look);
        overtaken_ = look.verdict == shm::Verdict::invalidated;
        keep_for_errors(look);
        if (leases_of_this_thread()->load(std::memory_order_relaxed) > 0) return compute(nullptr);
        return wait_or_compute();
    }

private:
    Pinned hit(shm::Look& look) { return cache_.hit(context_, look, counted_); }

    /// The miss that begins a key's first computation is that key's too.
    void count_miss(const shm::Look& look) {
        if (!counted_) return;
        if (options_.tracked) context_.attached->keys.find_or_add(key_.hash, context_.shard_of(key_));
        cache_.count_miss(context_, key_, look);
    }

    /// Stale: one caller computes, all others are served what is there.
    Pinned refresh(shm::Look& look) {
        if (leases_of_this_thread()->load(std::memory_order_relaxed) == 0) {
            Lease lease;
            if (cache_.take_lease(context_, key_, options_.tracked, lease).answer == shm::Leases::Answer::granted) {
                shm::Look again = cache_.look_up(context_, key_);
                if (is_fresh(again.verdict)) {
                    shm::release(look);
                    return hit(again);
                }
                shm::release(again);
                if (options_.tracked) context_.count(shm::Counter::refreshes);
                count_miss(look);
                fallback_ = look;
                return compute(&lease);
            }
        }
        return hit(look);
    }

    /// What a notice has overtaken is not computed again at once: the next notice may be on its way. A computation that
    /// was overtaken before it ended has left no value, only its lease's outcome.
    void rest_after(const shm::Leases::Acquired& got) {
        if (options_.recompute_interval.count() <= 0 || got.ended_ns == 0 || !(overtaken_ || got.fenced)) return;
        const std::int64_t interval_ns =
            std::chrono::nanoseconds(std::min(options_.recompute_interval, kLongestRest)).count();
        const std::int64_t since_ns = shm::elapsed_ns(got.ended_ns, shm::system::coarse_ns());
        if (since_ns < 0 || since_ns >= interval_ns) return;
        if (options_.tracked) context_.count(shm::Counter::coalesced);
        std::this_thread::sleep_for(std::chrono::nanoseconds(interval_ns - since_ns));
    }

    void keep_for_errors(shm::Look& look) {
        if (look.verdict == shm::Verdict::expired && (look.record->flags & shm::kNegative) == 0 &&
            may_stand_in(*look.record, context_.now_ns))
            fallback_ = look;
        else
            shm::release(look);
    }

    Pinned wait_or_compute() {
        const std::int64_t deadline_ns =
            shm::system::monotonic_ns() + std::chrono::nanoseconds(cache_.options_.wait_time).count();
        for (bool waited = false;; waited = true) {
            Lease lease;
            const shm::Leases::Acquired got = cache_.take_lease(context_, key_, options_.tracked, lease);
            if (got.answer == shm::Leases::Answer::granted) {
                Pinned found = look_again();
                if (found.state() != State::none) return found;
                rest_after(got);
                return compute(&lease);
            }
            if (got.answer != shm::Leases::Answer::wait) return compute(nullptr);
            if (!waited && counted_) context_.count(shm::Counter::lease_waits);

            const std::int64_t left_ns = deadline_ns - shm::system::monotonic_ns();
            if (left_ns <= 0) {
                context_.count(shm::Counter::lease_timeouts);
                return compute(nullptr);
            }
            context_.attached->leases.wait(got.slot, got.word, left_ns);
            context_.now_ns = cache_.now_ns();
            Pinned found = look_again();
            if (found.state() != State::none) return found;
            if (context_.attached->leases.observe(got.slot, got.token).state == shm::LeaseState::failed)
                return serve_failure();
        }
    }

    /// Counts nothing: the caller's miss is counted.
    Pinned look_again() {
        shm::Look look = cache_.look_up(context_, key_);
        if (is_fresh(look.verdict) || is_as_fresh_as_own(look))
            return PinAccess::from(look, fresh_state(*look.record), Source::waited);
        shm::release(look);
        return {};
    }

    /// What this caller would have been served when it asked, or what was read from its source after that: by the time,
    /// which must be past the clock's step of the arrival. (A replica's value has an older stamp; what took long may be
    /// late when it is stored.)
    bool is_as_fresh_as_own(const shm::Look& look) const {
        const bool overtaken = look.verdict == shm::Verdict::invalidated;
        if (!overtaken && look.verdict != shm::Verdict::late) return false;
        const shm::Record& record = *look.record;
        const bool was_good = overtaken && record.as_of >= arrival_ &&
                              !context_.attached->sync.is_late(record, arrival_sync_ns_, arrival_ns_);
        return (was_good || record.read_ns > arrival_ns_) && context_.now_ns < record.expires_ns && !was_replaced();
    }

    Pinned serve_failure() {
        if (has_fallback()) return serve_fallback();
        throw ComputeFailed(
            "the computation of this key failed in another thread or process; ask again to compute it here");
    }

    /// Judged now: it may have been overtaken, or its time may have run out, while the computation went on.
    bool has_fallback() const {
        if (fallback_.record == nullptr) return false;
        const std::int64_t now_ns = cache_.now_ns();
        return may_stand_in(*fallback_.record, now_ns) && !context_.attached->sync.is_late(*fallback_.record, now_ns) &&
               !was_replaced() && context_.attached->fences.highest(*fallback_.record) <= fallback_.record->as_of;
    }

    /// Then notices go elsewhere, and nothing that is found here says whether it is fresh.
    bool was_replaced() const {
        return shm::is_closed_for_good(context_.view()) ||
               context_.attached->mapping.replaced(shm::system::coarse_ns());
    }

    static bool may_stand_in(const shm::Record& record, std::int64_t now_ns) {
        return shm::elapsed_ns(record.expires_ns, now_ns) < std::int64_t{record.stale_if_error_ms} * 1'000'000;
    }

    Pinned serve_fallback() {
        if (options_.tracked) context_.count(shm::Counter::stale_on_error);
        return PinAccess::from(fallback_, State::stale, Source::hit);
    }

    /// `lease` null: computed without one, as several callers may do at once.
    Pinned compute(Lease* lease) {
        const Stamp stamp = cache_.stamp(context_);
        EntryOptions options = options_;
        std::optional<std::string> value;
        const std::int64_t started_ns = shm::system::monotonic_ns();
        try {
            value = compute_(options);
        } catch (...) {
            if (was_forked()) throw;
            if (options.tracked) context_.count(shm::Counter::compute_failures);
            if (lease != nullptr) cache_.end_lease(*lease, shm::LeaseState::failed);
            if (has_fallback()) return serve_fallback();
            throw;
        }
        if (was_forked()) return own(value, options.negative);
        const bool is_taken = options.tier == EntryOptions::Tier::hit;
        if (options.tracked && !is_taken)
            shm::add(context_.view().header().compute_us,
                     static_cast<std::uint64_t>((shm::system::monotonic_ns() - started_ns) / 1000));
        context_.count(is_taken ? shm::Counter::tier_hits : shm::Counter::computations);
        if (options.tier == EntryOptions::Tier::unreachable) context_.count(shm::Counter::tier_unreachable);
        return keep(value, options, options.as_of.value_or(stamp), lease);
    }

    /// The computation forked, and this is the child: pins, lease and counts are its parent's.
    bool was_forked() {
        if (generation_ == shm::process::generation()) return false;
        fallback_ = {};
        return true;
    }

    static Pinned own(const std::optional<std::string>& value, bool negative) {
        return PinAccess::own(value ? std::string_view(*value) : std::string_view(),
                              value && !negative ? State::live : State::negative, Source::computed);
    }

    Pinned keep(const std::optional<std::string>& value, EntryOptions& options, const Stamp& stamp, Lease* lease) {
        if (!value) {
            options.negative = true;
            options.ttl = options.negative_ttl;
            options.soft_ttl = std::chrono::milliseconds(0);
        }
        const std::string_view bytes = value ? std::string_view(*value) : std::string_view();
        context_.now_ns = cache_.now_ns();
        const PutResult result = cache_.store(context_, key_, bytes, options, stamp, lease);
        if (lease != nullptr) cache_.end_lease(*lease, outcome_of(result, stamp));
        cache_.tend_if_due(context_);
        return own(value, options.negative);
    }

    CacheImpl& cache_;
    Context& context_;
    const shm::HashedKey key_;
    const Compute& compute_;
    const EntryOptions& options_;
    const bool counted_;  // as a lookup
    const std::uint64_t generation_ = shm::process::generation();
    std::uint64_t arrival_ = 0;
    std::int64_t arrival_ns_ = 0, arrival_sync_ns_ = 0;
    bool overtaken_ = false;  // by a notice: what was there
    shm::Look fallback_;
};

Pinned CacheImpl::compute_through(std::string_view key, const Compute& compute, const EntryOptions& options,
                                  bool counted) {
    Context context;
    if (!enter_to_write(context) || !is_key(key)) {
        // Nothing can be kept under this key, or by this process: the caller gets its value all the same.
        if (counted) count_unanswerable(context);
        EntryOptions own = options;
        const std::optional<std::string> value = compute(own);
        return PinAccess::own(value ? *value : std::string_view(), value ? State::live : State::negative,
                              Source::computed);
    }
    return Computation(*this, context, context.hashed(key), compute, options, counted).run();
}

/// Granted: `lease` is it. Times of leases are the machine's, whatever clock the entries go by.
shm::Leases::Acquired CacheImpl::take_lease(const Context& context, const shm::HashedKey& key, bool tracked,
                                            Lease& lease) {
    shm::Mapping& mapping = context.attached->mapping;
    prepare(key, lease);
    const shm::Holder me{mapping.participant(), mapping.participant_incarnation()};
    const shm::Leases::Acquired got =
        context.attached->leases.acquire(key.hash, me, shm::system::coarse_ns(),
                                         std::chrono::nanoseconds(options_.lease_time).count(), liveness(mapping));
    if (got.took_over) context.count(shm::Counter::lease_takeovers);
    if (got.answer == shm::Leases::Answer::granted) {
        if (tracked) context.attached->keys.find_or_add(key.hash, context.shard_of(key));
        hand_out(context, got.slot, got.token, lease);
    }
    return got;
}

/// What may fail, before the lease is taken.
void CacheImpl::prepare(const shm::HashedKey& key, Lease& lease) {
    lease.key_ = key.text;
    lease.held_ = leases_of_this_thread();
}

/// REQUIRES: prepared.
void CacheImpl::hand_out(const Context& context, std::uint32_t slot, std::uint64_t token, Lease& lease) noexcept {
    lease.attached_ = context.attached;
    lease.stamp_ = stamp(context);
    lease.held_->fetch_add(1, std::memory_order_relaxed);
    lease.token_ = token;
    lease.generation_ = shm::process::generation();
    lease.slot_ = slot;
    lease.cache_ = shared_from_this();
}

void CacheImpl::end_lease(Lease& lease, shm::LeaseState outcome) {
    const std::shared_ptr<CacheImpl> cache = std::move(lease.cache_);
    if (cache == nullptr || lease.generation_ != shm::process::generation()) return;
    lease.held_->fetch_sub(1, std::memory_order_relaxed);
    if (lease.token_ == 0) return;
    lease.attached_->leases.release(lease.slot_, lease.token_, outcome, lease.stamp_.notice, shm::system::coarse_ns());
}

Begun CacheImpl::begin(std::string_view key) {
    Context context;
    Lease lease;
    const bool entered = enter_to_write(context);
    const shm::HashedKey hashed = context.hashed(key);
    if (!entered || !is_key(key)) {
        count_unanswerable(context);
        prepare(hashed, lease);
        hand_out(context, 0, 0, lease);
        return lease;
    }
    HeldLook look(look_up(context, hashed));
    if (is_fresh(look->verdict)) return Hit{hit(context, *look)};
    const shm::Leases::Acquired got = take_lease(context, hashed, true, lease);
    if (look->verdict == shm::Verdict::stale && got.answer != shm::Leases::Answer::granted)
        return Hit{hit(context, *look)};
    count_miss(context, hashed, *look);
    if (got.answer == shm::Leases::Answer::wait) {
        context.count(shm::Counter::lease_waits);
        return Busy{};
    }
    if (got.answer != shm::Leases::Answer::granted) {
        hand_out(context, 0, 0, lease);
        return lease;
    }
    // Another may have filled it between the look and the lease.
    HeldLook again(look_up(context, hashed));
    if (is_fresh(again->verdict)) return Hit{PinAccess::from(*again, fresh_state(*again->record), Source::waited)};
    return lease;
}

PutResult CacheImpl::fill(Lease& lease, std::string_view value, const EntryOptions& options) {
    Context context;
    if (!lease) return PutResult::busy;
    if (!enter_to_write(context)) return unkept(context, lease.key_);
    if (!is_key(lease.key_)) return PutResult::bad_key;
    const PutResult result =
        store(context, context.hashed(lease.key_), value, options, options.as_of.value_or(lease.stamp_), &lease);
    end_lease(lease, outcome_of(result, lease.stamp_));
    tend_if_due(context);
    return result;
}

}  // namespace larder::detail
