// larder put: what it stores, what it refuses and why, which of its options count.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "shm/segment.hpp"
#include "shm/system.hpp"
#include "tests/support/command_scene.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shm_fixture.hpp"

using namespace larder;
using test::CommandResult;
using test::run_larder;
using Scene = test::CommandScene;
using test::ScopedDirectory;
namespace json = boost::json;

TEST_CASE("put makes no cache for what it does not store", "[cli]") {
    const ScopedDirectory directory;
    const auto put = [&directory](const std::string& rest) {
        return test::run_shell(directory.path(), "\"$LARDER\" put --size 16MiB --json " + rest);
    };
    CHECK(put("k </dev/null").json() == json::value({{"result", "bad_value"}}));
    CHECK(put("'' </dev/null").json() == json::value({{"result", "bad_key"}}));
    CHECK(put("k </").code == 3);
    CHECK(std::filesystem::is_empty(directory.path()));
    CHECK(put("k </dev/null").code == 3);
}

TEST_CASE("put says which limit the entry is above", "[cli]") {
    const Scene scene;
    const auto advice = [&scene](std::vector<std::string> arguments, const std::string& value) {
        arguments.insert(arguments.begin(), {"put", "k"});
        return scene.run(arguments, value).err;
    };
    CHECK_THAT(advice({}, std::string(8 << 20, 'v')), Catch::Contains("--size"));
    CHECK_THAT(advice({"--tag", std::string(257, 't')}, "v"), Catch::EndsWith("a tag has 1 to 256 bytes, not 257\n"));
    std::vector<std::string> tags;
    for (int i = 0; i < 17; ++i) tags.insert(tags.end(), {"--tag", "t" + std::to_string(i)});
    CHECK_THAT(advice(tags, "v"), Catch::EndsWith("an entry has at most 16 tags, not 17\n"));
}

TEST_CASE("put takes its ttl from LARDER_TTL when it is given none", "[cli]") {
    const Scene scene;
    const auto ttl_of_put = [&scene](const std::vector<std::string>& arguments) {
        CHECK(run_larder(scene.directory.path(), arguments, "v", {{"LARDER_TTL", "1h"}}).code == 0);
        return scene.line_of("k").at("ttl_ms").to_number<int>();
    };
    CHECK(ttl_of_put({"put", "k"}) > 3'500'000);
    CHECK(ttl_of_put({"put", "k", "--ttl", "60s"}) <= 60'000);
}

TEST_CASE("put takes the ttl of a negative entry from LARDER_NEGATIVE_TTL", "[cli]") {
    const Scene scene;
    const auto ttl_of_put = [&scene](const std::string& variable, const std::vector<std::string>& arguments) {
        CHECK(run_larder(scene.directory.path(), arguments, "v", {{variable, "1h"}}).code == 0);
        return scene.line_of("k").at("ttl_ms").to_number<int>();
    };
    CHECK(ttl_of_put("LARDER_NEGATIVE_TTL", {"put", "k", "--negative"}) > 3'500'000);
    CHECK(ttl_of_put("LARDER_NEGATIVE_TTL", {"put", "k", "--negative", "--ttl", "60s"}) <= 60'000);
    CHECK(ttl_of_put("LARDER_NEGATIVE_TTL", {"put", "k"}) <= 300'000);
    CHECK(ttl_of_put("LARDER_TTL", {"put", "k", "--negative"}) <= 30'000);
    CHECK_THAT(scene.run({"put", "--help"}).out, Catch::Contains("LARDER_NEGATIVE_TTL, else 30s"));
}

TEST_CASE("put waits for a cache that has just replaced another to open", "[cli]") {
    const Scene scene;
    REQUIRE(scene.run({"rm", "--force"}).code == 0);  // this process has the old one mapped: the new one opens later
    const CommandResult put = scene.run({"put", "k", "--size", "16MiB"}, "v");
    CHECK(put.code == 0);
    CHECK(put.err.empty());
    CHECK(scene.run({"get", "k"}).out == "v");
}

TEST_CASE("put says of a cache that stays closed that it is not open, not that it is locked", "[cli]") {
    const Scene scene;
    const auto segment = shm::Segment::attach(shm::locate(scene.directory.path(), "default", false));
    segment->view().header().open_at_ns = shm::system::coarse_ns() + 3'600'000'000'000;
    const CommandResult put = scene.run({"put", "k", "--json"}, "v");
    CHECK(put.code == 3);
    CHECK(put.json() == json::value({{"result", "busy"}}));
    CHECK_THAT(put.err, Catch::Contains("has just replaced another and takes no values yet"));
}

TEST_CASE("put names --max-bytes where that is the limit", "[cli]") {
    const ScopedDirectory directory;
    const auto put = [&directory](std::size_t bytes) {
        return run_larder(directory.path(), {"put", "k", "--size", "16MiB", "--max-bytes", "1000"},
                          std::string(bytes, 'v'));
    };
    CHECK(put(999).code == 0);
    const CommandResult refused = put(1'000);  // and a byte of key
    CHECK(refused.code == 3);
    CHECK_THAT(refused.err, Catch::Contains("(too_large)") &&
                                Catch::Contains("at most 1000 bytes, by its --max-bytes") &&
                                !Catch::Contains("quarter"));
    CHECK_THAT(put(8 << 20).err, Catch::Contains("a quarter of a shard"));
}

TEST_CASE("put warns of options that a cache which is there does not take over", "[cli]") {
    const ScopedDirectory directory;
    const auto put = [&directory](std::vector<std::string> more) {
        more.insert(more.begin(), {"put", "k"});
        const CommandResult result = run_larder(directory.path(), more, "v", {{"LARDER_SIZE", "18MiB"}});
        CHECK(result.code == 0);
        CHECK(result.out.empty());
        return result.err;
    };
    const std::vector<std::string> made = {"--size",        "16MiB", "--shards",  "1",
                                           "--max-entries", "100",   "--recency", "strict"};
    CHECK(put(made).empty());
    CHECK(put(made).empty());
    CHECK(put({}).empty());  // the variable is for new caches
    CHECK_THAT(put({"--size", "32MiB"}), Catch::Contains("cache default is there and keeps --size 16.0MiB;"));
    CHECK_THAT(put({"--max-entries", "7", "--recency", "clock", "--shards", "2", "--max-bytes", "5000"}),
               Catch::Contains("keeps --shards 1, --max-entries 100, --max-bytes none, --recency strict;"));
}
