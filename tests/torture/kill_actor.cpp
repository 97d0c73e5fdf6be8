#include "tests/torture/kill_actor.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <utility>

#include "shm/entry_cursor.hpp"
#include "shm/hash.hpp"
#include "shm/system.hpp"
#include "tests/support/proving_value.hpp"

namespace larder::torture {
namespace {

constexpr std::size_t kMostHeld = 3;
constexpr std::size_t kPageEntries = 16;
constexpr std::uint32_t kTends = 50;  // each frees a bounded number of records

}  // namespace

KillActor::KillActor(Cache cache, const shm::SegmentView& view, KillWorld& world, std::uint32_t number,
                     std::uint64_t seed)
    : cache_(std::move(cache)), view_(view), world_(world), self_(world->actors[number]), random_(seed) {
    for (std::uint32_t found = 0, n = 0; found < kShards; ++n) {
        const std::uint64_t hash = shm::hash_of(key_of(n), view.header().hash_seed);
        std::string& key = key_in_shard_[shm::shard_of(hash, kShards)];
        found += key.empty() ? 1 : 0;
        key = key_of(n);
    }
    kills_ = world_->kills;
    self_.doing = Doing::nothing;
    self_.answered = world_->round.load();
    self_.pid = ::getpid();
}

int KillActor::live() try {
    while (!world_->stop) {
        const std::uint64_t round = world_->round;
        if (self_.answered != round) answer(round);
        if (world_->pause) pause();
        time([this] { step(); });
        self_.operations.fetch_add(1, std::memory_order_relaxed);
    }
    return 0;
} catch (const std::exception& error) {
    fail(Wrong::exception, error.what());
    return 1;
}

/// How long it took. What is the first to end after a kill has waited since then, if it had begun before.
template <class Operation>
std::int64_t KillActor::time(Operation&& operation) {
    const std::int64_t began_ns = shm::system::monotonic_ns();
    operation();
    const std::uint64_t kills = world_->kills;
    const std::int64_t ended_ns = shm::system::monotonic_ns();
    if (kills != kills_) {
        kills_ = kills;
        self_.next_ns = ended_ns - std::max(began_ns, world_->killed_ns.load());
    }
    return ended_ns - began_ns;
}

/// A lookup and a put on every shard; how long each took is told.
void KillActor::answer(std::uint64_t round) {
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
        self_.answers_ns[shard] = time([&] {
            get(key_in_shard_[shard]);
            put(key_in_shard_[shard], shard);
        });
    }
    self_.answered = round;
}

void KillActor::pause() {
    held_.clear();
    self_.paused = true;
    for (; world_->pause && !world_->stop; ::sched_yield()) {
        if (world_->tend && &self_ == &world_->actors[0]) {
            for (std::uint32_t i = 0; i < kTends; ++i) cache_.tend();
            world_->tend = false;
        }
    }
    self_.paused = false;
}

template <class Operation>
auto KillActor::as(Doing doing, Operation&& operation) {
    self_.doing.store(doing, std::memory_order_relaxed);
    struct Back {
        ActorState& self;
        ~Back() { self.doing.store(Doing::nothing, std::memory_order_relaxed); }
    } const back{self_};
    return operation();
}

void KillActor::step() {
    const auto n = static_cast<std::uint32_t>(random_() % kKeys);
    const std::string key = key_of(n);
    const std::uint64_t what = random_() % 1000;
    if (what < 450) return get(key);
    if (what < 550) return hold(key);
    if (what < 750) return put(key, n);
    if (what < 850) return compute(key, n);
    if (what < 930) return invalidate(key, n);
    if (what < 960) return static_cast<void>(as(Doing::writing, [&] { return cache_.erase(key); }));
    if (what < 980)
        return static_cast<void>(as(Doing::writing, [&] { return cache_.touch(key, std::chrono::seconds(60)); }));
    if (what < 990) return dump();
    as(Doing::writing, [&] { cache_.tend(); });
}

void KillActor::get(const std::string& key) {
    const Pinned got = as(Doing::reading, [&] { return cache_.get(key); });
    if (got) check(key, got.value(), Wrong::bytes);
}

/// Pins stay while others write, die and rebuild: what they show must not change.
void KillActor::hold(const std::string& key) {
    if (held_.size() == kMostHeld) {
        const std::size_t dropped = random_() % kMostHeld;
        check(held_[dropped].key, held_[dropped].pinned.value(), Wrong::pinned_bytes);
        held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(dropped));
    }
    Pinned got = as(Doing::reading, [&] { return cache_.get(key); });
    if (got) held_.push_back({key, std::move(got)});
}

std::string KillActor::fresh_value(const std::string& key) {
    const std::uint64_t writer = static_cast<std::uint64_t>(::getpid()) << 32;
    const std::size_t bytes = random_() % 8 == 0 ? random_() % 40'000 : random_() % 2'000;
    return test::proving_value(key, writer | ++version_, bytes);
}

void KillActor::put(const std::string& key, std::uint32_t n) {
    EntryOptions options;
    options.tags.push_back(tag_of(n));
    const std::string value = fresh_value(key);
    const PutResult result = as(Doing::writing, [&] { return cache_.put(key, value, options); });
    if (result == PutResult::too_large || result == PutResult::bad_key || result == PutResult::bad_value)
        fail(Wrong::put_refused);
}

void KillActor::compute(const std::string& key, std::uint32_t n) {
    const auto value = [&](EntryOptions& options) -> std::optional<std::string> {
        options.tags.push_back(tag_of(n));
        return fresh_value(key);
    };
    const Pinned got = as(Doing::writing, [&] { return cache_.get_or_compute(key, value); });
    check(key, got.value(), Wrong::bytes);
}

void KillActor::invalidate(const std::string& key, std::uint32_t n) {
    const std::uint64_t what = random_() % 100;
    if (what < 80)
        cache_.invalidate(key);
    else if (what < 97)
        cache_.invalidate_tag(tag_of(n));
    else if (what < 99)
        cache_.invalidate_namespace("user");
    else
        cache_.invalidate_all();
}

void KillActor::dump() {
    shm::EntryCursor cursor(view_, {.prefix = {}, .values = true, .dead = true});
    for (const shm::Entry& entry : cursor.next(kPageEntries, shm::system::coarse_ns()))
        check(entry.key, entry.value, Wrong::dumped_bytes);
}

void KillActor::check(const std::string& key, std::string_view value, Wrong wrong) {
    self_.checked.fetch_add(1, std::memory_order_relaxed);
    if (!test::proven_version(key, value)) fail(wrong);
}

void KillActor::fail(Wrong wrong, const char* why) {
    Wrong none = Wrong::none;
    if (world_->wrong.compare_exchange_strong(none, wrong)) std::snprintf(world_->why, sizeof world_->why, "%s", why);
}

}  // namespace larder::torture
