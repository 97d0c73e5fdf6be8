#include "tests/history/actor.hpp"

#include <sched.h>

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <utility>
#include <variant>

#include "shm/system.hpp"
#include "tests/support/proving_value.hpp"

namespace larder::history {
namespace {

constexpr std::uint32_t kFloodKeys = 4'000;
constexpr std::uint32_t kFlood = 150;  // puts and notices of one flood
constexpr std::int64_t kRestNs = 200'000;
constexpr std::int64_t kSlowSourceNs = 300'000;

struct SourceFailed : std::runtime_error {
    SourceFailed() : std::runtime_error("the source cannot be read") {}
};

std::uint32_t lag_ns(std::int64_t now_ns, std::int64_t coarse_ns) {
    return static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(now_ns - coarse_ns, 0, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

Actor::Actor(Cache cache, Notifier notifier, World& world, std::uint32_t number, std::uint64_t seed)
    : cache_(std::move(cache)),
      notifier_(std::move(notifier)),
      world_(world),
      number_(number),
      log_(world->logs[number]),
      random_(seed) {}

int Actor::live() {
    while (!world_->stop) {
        const std::uint32_t round = world_->round.load(std::memory_order_acquire);
        const bool is_full = log_.used.load(std::memory_order_relaxed) + 3 > kMostOperations;
        if (log_.resting == round || is_full || world_->steps_left.fetch_sub(1) <= 0)
            rest(round);
        else
            step();
    }
    return 0;
}

void Actor::rest(std::uint32_t round) {
    log_.resting.store(round, std::memory_order_release);
    shm::system::sleep_ns(kRestNs);
}

void Actor::step() {
    if (world_->order.load(std::memory_order_relaxed) != Order::none) obey(world_->order.exchange(Order::none));
    const auto key = static_cast<std::uint32_t>(random(kKeys));
    const std::uint64_t what = random(1000);
    if (what < 450) return get(key);
    if (what < 500) return copied_get(key);
    if (what < 680) return compute(key);
    if (what < 740) return begin(key);
    if (what < 880) return put(key);
    if (what < 960) return change(key);
    if (what < 980) return is_touched(key) ? touch(key) : get(key);
    erase(key);
}

void Actor::obey(Order order) {
    if (order == Order::flood) flood();
    if (order == Order::invalidate_everything) {
        Operation& operation = start(Kind::change, 0, {}, Scope::everything);
        operation.called_ns = shm::system::monotonic_ns();
        operation.word = world_->source[0];
        operation.done = cache_.invalidate_all() != 0;
        finish(operation);
    }
}

/// What is asked is written down before anything is done: others may see the value of who dies at it.
Operation& Actor::start(Kind kind, std::uint32_t key, Life life, Scope scope) {
    const std::uint32_t at = log_.used.load(std::memory_order_relaxed);
    Operation& operation = log_.operations.at(at);
    operation = {};
    operation.kind = kind;
    operation.scope = scope;
    operation.key = static_cast<std::uint8_t>(key);
    operation.life = life;
    operation.begin_ns = shm::system::monotonic_ns();
    operation.begin_lag_ns = lag_ns(operation.begin_ns, shm::system::coarse_ns());
    log_.used.store(at + 1, std::memory_order_release);
    return operation;
}

void Actor::finish(Operation& operation) const {
    const std::int64_t coarse_ns = shm::system::coarse_ns();
    const std::int64_t now_ns = shm::system::monotonic_ns();
    operation.end_lag_ns = lag_ns(now_ns, coarse_ns);
    operation.end_ns = now_ns;
}

void Actor::observe(Operation& operation, const Pinned& given) const {
    operation.state = given.state();
    operation.source = given.source();
    if (given.state() == State::none) return;
    const auto proven = test::proven_version(key_of(operation.key), given.value());
    operation.wrong = !proven;
    operation.word = proven.value_or(0);
}

void Actor::get(std::uint32_t key) {
    Operation& operation = start(Kind::get, key);
    const Pinned given = cache_.get(key_of(key));
    observe(operation, given);
    finish(operation);
}

/// With all pins of this thread taken. What they hold stays as it is.
void Actor::copied_get(std::uint32_t key) {
    const std::string name = key_of(key);
    std::array<Pinned, shm::kPinCells> held;
    for (Pinned& one : held) one = cache_.peek(name);
    Operation& operation = start(Kind::copied_get, key);
    const Pinned given = cache_.get(name);
    observe(operation, given);
    for (const Pinned& one : held)
        operation.wrong |= one.state() != State::none && !test::proven_version(name, one.value());
    finish(operation);
}

void Actor::compute(std::uint32_t key) {
    Operation& operation = start(Kind::compute, key, some_life(key));
    const bool fails = use_of(key) == Use::failing && random(3) == 0;
    const auto value = [&](EntryOptions& options) -> std::optional<std::string> {
        if (fails) throw SourceFailed();
        std::string read = read_source(key, operation);
        if (world_->careless == Careless::late_stamp) options.as_of = cache_.stamp();
        options.tags.push_back(tag_of(key));
        return read;
    };
    EntryOptions options = options_of(key, operation.life);
    options.tags.clear();
    try {
        const Pinned given = cache_.get_or_compute(key_of(key), value, options);
        observe(operation, given);
    } catch (const SourceFailed&) {
    } catch (const ComputeFailed&) {}
    finish(operation);
}

void Actor::begin(std::uint32_t key) {
    Operation& operation = start(Kind::begin, key);
    Begun begun = cache_.begin(key_of(key));
    if (const Hit* const hit = std::get_if<Hit>(&begun)) observe(operation, hit->pinned);
    finish(operation);
    if (Lease* const lease = std::get_if<Lease>(&begun)) fill(key, std::move(*lease));
}

void Actor::fill(std::uint32_t key, Lease lease) {
    if (random(8) == 0) return cache_.abandon(std::move(lease), use_of(key) == Use::failing && random(2) == 0);
    Operation& operation = start(Kind::fill, key, some_life(key));
    EntryOptions options = options_of(key, operation.life);
    const std::string value = read_source(key, operation);
    if (world_->careless == Careless::late_stamp) options.as_of = cache_.stamp();
    cache_.fill(std::move(lease), value, options);
    finish(operation);
}

/// Without as_of where there is no source that could have changed since.
void Actor::put(std::uint32_t key) {
    Operation& operation = start(Kind::put, key, some_life(key));
    EntryOptions options = options_of(key, operation.life);
    options.negative = random(20) == 0;
    if (has_source(key)) options.as_of = cache_.stamp();
    const std::string value = read_source(key, operation);
    if (has_source(key) && world_->careless == Careless::late_stamp) options.as_of = cache_.stamp();
    cache_.put(key_of(key), value, options);
    finish(operation);
}

/// The commit, then the notice.
void Actor::change(std::uint32_t key) {
    constexpr std::array<Scope, 20> kScopes = {Scope::tag,        Scope::tag,        Scope::tag,
                                               Scope::name_space, Scope::name_space, Scope::everything};
    const std::uint64_t which = random(kScopes.size() * 2);
    const Scope scope = which < kScopes.size() ? kScopes[which] : Scope::key;
    const bool through_socket = random(16) == 0;
    const bool careless = world_->careless == Careless::early_notice;
    Operation& operation = start(Kind::change, key, {}, scope);
    const bool early = careless && announce(scope, key, through_socket);
    if (has_source(key)) operation.word = world_->source[key].fetch_add(1, std::memory_order_acq_rel) + 1;
    operation.called_ns = shm::system::monotonic_ns();
    operation.done = careless ? early : announce(scope, key, through_socket);
    finish(operation);
}

/// True: acknowledged.
bool Actor::announce(Scope scope, std::uint32_t key, bool through_socket) {
    const std::string name = key_of(key), tag = tag_of(key), name_space = namespace_of(key);
    switch (scope) {
    case Scope::key:
        return through_socket ? notifier_.invalidate(name).ok : cache_.invalidate(name) != 0;
    case Scope::tag:
        return through_socket ? notifier_.invalidate_tag(tag).ok : cache_.invalidate_tag(tag) != 0;
    case Scope::name_space:
        return through_socket ? notifier_.invalidate_namespace(name_space).ok
                              : cache_.invalidate_namespace(name_space) != 0;
    case Scope::everything:
        break;
    }
    return through_socket ? notifier_.invalidate_all().ok : cache_.invalidate_all() != 0;
}

void Actor::touch(std::uint32_t key) {
    Operation& operation = start(Kind::touch, key, {.ttl_ms = static_cast<std::uint32_t>(1 + random(60))});
    operation.done = cache_.touch(key_of(key), std::chrono::milliseconds(operation.life.ttl_ms));
    finish(operation);
}

void Actor::erase(std::uint32_t key) {
    Operation& operation = start(Kind::erase, key);
    operation.called_ns = shm::system::monotonic_ns();
    cache_.erase(key_of(key));
    operation.done = true;
    finish(operation);
}

/// Other keys, so many that all the rest is evicted, and notices about them.
void Actor::flood() {
    EntryOptions options;
    options.tracked = false;
    for (std::uint32_t n = 0; n < kFlood; ++n) {
        const std::string name = "flood:" + std::to_string(random(kFloodKeys));
        cache_.put(name, test::proving_value(name, n, random(8) == 0 ? random(30'000) : random(2'000)), options);
        cache_.invalidate("flood:" + std::to_string(random(kFloodKeys)));
    }
}

/// A value as of now, however long it takes to come by it.
std::string Actor::read_source(std::uint32_t key, const Operation& writer) {
    const std::uint32_t version = world_->source[key].load(std::memory_order_acquire);
    const std::uint64_t pace = random(100);
    if (pace < 30) ::sched_yield();
    if (pace < 2) shm::system::sleep_ns(kSlowSourceNs);
    const Origin origin{version, world_->round, number_, static_cast<std::uint32_t>(&writer - log_.operations.data())};
    return test::proving_value(key_of(key), origin.word(), random(32) == 0 ? random(20'000) : random(1'000));
}

Life Actor::some_life(std::uint32_t key) {
    Life life;
    life.ttl_ms = static_cast<std::uint32_t>(random(4) == 0 ? 2'000 : 1 + random(60));
    if (use_of(key) == Use::soft) life.soft_ttl_ms = static_cast<std::uint32_t>(1 + random(life.ttl_ms));
    if (use_of(key) == Use::failing) life.stale_if_error_ms = static_cast<std::uint32_t>(1 + random(60));
    return life;
}

EntryOptions Actor::options_of(std::uint32_t key, const Life& life) const {
    EntryOptions options;
    options.ttl = std::chrono::milliseconds(life.ttl_ms);
    options.soft_ttl = std::chrono::milliseconds(life.soft_ttl_ms);
    options.stale_if_error = std::chrono::milliseconds(life.stale_if_error_ms);
    options.tags.push_back(tag_of(key));
    return options;
}

}  // namespace larder::history
