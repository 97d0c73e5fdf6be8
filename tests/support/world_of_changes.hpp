// Keys whose source changes while many processes or threads cache it. Whoever reads a value can tell that it is whole,
// and that its version is not older than the last change that was announced before the reading began.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <string>

#include "shm/cache.hpp"
#include "tests/support/proving_value.hpp"
#include "tests/support/shared_object.hpp"

namespace larder::test {

/// Shared with forked children.
class WorldOfChanges {
public:
    static constexpr std::uint32_t kKeys = 24;

    /// So many random operations. 0: all was right; else first_wrong() says what was not. Any thread, any process.
    int live(Cache& cache, std::uint64_t seed, std::uint32_t steps) {
        std::mt19937_64 random(seed);
        for (std::uint32_t i = 0; i < steps; ++i) {
            const auto n = static_cast<std::uint32_t>(random() % kKeys);
            const std::uint64_t what = random() % 100;
            if (what < 60)
                look(n, [&](const std::string& key) { return cache.get(key); });
            else if (what < 75)
                fill(cache, n, 32 + random() % 3'000);
            else if (what < 83)
                compute(cache, n, 32 + random() % 3'000);
            else if (what < 97)
                change(cache, n, random() % 4);
            else
                cache.erase(key_of(n));
            if (state_->wrong.load() != 0) return static_cast<int>(state_->wrong.load());
        }
        return 0;
    }

    std::uint64_t lookups() const { return state_->lookups.load(); }
    std::string first_wrong() const {
        static const std::array<const char*, 3> kTexts = {"", "a value does not prove itself", "a value was overtaken"};
        return kTexts.at(state_->wrong.load());
    }

private:
    struct State {
        std::array<std::atomic<std::uint64_t>, kKeys> source{};     // its version now
        std::array<std::atomic<std::uint64_t>, kKeys> announced{};  // every later reading is at least this version
        std::atomic<std::uint64_t> lookups{0};
        std::atomic<std::uint32_t> wrong{0};
    };

    static std::string key_of(std::uint32_t n) { return (n % 2 == 0 ? "page:" : "user:") + std::to_string(n); }
    static std::string tag_of(std::uint32_t n) { return "tag " + std::to_string(n); }

    template <class Look>
    void look(std::uint32_t n, Look&& look) {
        const std::string key = key_of(n);
        const std::uint64_t least = state_->announced[n].load(std::memory_order_acquire);
        state_->lookups.fetch_add(1);
        const Pinned got = look(key);
        if (!got) return;
        const auto version = proven_version(key, got.value());
        if (!version)
            state_->wrong = 1;
        else if (*version < least)
            state_->wrong = 2;
    }

    /// Stamp first, then the source.
    void fill(Cache& cache, std::uint32_t n, std::size_t bytes) {
        EntryOptions options;
        options.as_of = cache.stamp();
        options.tags.push_back(tag_of(n));
        cache.put(key_of(n), proving_value(key_of(n), state_->source[n].load(std::memory_order_acquire), bytes),
                  options);
    }

    void compute(Cache& cache, std::uint32_t n, std::size_t bytes) {
        look(n, [&](const std::string& key) {
            const auto value = [&](EntryOptions& options) -> std::optional<std::string> {
                options.tags.push_back(tag_of(n));
                return proving_value(key, state_->source[n].load(std::memory_order_acquire), bytes);
            };
            return cache.get_or_compute(key, value);
        });
    }

    /// The source first, then the notice; only after it the promise holds.
    void change(Cache& cache, std::uint32_t n, std::uint64_t how) {
        const std::uint64_t version = state_->source[n].fetch_add(1, std::memory_order_acq_rel) + 1;
        if (how == 0)
            cache.invalidate_tag(tag_of(n));
        else if (how == 1)
            cache.invalidate_namespace(key_of(n).substr(0, 4));
        else
            cache.invalidate(key_of(n));
        std::uint64_t seen = state_->announced[n].load(std::memory_order_relaxed);
        while (seen < version &&
               !state_->announced[n].compare_exchange_weak(seen, version, std::memory_order_release)) {}
    }

    SharedObject<State> state_;
};

}  // namespace larder::test
