// Random operations on a cache and on its model, which must answer alike.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shm/cache.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/model_cache.hpp"
#include "tests/support/proving_value.hpp"

namespace larder::test {

/// LARDER_SEED, else another one in each run. Print it.
inline std::uint64_t seed_of_run() {
    if (const char* given = std::getenv("LARDER_SEED")) return std::strtoull(given, nullptr, 10);
    return std::random_device{}();
}

/// Several processes may each have one of the same seed, and take turns: who has the turn says `real`, the others
/// follow.
class ModelRun {
public:
    /// A number from 0 on, below what is given.
    using Draw = std::function<std::uint64_t(std::uint64_t below)>;

    /// max_entries 0: all operations, else those whose room the model can follow. REQUIRES: strict recency then.
    ModelRun(Cache& cache, ManualClock& clock, Draw draw, std::uint64_t max_entries)
        : model(max_entries),
          cache_(cache),
          clock_(clock),
          draw_(std::move(draw)),
          limited_(max_entries != 0),
          incarnation_(cache.stamp().incarnation) {
        model.now_ns = clock.now_ns();
    }
    ModelRun(Cache& cache, ManualClock& clock, std::uint64_t seed, std::uint64_t max_entries)
        : ModelRun(
              cache, clock, [random = std::mt19937_64(seed)](std::uint64_t below) mutable { return random() % below; },
              max_entries) {}

    /// One operation. Says what was not as the model has it; empty: all was.
    std::string step(bool real) {
        ++steps_;
        const std::string key = random_key();
        const std::uint64_t what = draw(100);
        if (what < 27) return get(key, real);
        if (what < 35) return compute(key, real);
        if (what < 40) return peek(key, real);
        if (what < 65) return put(key, real);
        if (what < 70) return touch(key, real);
        if (what < 75) return erase(key, real);
        if (what < 80) return get_many(real);
        if (what < 88) return pass_time(real);
        if (what < 92) return hold(key, real);
        return limited_ ? get(key, real) : invalidate(key, real);
    }

    ModelCache model;

private:
    std::uint64_t draw(std::uint64_t below) { return draw_(below); }
    std::string random_key() { return (draw(2) == 0 ? "page:" : "user:") + std::to_string(draw(30)); }
    std::string random_tag() { return "tag " + std::to_string(draw(6)); }

    std::string told(const std::string& operation, const std::string& key, std::string_view expected,
                     std::string_view got) const {
        if (expected == got) return {};
        return "step " + std::to_string(steps_) + ": " + operation + " " + key + ": " + std::string(got) + ", not " +
               std::string(expected);
    }
    std::string compare(const std::string& operation, const std::string& key, const ModelCache::Found& expected,
                        const Pinned& got) const {
        std::string states = told(operation, key, name_of(expected.state), name_of(got.state()));
        if (!states.empty()) return states;
        return got.value() == expected.value ? std::string() : told(operation, key, "that value", "another value");
    }

    std::string get(const std::string& key, bool real) {
        const ModelCache::Found expected = model.get(key);
        return real ? compare("get", key, expected, cache_.get(key)) : std::string();
    }

    std::string peek(const std::string& key, bool real) {
        const ModelCache::Found expected = model.peek(key);
        if (!real) return {};
        if (cache_.contains(key) != (expected.state != State::none)) return told("contains", key, "", "otherwise");
        return compare("peek", key, expected, cache_.peek(key));
    }

    std::string put(const std::string& key, bool real) {
        EntryOptions options;
        if (draw(2) == 0) options.ttl = std::chrono::milliseconds(1 + draw(60'000));
        if (draw(4) == 0) options.soft_ttl = std::chrono::milliseconds(1 + draw(20'000));
        options.negative = draw(8) == 0;
        for (std::uint64_t n = draw(4); n > 0; --n) options.tags.push_back(random_tag());
        if (!limited_ && draw(50) == 0) options.tags.assign(17, "too many");
        std::string value = proving_value(key, steps_, 32 + draw(2000));
        if (draw(20) == 0) value.clear();
        std::uint64_t as_of = model.notice();
        if (!limited_ && draw(3) == 0) {
            as_of -= std::min<std::uint64_t>(as_of, draw(12));
            options.as_of = Stamp{incarnation_, as_of};
        }
        const PutResult expected = model.put(key, value, options, as_of);
        return real ? told("put", key, name_of(expected), name_of(cache_.put(key, value, options))) : std::string();
    }

    std::string compute(const std::string& key, bool real) {
        EntryOptions options;
        if (draw(2) == 0) options.ttl = std::chrono::milliseconds(1 + draw(60'000));
        if (draw(4) == 0) options.soft_ttl = std::chrono::milliseconds(1 + draw(20'000));
        for (std::uint64_t n = draw(3); n > 0; --n) options.tags.push_back(random_tag());
        std::optional<std::string> value = proving_value(key, steps_, 32 + draw(2000));
        if (draw(8) == 0) value.reset();
        const ModelCache::Found expected = model.compute(key, value, options);
        if (!real) return {};
        return compare("get_or_compute", key, expected,
                       cache_.get_or_compute(
                           key, [&] { return value; }, options));
    }

    std::string touch(const std::string& key, bool real) {
        const std::chrono::milliseconds ttl(draw(60'000));
        const bool expected = model.touch(key, ttl);
        return real ? told("touch", key, expected ? "true" : "false", cache_.touch(key, ttl) ? "true" : "false") : "";
    }

    std::string erase(const std::string& key, bool real) {
        const bool expected = model.erase(key);
        return real ? told("erase", key, expected ? "true" : "false", cache_.erase(key) ? "true" : "false") : "";
    }

    std::string get_many(bool real) {
        std::array<std::string, 3> keys;
        std::array<ModelCache::Found, 3> expected;
        for (std::size_t i = 0; i < keys.size(); ++i) {
            keys[i] = random_key();
            expected[i] = model.get(keys[i]);
        }
        if (!real) return {};
        const std::array<std::string_view, 3> names{keys[0], keys[1], keys[2]};
        const std::vector<Pinned> got = cache_.get_many(names);
        for (std::size_t i = 0; i < keys.size(); ++i)
            if (std::string wrong = compare("get_many", keys[i], expected[i], got[i]); !wrong.empty()) return wrong;
        return {};
    }

    std::string pass_time(bool real) {
        const std::chrono::milliseconds by(draw(2) == 0 ? draw(100) : draw(20'000));
        model.now_ns += std::chrono::nanoseconds(by).count();
        if (real) clock_.advance(by);
        return {};
    }

    /// Keeps some handles over what follows: their bytes must stay.
    std::string hold(const std::string& key, bool real) {
        const ModelCache::Found expected = model.get(key);
        // What is read without a free pin is a copy, whose use no eviction learns of: exact recency needs the pins.
        const std::size_t place = limited_ ? 0 : draw(held_.size());
        if (!real) return {};
        auto& [pinned, value] = held_[place];
        if (pinned.state() != State::none && pinned.value() != value) return told("hold", key, "", "it changed");
        pinned = cache_.get(key);
        value = expected.value;
        return compare("hold", key, expected, pinned);
    }

    std::string invalidate(const std::string& key, bool real) {
        const std::uint64_t what = draw(10);
        const std::string other = random_key(), tag = random_tag(), name = key.substr(0, 4);
        std::uint64_t number = 0;
        if (what < 4) {
            model.invalidate({key});
            if (real) number = cache_.invalidate(key);
        } else if (what < 6) {
            model.invalidate({key, other});
            const std::array<std::string_view, 2> both{key, other};
            if (real) number = cache_.invalidate(both);
        } else if (what < 8) {
            model.invalidate_tag(tag);
            if (real) number = cache_.invalidate_tag(tag);
        } else if (what == 8) {
            model.invalidate_namespace(name);
            if (real) number = cache_.invalidate_namespace(name);
        } else {
            model.invalidate_all();
            if (real) number = cache_.invalidate_all();
        }
        return real ? told("notice", key, std::to_string(model.notice()), std::to_string(number)) : std::string();
    }

    Cache& cache_;
    ManualClock& clock_;
    const Draw draw_;
    const bool limited_;
    const std::uint64_t incarnation_;
    std::uint64_t steps_ = 0;
    std::array<std::pair<Pinned, std::string>, 6> held_;
};

}  // namespace larder::test
