// A cache of eight shards with a resident entry in each, a process that dies in it, and what must be true then.
//
// A segment is never unmapped by its process, so that each scene is played in a process of its own.
#pragma once

#include <string>
#include <utility>

#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/proving_value.hpp"
#include "tests/support/scoped_cache.hpp"

namespace larder::test {

class CrashScene {
public:
    static constexpr std::uint32_t kShards = 8, kEntriesOfShard = 20, kResidents = 5;

    /// Plays `scene`: bool(CrashScene&, std::string& report), in a child. Returns its report, "" when it said true
    /// without one.
    template <class Scene>
    static std::string run(Scene&& scene) {
        ChildProcess stage = ChildProcess::start([&](Channel& parent) {
            std::string report;
            {
                CrashScene one;
                if (!scene(one, report) && report.empty()) report = "false";
            }
            if (!report.empty()) parent.tell_bytes(report.data(), report.size());
            return 0;
        });
        std::string report;
        while (const char byte = stage.hear(std::chrono::seconds(60))) report += byte;
        if (!stage.wait().exited_with(0)) report += " (the scene itself died)";
        return report;
    }

    CrashScene() : scoped(options()), cache(scoped.cache) {
        cache.tend();
        fresh_bytes_ = scoped.used_bytes();
        for (std::uint32_t shard = 0; shard < kShards; ++shard)
            for (std::uint32_t n = 0; n < kResidents; ++n)
                cache.put(resident(shard, n), proving_value(resident(shard, n), 1));
    }

    /// A child runs `writing` and dies at the point. False: it did not get there. Shards left with `mutating` set add
    /// up.
    template <class Writing>
    bool kill_at(const std::string& point, std::uint64_t count, Writing&& writing) {
        ChildProcess victim = ChildProcess::start([&](Channel&) {
            shm::testing::arm_crash(point, count);
            writing(*this);
            return 0;
        });
        const bool died = victim.wait().was_killed_by(SIGKILL);
        for (std::uint32_t shard = 0; shard < kShards; ++shard)
            broken_ += scoped.view().shard(shard).mutating.load() != 0 ? 1 : 0;
        return died;
    }
    /// The deaths so far broke the same shard.
    void count_deaths_as_one() { broken_ = broken_ > 0 ? 1 : 0; }

    /// Everybody goes on at once, only what was half edited is lost, nothing else is, nothing leaks. Else says what.
    bool is_whole(std::string& report) {
        report = first_wrong();
        return report.empty();
    }

    ScopedCache scoped;
    Cache& cache;

    std::string resident(std::uint32_t shard, std::uint32_t n) const { return scoped.key_in(shard, n, "resident:"); }
    /// A key that begins to probe where the first victim of shard 0 does.
    std::string neighbour() const {
        const auto home = [this](const std::string& key) {
            return scoped.hash(key) % scoped.view().geometry->directory_slots;
        };
        for (std::uint32_t i = 0;; ++i) {
            std::string key = "neighbour:" + std::to_string(i);
            if (scoped.shard_of(key) == 0 && home(key) == home(scoped.key_in(0, 0, "victim:"))) return key;
        }
    }

private:
    static Options options() {
        Options options;
        options.shards = kShards;
        options.max_entries = kShards * kEntriesOfShard;
        options.lock_budget = std::chrono::milliseconds(2'000);  // for a loaded machine; a hang would take longer
        return options;
    }
    std::string first_wrong() {
        const std::uint64_t rebuilds_before = scoped.count(shm::Counter::shard_rebuilds);
        if (broken_ > 1) return "more than one shard was left half edited";
        if (const std::string wrong = use(2); !wrong.empty()) return wrong;
        if (scoped.count(shm::Counter::shard_rebuilds) - rebuilds_before != broken_)
            return "a shard was rebuilt, or not";
        ChildProcess another = ChildProcess::start([this](Channel&) { return use(3).empty() ? 0 : 1; });
        if (!another.wait().exited_with(0)) return "another process cannot use it";
        if (const std::string wrong = check_residents(); !wrong.empty()) return wrong;
        if (const std::string wrong = check_victims(); !wrong.empty()) return wrong;
        if (const std::string wrong = first_violation(scoped.view()); !wrong.empty()) return wrong;
        if (scoped.count(shm::Counter::busy) != 0) return "a put was refused as busy";
        return check_memory();
    }

    /// A put and a get in each shard.
    std::string use(std::uint64_t version) {
        for (std::uint32_t shard = 0; shard < kShards; ++shard) {
            const std::string key = scoped.key_in(shard, 0, "probe:"), where = " in shard " + std::to_string(shard);
            const PutResult put = cache.put(key, proving_value(key, version));
            if (put != PutResult::stored) return std::string(name_of(put)) + where;
            const std::uint64_t lookups = scoped.totals().lookups();
            if (proven_version(key, cache.get(key).value()) != version) return "no proof" + where;
            if (scoped.totals().lookups() != lookups + 1) return "a lookup was not counted once" + where;
        }
        return {};
    }

    /// Those of other shards are all there.
    std::string check_residents() {
        for (std::uint32_t shard = 0; shard < kShards; ++shard) {
            for (std::uint32_t n = 0; n < kResidents; ++n) {
                const Pinned got = cache.peek(resident(shard, n));
                if (got ? proven_version(resident(shard, n), got.value()) != 1 : shard != 0)
                    return "a resident of shard " + std::to_string(shard) + " is lost";
            }
        }
        return {};
    }

    /// What the dead one wrote is whole or not there, and can be computed at once, whatever lease it held.
    std::string check_victims() {
        for (std::uint32_t n = 0; n < 25; ++n) {
            const std::string key = scoped.key_in(0, n, "victim:");
            const Pinned got = cache.peek(key);
            if (got && !proven_version(key, got.value())) return "no proof of " + key;
        }
        for (std::uint32_t n = 5; n < 8; ++n) {
            const std::string key = scoped.key_in(0, n, "victim:");
            const auto compute = [&]() -> std::optional<std::string> { return proving_value(key, 9); };
            if (!proven_version(key, cache.get_or_compute(key, compute).value())) return "no proof of computed " + key;
        }
        return scoped.count(shm::Counter::lease_timeouts) == 0 ? "" : "a dead holder was waited for";
    }

    std::string check_memory() {
        for (std::uint32_t shard = 0; shard < kShards; ++shard) {
            for (std::uint32_t n = 0; n < kResidents; ++n) cache.erase(resident(shard, n));
            cache.erase(scoped.key_in(shard, 0, "probe:"));
        }
        for (std::uint32_t n = 0; n < 25; ++n) cache.erase(scoped.key_in(0, n, "victim:"));
        cache.erase(neighbour());
        for (int i = 0; i < 3; ++i) cache.tend();
        if (scoped.entries() != 0) return std::to_string(scoped.entries()) + " entries are left";
        const std::uint64_t leaked = scoped.used_bytes() - fresh_bytes_;
        if (leaked != 0) return std::to_string(leaked) + " bytes leaked";
        for (const shm::ArenaFacts& arena : shm::read_arenas(scoped.view()))
            if (arena.kind == shm::ArenaKind::condemned) return "an arena stays condemned";
        return first_violation(scoped.view());
    }

    std::uint64_t fresh_bytes_ = 0, broken_ = 0;
};

}  // namespace larder::test
