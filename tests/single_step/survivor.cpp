#include "tests/single_step/survivor.hpp"

#include <unistd.h>

#include <optional>
#include <utility>

#include "shm/counters.hpp"
#include "shm/inspector.hpp"
#include "shm/mapping.hpp"
#include "shm/system.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/shm_fixture.hpp"

namespace larder::single_step {
namespace {

using test::Channel;
using test::ChildProcess;

class Life {
public:
    Life(const World& world, Answers& answers)
        : world_(world),
          answers_(answers),
          cache_(Cache::open(world.options)),
          segment_(shm::Segment::attach_read_only(cache_.segment_path())),
          side_(cache_, segment_.view()) {
        // Where nobody could be asked in time whether there was another, the cache is closed for a moment.
        test::eventually([this] { return use().empty(); });
        clean_up();
        fresh_bytes_ = gauges().arena_used_bytes;
    }

    std::string prepare(const Operation& operation) {
        for (std::uint32_t shard = 0; shard < kShards; ++shard)
            for (std::uint32_t n = 0; n < kResidents; ++n)
                if (side_.put(side_.resident(shard, n), 1) != PutResult::stored) return "R1 a resident was not stored";
        operation.prepare(side_);
        put_off_tending();
        rebuilds_before_ = rebuilds();
        return {};
    }

    std::string look_after(const Operation& operation, const Death& death) {
        if (operation.kind == Kind::create) {
            if (std::string wrong = look_at_made(); !wrong.empty()) return wrong;
        }
        if (std::string wrong = use(); !wrong.empty()) return wrong;
        if (std::string wrong = check_rebuilds(death); !wrong.empty()) return wrong;
        if (std::string wrong = check_residents(operation, death); !wrong.empty()) return wrong;
        if (std::string wrong = check_victims(); !wrong.empty()) return wrong;
        if (std::string wrong = test::first_violation(segment_.view()); !wrong.empty()) return "R3 " + wrong;
        return clean_up();
    }

private:
    /// Else one victim would do it in the middle of its operation, and another not.
    void put_off_tending() {
        shm::Mapping* const mapping = shm::Mapping::open(world_.options, nullptr);
        mapping->view().header().tend_due_ns.store(shm::system::coarse_ns() + 60'000'000'000);
    }

    shm::Gauges gauges() const { return shm::read_gauges(segment_.view()); }
    std::uint64_t count(shm::Counter counter) const { return shm::read_totals(segment_.view())[counter]; }
    std::array<std::uint64_t, kShards> rebuilds() const {
        std::array<std::uint64_t, kShards> all{};
        for (std::uint32_t shard = 0; shard < kShards; ++shard)
            all[shard] = shm::read_shard(segment_.view(), shard).rebuilds;
        return all;
    }

    /// A put and a lookup in each shard.
    std::string use() {
        for (std::uint32_t shard = 0; shard < kShards; ++shard) {
            const std::string& key = side_.probe(shard);
            const std::int64_t began_ns = shm::system::monotonic_ns();
            const PutResult put = side_.put(key, ++version_);
            const Pinned got = cache_.get(key);
            answers_.ns[shard] = shm::system::monotonic_ns() - began_ns;
            if (put != PutResult::stored) return "R1 a put said " + std::string(name_of(put));
            if (test::proven_version(key, got.value()) != version_) return "R3 no proof of what was just put";
        }
        return {};
    }

    std::string check_rebuilds(const Death& death) {
        const std::array<std::uint64_t, kShards> now = rebuilds();
        for (std::uint32_t shard = 0; shard < kShards; ++shard) {
            const bool was_rebuilt = now[shard] != rebuilds_before_[shard];
            if (was_rebuilt && shard != death.broken) return "R2 a shard was rebuilt that was whole";
            if (!was_rebuilt && shard == death.broken) return "R2 a half edited shard was not rebuilt";
        }
        return {};
    }

    std::string check_residents(const Operation& operation, const Death& death) {
        for (std::uint32_t shard = 0; shard < kShards; ++shard) {
            std::uint32_t lost = 0;
            for (std::uint32_t n = 0; n < kResidents; ++n) {
                const std::string& key = side_.resident(shard, n);
                const Pinned got = cache_.peek(key);
                if (got && test::proven_version(key, got.value()) != 1) return "R3 no proof of a resident";
                lost += got ? 0 : 1;
            }
            // Where the victim had to evict, the probe had to, too.
            const std::uint32_t may_evict = shard == 0 ? 2 * operation.may_evict : 0;
            if (lost > may_evict && shard != death.broken) return "R2 entries of a whole shard are lost";
        }
        return {};
    }

    /// What the dead one wrote is whole or not there, and can be computed at once, whatever lease it held.
    std::string check_victims() {
        for (std::uint32_t n = 0; n < Side::kVictims; ++n) {
            const std::string& key = side_.victim(n);
            const Pinned got = cache_.peek(key);
            if (got && !test::proven_version(key, got.value())) return "R3 no proof of what the victim wrote";
        }
        const std::uint64_t timeouts = count(shm::Counter::lease_timeouts);
        const std::string& key = side_.victim();
        const auto compute = [&]() -> std::optional<std::string> { return test::proving_value(key, 9); };
        const Pinned got = cache_.get_or_compute(key, compute);
        if (!test::proven_version(key, got.value())) return "R3 no proof of what was computed";
        return count(shm::Counter::lease_timeouts) == timeouts ? "" : "R1 a dead holder was waited for";
    }

    /// Everything is erased: the memory, slots, pins and leases of the dead are back.
    std::string clean_up() {
        for (std::uint32_t shard = 0; shard < kShards; ++shard) {
            for (std::uint32_t n = 0; n < kResidents; ++n) cache_.erase(side_.resident(shard, n));
            cache_.erase(side_.probe(shard));
        }
        for (std::uint32_t n = 0; n < Side::kVictims; ++n) cache_.erase(side_.victim(n));
        for (int i = 0; i < 3; ++i) cache_.tend();
        if (gauges().entries != 0) return "R15 " + std::to_string(gauges().entries) + " entries are left";
        if (fresh_bytes_ != 0 && gauges().arena_used_bytes != fresh_bytes_)
            return "R15 " + std::to_string(gauges().arena_used_bytes - fresh_bytes_) + " bytes leaked";
        if (shm::read_processes(segment_.view()).size() != 1) return "R15 a dead process keeps its slot";
        for (const shm::LeaseFacts& lease : shm::read_leases(segment_.view()))
            if (lease.state == shm::LeaseState::held) return "R15 a dead process keeps a lease";
        for (const shm::ArenaFacts& arena : shm::read_arenas(segment_.view()))
            if (arena.kind == shm::ArenaKind::condemned) return "R15 an arena stays condemned";
        if (std::string wrong = test::first_violation(segment_.view()); !wrong.empty()) return "R15 " + wrong;
        return {};
    }

    /// In a process of its own: what is open stays open.
    std::string look_at_made() {
        ChildProcess user = ChildProcess::start([this](Channel&) {
            Cache made = Cache::open(world_.another);
            if (!test::eventually([&] { return test::works(made); }, std::chrono::seconds(5))) return 1;
            const shm::Segment segment = shm::Segment::attach_read_only(made.segment_path());
            return test::first_violation(segment.view()).empty() ? 0 : 2;
        });
        return user.wait().exited_with(0) ? "" : "R1 a cache whose maker died cannot be used";
    }

    const World& world_;
    Answers& answers_;
    Cache cache_;
    const shm::Segment segment_;
    Side side_;
    std::uint64_t fresh_bytes_ = 0, version_ = 0;
    std::array<std::uint64_t, kShards> rebuilds_before_{};
};

/// Asked with a letter and a Death; answers with a text and a 0.
int live(Channel& parent, const World& world, Answers& answers) {
    Life life(world, answers);
    for (;;) {
        char what = 0;
        Death death;
        if (!parent.hear_bytes(&what, 1, std::chrono::minutes(10)) || !parent.hear_bytes(&death, sizeof death))
            return 0;
        const Operation& operation = operations()[death.operation];
        const std::string wrong = what == 'p' ? life.prepare(operation) : life.look_after(operation, death);
        if (!parent.tell_bytes(wrong.c_str(), wrong.size() + 1)) return 0;
    }
}

}  // namespace

Survivor::Survivor(const World& world, Answers& answers)
    : process_(ChildProcess::start([&](Channel& parent) { return live(parent, world, answers); })) {
    prepare(0);
}

std::string Survivor::prepare(std::uint32_t operation) { return ask('p', {operation, Death::kNoShard}); }

std::string Survivor::look_after(const Death& death) { return ask('l', death); }

std::string Survivor::ask(char what, const Death& death) {
    Channel& channel = process_.channel();
    if (!channel.tell(what) || !channel.tell_bytes(&death, sizeof death)) return "R1 the survivor has died";
    std::string answer;
    for (char byte = 1; byte != 0; answer += byte) {
        if (!channel.hear_bytes(&byte, 1, kHang)) return "R1 the survivor finished nothing for 10 s, or died";
        if (byte == 0) break;
    }
    return answer;
}

}  // namespace larder::single_step
