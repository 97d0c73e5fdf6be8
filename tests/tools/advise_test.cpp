// larder advise against stacks kept as lists, traces counted by hand, and what `larder replay` makes of its advice.
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <list>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shared_data.hpp"
#include "tools/hit_curve.hpp"
#include "tools/stack_distances.hpp"
#include "tools/trace_replay.hpp"

using namespace larder;
using test::CommandResult;
using test::ScopedDirectory;
using tools::HitCurve;
using tools::StackDistances;
using Unit = HitCurve::Unit;

namespace {

/// The definition: a list, the last used in front.
class Stack {
public:
    std::optional<StackDistances::Distance> use(const std::string& key, std::uint64_t bytes) {
        StackDistances::Distance distance;
        for (auto at = stack_.begin(); at != stack_.end(); ++at) {
            ++distance.entries;
            if (at->first == key) {
                distance.bytes += bytes;
                stack_.erase(at);
                stack_.emplace_front(key, bytes);
                return distance;
            }
            distance.bytes += at->second;
        }
        stack_.emplace_front(key, bytes);
        return std::nullopt;
    }

private:
    std::list<std::pair<std::string, std::uint64_t>> stack_;
};

std::string written(const ScopedDirectory& directory, const std::string& text) {
    const std::string path = directory.file("trace.csv");
    std::ofstream(path) << text;
    return path;
}

}  // namespace

TEST_CASE("stack distances are those of a stack", "[advise]") {
    std::mt19937_64 random(GENERATE(1, 2, 3));
    const std::uint64_t keys = GENERATE(1, 7, 300, 5'000);
    StackDistances distances;
    Stack stack;
    for (int n = 0; n < 12'000; ++n) {
        const std::string key = std::to_string(random() % (1 + random() % keys));
        const std::uint64_t bytes = random() % 1'000;
        const auto expected = stack.use(key, bytes), got = distances.use(key, bytes);
        REQUIRE(got.has_value() == expected.has_value());
        if (!got) continue;
        REQUIRE(got->entries == expected->entries);
        REQUIRE(got->bytes == expected->bytes);
    }
}

TEST_CASE("a curve says what each size hits", "[advise]") {
    const ScopedDirectory directory;
    // Distances in entries: a and b are first uses; a 2, c first, b 3, a 3.
    const HitCurve curve =
        HitCurve::of(written(directory, "time,key,size\n1,a,9\n2,b,19\n3,a,9\n4,c,99\n5,b,19\n6,a,9\n"), 0);
    CHECK(curve.requests() == 6);
    CHECK(curve.keys() == 3);
    CHECK(curve.bytes() == 10 + 20 + 100);
    CHECK(curve.hit_ratio(Unit::entries, 1) == 0);
    CHECK(curve.hit_ratio(Unit::entries, 2) == Approx(1.0 / 6));
    CHECK(curve.hit_ratio(Unit::entries, 3) == Approx(0.5));
    CHECK(curve.hit_ratio(Unit::bytes, 29) == 0);
    CHECK(curve.hit_ratio(Unit::bytes, 30) == Approx(1.0 / 6));
    CHECK(curve.hit_ratio(Unit::bytes, 130) == Approx(0.5));
    CHECK(curve.smallest(Unit::entries, 0.5) == 3);
    CHECK(curve.smallest(Unit::entries, 0.1) == 2);
    CHECK_FALSE(curve.smallest(Unit::entries, 0.51));
    CHECK(curve.most() == Approx(0.5));
}

TEST_CASE("the curve of a real trace is that of an exact LRU", "[advise]") {
    const auto shared = larder::testing::shared_dir();
    if (!shared || !std::filesystem::exists(*shared / "data/traces/gli.csv.gz")) {
        WARN("skipped: the traces of the shared data are not here");
        return;
    }
    const HitCurve curve = HitCurve::of(*shared / "data/traces/gli.csv.gz", 0);
    std::ifstream table(*shared / "data/traces/gli_expected.tsv");
    std::string heading;
    std::getline(table, heading);
    int rows = 0;
    for (std::uint64_t capacity = 0, hits = 0, misses = 0; table >> capacity >> hits >> misses; ++rows)
        CHECK(curve.hit_ratio(Unit::entries, capacity) ==
              Approx(static_cast<double>(hits) / static_cast<double>(hits + misses)));
    CHECK(rows == 8);
}

TEST_CASE("a cache as large as was advised hits as often as was wanted", "[advise]") {
    const ScopedDirectory directory;
    std::mt19937_64 random(5);
    std::string text;
    for (int n = 0; n < 60'000; ++n) {
        const auto key =
            static_cast<std::uint64_t>(4'000 * std::pow(static_cast<double>(random() % 1'000'000) / 1e6, 3));
        text += std::to_string(n) + "," + std::to_string(key) + "," + std::to_string(8'000 + key * 7 % 9'000) + "\n";
    }
    const std::string path = written(directory, text);
    const CommandResult result = test::run_larder(directory.path(), {"advise", path, "--hit-ratio", "0.8", "--json"});
    REQUIRE(result.code == 0);
    tools::ReplayOptions options;
    options.trace = path;
    const auto json = result.json();
    options.size_bytes = json.at("advice").at("size_bytes").to_number<std::uint64_t>();
    options.expected_entries = json.at("advice").at("entries").to_number<std::uint64_t>();
    const double got = tools::replay(options).hit_ratio();
    CHECK(got >= 0.8);
    CHECK(got < 0.9);  // it is not much too large, either
}

TEST_CASE("advice is a curve and a sentence, or says why there is none", "[advise][cli]") {
    const ScopedDirectory directory;
    const std::string path = written(directory, "1,a,9\n2,b,9\n3,a,9\n4,b,9\n");
    const CommandResult well = test::run_larder(directory.path(), {"advise", path, "--hit-ratio", "0.5"});
    CHECK(well.code == 0);
    CHECK_THAT(well.out, Catch::Contains("4 requests for 2 keys") && Catch::Contains("an LRU holds 2 entries") &&
                             Catch::Contains("--size 16MiB, --expected-entries 2"));
    const CommandResult never = test::run_larder(directory.path(), {"advise", path});
    CHECK(never.code == 1);
    CHECK_THAT(never.out, Catch::Contains("50.0 % of all requests are the first for their key"));
    const CommandResult empty = test::run_larder(directory.path(), {"advise", written(directory, "time,key,size\n")});
    CHECK(empty.code == 1);
    CHECK_THAT(empty.err, Catch::Contains("has no requests"));
    CHECK(test::run_larder(directory.path(), {"advise", path, "--hit-ratio", "2"}).code == 2);
    CHECK(test::run_larder(directory.path(), {"advise", path, "--hit-ratio", "nan"}).code == 2);
    CHECK(test::run_larder(directory.path(), {"advise", "/nonexistent"}).code == 3);
}

TEST_CASE("a cache that was advised takes the largest value, or none was advised", "[advise]") {
    const ScopedDirectory directory;
    std::string text;
    for (int n = 0; n < 18; ++n) text += std::to_string(n) + "," + std::to_string(n % 3) + ",6000000\n";
    const std::string path = written(directory, text);
    const CommandResult result = test::run_larder(directory.path(), {"advise", path, "--hit-ratio", "0.7", "--json"});
    REQUIRE(result.code == 0);
    const auto json = result.json();
    tools::ReplayOptions options;
    options.trace = path;
    options.size_bytes = json.at("advice").at("size_bytes").to_number<std::uint64_t>();
    options.expected_entries = json.at("advice").at("entries").to_number<std::uint64_t>();
    CHECK(tools::replay(options).hit_ratio() >= 0.7);

    for (const char* const bytes : {"80000000000", "18446744073709551000"}) {
        const std::string large = written(directory, "1,a," + std::string(bytes) + "\n2,a," + bytes + "\n");
        const CommandResult none = test::run_larder(directory.path(), {"advise", large, "--hit-ratio", "0.5"});
        CHECK(none.code == 1);
        CHECK_THAT(none.out, Catch::Contains("larger than the largest, 64.0GiB"));
    }
}

TEST_CASE("a sample stands for the whole trace, and its numbers do not wrap", "[advise]") {
    const ScopedDirectory directory;
    const std::string path = written(directory, "1,a,9\n2,b,9\n3,a,9\n4,b,9\n");
    const CommandResult sampled =
        test::run_larder(directory.path(), {"advise", path, "--sampled", "8", "--hit-ratio", "0.5"});
    CHECK(sampled.code == 0);
    CHECK_THAT(sampled.out, Catch::Contains("32 requests for 16 keys") && Catch::Contains("an LRU holds 16 entries"));
    const CommandResult vast =
        test::run_larder(directory.path(), {"advise", path, "--sampled", "9000000000000000000", "--hit-ratio", "0.5"});
    CHECK(vast.code == 1);
}
