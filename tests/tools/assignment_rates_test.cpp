// Which assignments are asked for most, found a slice at a time.
#include "tools/assignment_rates.hpp"

#include <catch2/catch.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "core/cache_keys.hpp"
#include "tests/support/scoped_cache.hpp"

using namespace larder;
using test::ScopedCache;
using tools::AssignmentRate;
using tools::AssignmentRates;

namespace {

struct Scene {
    explicit Scene(const Options& options = {}) : scoped(options) {}
    void ask(AssignmentId id, int times) {
        scoped.cache.put(stats_key(id), "v");
        for (int n = 0; n < times; ++n) scoped.cache.get(stats_key(id));
    }
    void look() { rates.look(scoped.view(), scoped.clock->now_ns()); }
    std::vector<AssignmentId> ids() const {
        std::vector<AssignmentId> ids;
        for (const AssignmentRate& row : rates.rows()) ids.push_back(row.id);
        return ids;
    }
    ScopedCache scoped;
    AssignmentRates rates;
};

std::vector<AssignmentId> first(std::size_t count) {
    std::vector<AssignmentId> ids(count);
    std::iota(ids.begin(), ids.end(), 1);
    return ids;
}

}  // namespace

TEST_CASE("assignments asked for most come first, those never asked for last, by their ids", "[dashboard]") {
    Scene scene;
    scene.ask(3, 3);
    scene.ask(2, 1);
    scene.ask(9, 7);  // not one of those that are looked at
    scene.rates.set_ids(first(4));
    scene.look();
    CHECK(scene.ids() == std::vector<AssignmentId>{3, 2, 1, 4});
    CHECK(scene.rates.rows()[0].hits == 3);
    CHECK(scene.rates.rows()[1].hits == 1);
}

TEST_CASE("what is shown is counted anew at each look, once", "[dashboard]") {
    Scene scene;
    scene.rates.set_ids(first(3));
    scene.look();
    scene.ask(2, 2);
    scene.look();
    scene.look();
    CHECK(scene.ids() == std::vector<AssignmentId>{2, 1, 3});
    CHECK(scene.rates.rows()[0].hits == 2);
}

TEST_CASE("of many assignments a slice is looked at each time, and all of them in turn", "[dashboard]") {
    Scene scene;
    const auto last = static_cast<AssignmentId>(2 * AssignmentRates::kSlice + 10);
    scene.ask(last, 1);
    scene.rates.set_ids(first(static_cast<std::size_t>(last)));
    scene.look();
    CHECK(scene.ids().size() == AssignmentRates::kShown);
    CHECK(scene.ids()[0] == 1);
    scene.look();
    CHECK(scene.ids()[0] == 1);
    scene.look();
    CHECK(scene.ids()[0] == last);
    for (int n = 0; n < 4; ++n) scene.look();
    CHECK(scene.ids()[0] == last);
    CHECK(scene.ids().size() == AssignmentRates::kShown);
}

TEST_CASE("an assignment that is none of them any more is shown no longer", "[dashboard]") {
    Scene scene;
    scene.ask(2, 5);
    scene.rates.set_ids({1, 2});
    scene.look();
    scene.rates.set_ids({1, 3});
    scene.look();
    CHECK(scene.ids() == std::vector<AssignmentId>{1, 3});
}

TEST_CASE("the walk goes on where it was when the assignments are named anew", "[dashboard]") {
    Scene scene;
    const auto last = static_cast<AssignmentId>(3 * AssignmentRates::kSlice);
    scene.ask(last, 1);
    for (int n = 0; n < 3; ++n) {
        scene.rates.set_ids(first(static_cast<std::size_t>(last)));
        scene.look();
    }
    CHECK(scene.ids()[0] == last);
    scene.rates.set_ids(first(10));  // the place where it was is gone
    scene.look();
    CHECK(scene.ids() == first(10));
}

TEST_CASE("of an assignment for which the key table has no room nothing is known", "[dashboard]") {
    Options options;
    options.tracked_keys = 16;
    Scene scene(options);
    for (int n = 0; n < 1'000; ++n) scene.scoped.cache.put("filler:" + std::to_string(n), "v");
    scene.ask(1, 5);
    scene.rates.set_ids({1});
    scene.look();
    CHECK_FALSE(scene.rates.rows().at(0).is_counted);
    Scene roomy;
    roomy.rates.set_ids({1});
    roomy.look();
    CHECK(roomy.rates.rows().at(0).is_counted);  // nobody asked, and that is known
}
