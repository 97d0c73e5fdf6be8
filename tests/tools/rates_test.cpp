// Rates between two looks, and how numbers of any size keep their column.
#include "tools/rates.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "tools/stat_report.hpp"

using namespace larder;
using namespace larder::tools;
using namespace std::chrono_literals;
using shm::Counter;

namespace {

Sample sample_at(std::chrono::milliseconds after, std::uint64_t hits, std::uint64_t cold) {
    Sample sample;
    sample.at = std::chrono::steady_clock::time_point() + after;
    sample.incarnation = 7;
    sample.totals.values[static_cast<std::size_t>(Counter::hits)] = hits;
    sample.totals.values[static_cast<std::size_t>(Counter::misses_cold)] = cold;
    return sample;
}

}  // namespace

TEST_CASE("Rates are what was counted, a second", "[tools]") {
    const Rates rates(sample_at(1s, 100, 10), sample_at(3s, 700, 210));
    CHECK(rates[Counter::hits] == 300);
    CHECK(rates.misses() == 100);
    CHECK(rates.lookups() == 400);
    CHECK(rates.hit_percentage() == 75);
    CHECK_FALSE(Rates().hit_percentage());
}

TEST_CASE("Rates from one segment to another, or backwards, are zeros", "[tools]") {
    Sample other = sample_at(3s, 700, 210);
    other.incarnation = 8;
    CHECK(Rates(sample_at(1s, 100, 10), other).lookups() == 0);
    CHECK(Rates(sample_at(3s, 100, 10), sample_at(3s, 700, 10)).lookups() == 0);
    CHECK(Rates(sample_at(1s, 700, 10), sample_at(3s, 100, 10)).lookups() == 0);
}

TEST_CASE("A rate fits its column, however large", "[tools]") {
    CHECK(rate_text(0, 5) == "0");
    CHECK(rate_text(0.04, 5) == "0.0");
    CHECK(rate_text(9.94, 5) == "9.9");
    CHECK(rate_text(9.96, 5) == "10");
    CHECK(rate_text(99'999, 5) == "99999");
    CHECK(rate_text(123'456, 5) == "123k");
    CHECK(rate_text(1'234'567, 5) == "1235k");
    CHECK(rate_text(123'456'789, 5) == "123M");
    CHECK(rate_text(5'400'000'000, 4) == "5.4G");
    for (double rate = 1; rate < 1e14; rate *= 7)
        for (const std::size_t width : {4, 5, 8, 10}) CHECK(rate_text(rate, width).size() <= width);
}

TEST_CASE("A count has no fraction unless it is cut", "[tools]") {
    CHECK(count_text(0, 5) == "0");
    CHECK(count_text(3, 5) == "3");
    CHECK(count_text(99'999, 5) == "99999");
    CHECK(count_text(1'234'567, 4) == "1.2M");
}

TEST_CASE("The columns of stat --watch stay where they are when numbers grow", "[tools]") {
    const std::string header = rates_header();
    CHECK(header.size() - 1 <= 80);
    for (std::uint64_t hits = 1; hits < 1'000'000'000'000'000; hits *= 10) {
        Sample to = sample_at(2s, hits, hits / 3);
        for (const Counter counter :
             {Counter::puts, Counter::evictions, Counter::expirations, Counter::invalidations, Counter::computations})
            to.totals.values[static_cast<std::size_t>(counter)] = hits;
        to.gauges.entries = hits;
        to.gauges.payload_bytes = hits;
        CHECK(rates_line(sample_at(1s, 0, 0), to).size() == header.size());
    }
}

TEST_CASE("Without lookups there is no share of hits, which is not none of them", "[tools]") {
    const std::string line = rates_line(sample_at(1s, 5, 5), sample_at(2s, 5, 5));
    CHECK_THAT(line, Catch::StartsWith("        0      0     -      0 "));
    CHECK(rates_json(sample_at(1s, 5, 5), sample_at(2s, 5, 5)).at("hit_percentage").is_null());
    CHECK(rates_json(sample_at(1s, 5, 5), sample_at(2s, 5, 9)).at("hit_percentage") == 0.0);
}
