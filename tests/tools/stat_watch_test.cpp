// larder stat --watch: a line each interval, whatever becomes of the cache meanwhile.
#include <signal.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "tests/support/command_scene.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"

using namespace larder;
using test::CommandResult;
using test::LarderCommand;
using test::run_larder;
using Scene = test::CommandScene;
using test::ScopedDirectory;
namespace json = boost::json;

TEST_CASE("stat --watch prints a line an interval and ends after --count or at SIGINT", "[cli]") {
    Scene scene;
    const std::vector<std::string> lines = scene.run({"stat", "--watch", "10ms", "--count", "3"}).lines();
    REQUIRE(lines.size() == 5);
    CHECK_THAT(lines[0], Catch::StartsWith("cache default, made ") && Catch::EndsWith("then each 10ms"));
    CHECK_THAT(lines[1], Catch::StartsWith("LOOKUPS/s"));
    for (std::size_t at = 2; at < lines.size(); ++at) CHECK(lines[at].size() == lines[1].size());
    const json::value rates = scene.run({"stat", "--watch", "10ms", "--count", "1", "--json"}).json();
    CHECK(rates.at("interval_ms").to_number<int>() >= 10);
    CHECK(rates.at("hits_per_second").to_number<double>() == 0.0);
    LarderCommand watching(scene.directory.path(), {"stat", "--watch", "10ms"});
    CHECK_THAT(watching.read_line(), Catch::StartsWith("cache default, made "));
    CHECK_THAT(watching.read_line(), Catch::StartsWith("LOOKUPS/s"));  // at once, in a pipe, too
    watching.signal(SIGINT);
    const CommandResult ended = watching.finish();
    CHECK(ended.code == 0);
}

TEST_CASE("stat --watch begins with the mean since the cache was made, and repeats its header", "[cli]") {
    Scene scene;
    scene.cache.put("k", "v");
    for (int n = 0; n < 1'000; ++n) scene.cache.get("k");
    const std::vector<std::string> lines = scene.run({"stat", "--watch", "10ms", "--count", "45"}).lines();
    REQUIRE(lines.size() == 1 + 45 + 3);
    CHECK(std::stod(lines[2].substr(0, 9)) > 0);
    CHECK(std::stod(lines[3].substr(0, 9)) == 0);
    for (const std::size_t header : {1, 22, 43}) CHECK(lines[header] == lines[1]);
}

TEST_CASE("stat --watch looks each second where it is not told how often", "[cli]") {
    Scene scene;
    const std::vector<std::string> lines = scene.run({"stat", "--watch", "-c", "default", "--count", "1"}).lines();
    REQUIRE(lines.size() == 3);
    CHECK_THAT(lines[0], Catch::EndsWith("then each 1.0s"));
}

TEST_CASE("stat --watch waits for a cache that was removed, and begins anew with the one that comes", "[cli]") {
    const ScopedDirectory directory;
    const auto make = [&] { return run_larder(directory.path(), {"put", "k", "--size", "16MiB"}, "v").code == 0; };
    const auto remove = [&] { return run_larder(directory.path(), {"rm", "--force"}).code == 0; };
    REQUIRE(make());
    for (const bool in_json : {false, true}) {
        std::vector<std::string> arguments = {"stat", "--watch", "10ms"};
        if (in_json) arguments.push_back("--json");
        LarderCommand watching(directory.path(), arguments);
        watching.read_line();
        REQUIRE(remove());
        REQUIRE(make());
        // Lines of the time before may be there still.
        std::string line;
        const std::string wanted = in_json ? "\"replaced\":true" : "cache default, made ";
        for (int n = 0; n < 10'000 && line.find(wanted) == std::string::npos; ++n) line = watching.read_line();
        CHECK_THAT(line, Catch::Contains(wanted));
        if (in_json) CHECK_THAT(line, Catch::Contains("\"entries\":1,"));
        watching.signal(SIGINT);
        CHECK(watching.finish().code == 0);
    }
    REQUIRE(remove());
    const CommandResult none = run_larder(directory.path(), {"stat", "--watch", "10ms"});
    CHECK(none.code == 1);
}

TEST_CASE("stat --watch with --count ends, however long the cache is gone", "[cli]") {
    const ScopedDirectory directory;
    REQUIRE(run_larder(directory.path(), {"put", "k", "--size", "16MiB"}, "v").code == 0);
    LarderCommand watching(directory.path(), {"stat", "--watch", "10ms", "--count", "100"});
    watching.read_line();
    REQUIRE(run_larder(directory.path(), {"rm", "--force"}).code == 0);
    const CommandResult ended = watching.finish();
    CHECK(ended.code == 1);
    CHECK_THAT(ended.err, Catch::Contains("no cache default in ") && Catch::EndsWith("; waiting for it\n"));
}
