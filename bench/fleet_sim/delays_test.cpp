#include "bench/fleet_sim/delays.hpp"

#include <catch2/catch.hpp>

#include "bench/fleet_sim/random.hpp"

using namespace larder::bench::sim;

TEST_CASE("a row of delays is counted as each of them would be", "[fleet_sim]") {
    for (const double step_s : {0.0, 1e-7, 3e-6, 0.01}) {
        Delays row, each;
        row.add_row(0.0023, step_s, 5'000);
        for (int n = 0; n < 5'000; ++n) each.add(0.0023 + step_s * n);
        CHECK(row.count() == each.count());
        CHECK(row.longest_s() == Approx(each.longest_s()));
        std::uint64_t moved = 0;  // those that lie on a cell's border
        for (std::size_t cell = 0; cell < Delays::cells; ++cell)
            moved += row.count(cell) > each.count(cell) ? row.count(cell) - each.count(cell) : 0;
        CHECK(moved <= 50);
        for (const double share : {0.01, 0.5, 0.99})
            CHECK(row.quantile_s(share) == Approx(each.quantile_s(share)).epsilon(0.001));
    }
}

TEST_CASE("a quantile of delays is at most a sixteenth of an octave too high", "[fleet_sim]") {
    Delays delays;
    for (int n = 1; n <= 1'000; ++n) delays.add(n * 1e-3);
    CHECK(delays.quantile_s(0.5) >= 0.5);
    CHECK(delays.quantile_s(0.5) <= 0.5 * 1.045);
    CHECK(delays.quantile_s(1) == Approx(1));
    CHECK(Delays().quantile_s(0.5) == 0);
}
