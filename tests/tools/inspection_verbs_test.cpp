// ls, stat, dump, get, put, invalidate, rm: what they print, and what they leave alone.
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "tests/socket/running_listener.hpp"
#include "tests/support/command_scene.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shm_fixture.hpp"

using namespace larder;
using namespace std::chrono_literals;
using test::CommandResult;
using test::LarderCommand;
using test::run_larder;
using Scene = test::CommandScene;
using test::ScopedDirectory;
namespace json = boost::json;

namespace {

std::set<std::string> names_of(const json::value& value) {
    std::set<std::string> names;
    for (const auto& member : value.as_object()) names.insert(std::string(member.key()));
    return names;
}

const std::set<std::string> dump_names = {"key",  "size_bytes",   "ttl_ms", "age_ms",
                                          "hits", "last_used_ms", "tags",   "state"};

}  // namespace

TEST_CASE("put stores standard input, get prints the very bytes", "[cli]") {
    const ScopedDirectory directory;
    const std::string value("\0 binary \xff\n", 11);
    const CommandResult put = run_larder(
        directory.path(), {"put", "k", "--ttl", "60s", "--tag", "a", "--tag", "b", "--size", "16MiB"}, value);
    CHECK(put.code == 0);
    CHECK(put.out.empty());
    const CommandResult got = run_larder(directory.path(), {"get", "k"});
    CHECK(got.code == 0);
    CHECK(got.out == value);
    const json::value line = run_larder(directory.path(), {"get", "k", "--json"}).json();
    std::set<std::string> names = dump_names;
    names.insert("value_base64");
    CHECK(names_of(line) == names);
    CHECK(line.at("value_base64").as_string() == "ACBiaW5hcnkg/wo=");
    CHECK(line.at("size_bytes").to_number<int>() == 11);
    CHECK(line.at("tags") == json::value(json::array{"a", "b"}));
    CHECK(line.at("ttl_ms").to_number<int>() > 0);
    CHECK(line.at("ttl_ms").to_number<int>() <= 60'000);
    CHECK_THAT(run_larder(directory.path(), {"get", "k", "--meta"}).out, Catch::Contains("state      live"));
}

TEST_CASE("what put cannot store is named, and exits with 3", "[cli]") {
    const ScopedDirectory directory;
    const auto put = [&directory](std::vector<std::string> arguments, const std::string& value) {
        arguments.insert(arguments.begin(), {"put", "--json", "--size", "16MiB"});
        return run_larder(directory.path(), arguments, value);
    };
    CHECK(put({"k"}, "v").json() == json::value({{"result", "stored"}}));
    const auto refused = [](const CommandResult& result, const char* name) {
        CHECK(result.code == 3);
        CHECK(result.json() == json::value({{"result", name}}));
        CHECK_THAT(result.err, Catch::StartsWith("larder: not stored (" + std::string(name) + ")"));
    };
    refused(put({std::string(1025, 'k')}, "v"), "bad_key");
    refused(put({""}, "v"), "bad_key");
    refused(put({"k"}, ""), "bad_value");
    refused(put({"k"}, std::string(20 << 20, 'v')), "too_large");
    refused(put({"k", "--tag", std::string(257, 't')}, "v"), "too_large");
    CHECK(run_larder(directory.path(), {"get", "k"}).code ==
          1);  // the older value is not served in place of the refused one
}

TEST_CASE("get of an entry without a value exits with 1", "[cli]") {
    const Scene scene;
    CHECK(scene.run({"put", "gone", "--negative"}).code == 0);
    const CommandResult negative = scene.run({"get", "gone"});
    CHECK(negative.code == 1);
    CHECK(negative.out.empty());
    CHECK_THAT(negative.err, Catch::Contains("negative"));
    const CommandResult absent = scene.run({"get", "never"});
    CHECK(absent.code == 1);
    CHECK(absent.err == "larder: no entry never in cache default\n");
}

TEST_CASE("looking counts nothing and keeps the order of eviction", "[cli]") {
    Scene scene;
    scene.cache.put("k", "v");
    scene.cache.get("k");
    const auto counters = [&scene] { return scene.run({"stat", "--json"}).json().at("counters"); };
    const json::value before = counters();
    const std::int64_t use_before = scene.line_of("k").at("last_used_ms").to_number<std::int64_t>();
    for (const char* verb : {"dump", "ls", "doctor", "stat"}) scene.run({verb});
    scene.run({"get", "k"});
    scene.run({"get", "absent"});
    scene.run({"hit-rate", "1"});
    CHECK(counters() == before);
    CHECK(counters().at("hits").to_number<int>() == 1);
    CHECK(scene.line_of("k").at("last_used_ms").to_number<std::int64_t>() >= use_before);
    CHECK(scene.line_of("k").at("hits").to_number<int>() == 1);
}

TEST_CASE("dump lists live, stale and negative entries, and dead ones on request", "[cli]") {
    Scene scene;
    scene.cache.put("live", "value", {.ttl = 60s, .tags = {"t"}});
    scene.cache.put("stale", "value", {.ttl = 60s, .soft_ttl = 1ms});
    scene.cache.put("negative", "", {.ttl = 60s, .negative = true});
    scene.cache.put("invalidated", "value", {.ttl = 60s});
    scene.cache.invalidate("invalidated");
    scene.cache.put("expired", "value", {.ttl = 1ms});  // last: the next put might sweep it away
    REQUIRE(test::eventually(
        [&scene] { return !scene.cache.contains("expired") && scene.cache.peek("stale").state() == State::stale; }));
    const auto states = [&scene](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"dump", "--json"});
        std::set<std::string> found;
        for (const std::string& line : scene.run(arguments).lines()) {
            const json::value entry = json::parse(line);
            CHECK(names_of(entry) == dump_names);
            CHECK(entry.at("key") == entry.at("state"));
            found.insert(std::string(entry.at("state").as_string()));
        }
        return found;
    };
    const std::set<std::string> alive = {"live", "stale", "negative"};
    std::set<std::string> all = alive;
    all.insert({"expired", "invalidated"});
    CHECK(test::eventually([&] { return states({}) == alive; }));  // once the short TTLs are over
    CHECK(states({"--all"}) == all);
    CHECK(states({"--prefix", "neg"}) == std::set<std::string>{"negative"});
    CHECK(states({"--prefix", "negatives"}).empty());
}

TEST_CASE("dump goes through all entries page by page, each once", "[cli]") {
    Scene scene;
    std::set<std::string> keys;
    for (int i = 0; i < 600; ++i) keys.insert("key:" + std::to_string(i));
    for (const std::string& key : keys) REQUIRE(scene.cache.put(key, "v") == PutResult::stored);
    std::set<std::string> dumped;
    const CommandResult result = scene.run({"dump", "--json"});
    for (const std::string& line : result.lines()) dumped.insert(std::string(json::parse(line).at("key").as_string()));
    CHECK(dumped == keys);
    CHECK(result.lines().size() == keys.size());
    CHECK(scene.run({"dump", "--json", "--limit", "300"}).lines().size() == 300);
    CHECK(scene.run({"dump", "--limit", "3"}).lines().size() == 4);
    CHECK(scene.run({"dump", "--json", "--limit", "0"}).out.empty());
}

TEST_CASE("dump --values shows values only when asked", "[cli]") {
    Scene scene;
    scene.cache.put("k", "secret");
    CHECK(scene.run({"dump"}).out.find("secret") == std::string::npos);
    CHECK_THAT(scene.run({"dump", "--values"}).out, Catch::Contains("secret"));
    CHECK(scene.run({"dump", "--values", "--json"}).json().at("value_base64").as_string() == "c2VjcmV0");
}

TEST_CASE("tags that are not UTF-8 are in JSON twice: to be read, and byte for byte", "[cli]") {
    Scene scene;
    scene.cache.put("k", "v", {.tags = {"plain", "\xff\xfe"}});
    for (const char* const verb : {"dump", "get"}) {
        const std::string key = verb == std::string("get") ? "k" : "--json";
        const json::value line = scene.run({verb, key, "--json"}).json();
        std::set<std::string> names = names_of(line);
        CHECK(names.count("tags_base64") == 1);
        CHECK(line.at("tags_base64") == json::value(json::array{"cGxhaW4=", "//4="}));
        CHECK(line.at("tags").at(0) == "plain");
        CHECK(line.at("tags").as_array().size() == 2);
    }
    scene.cache.put("k", "v", {.tags = {"gr\xc3\xbcn"}});
    CHECK(names_of(scene.run({"dump", "--json"}).json()) == dump_names);
}

TEST_CASE("no entry was last used before it was made", "[cli]") {
    Scene scene;
    for (int round = 0; round < 5; ++round) {  // the last use is kept in steps of 128 ms
        const std::string key = "key:" + std::to_string(round);
        scene.cache.put(key, "v");
        const json::value line = scene.line_of(key);
        CHECK(line.at("last_used_ms").to_number<int>() <= line.at("age_ms").to_number<int>());
    }
}

TEST_CASE("ls lists the caches of the directory, and says of a foreign file what is wrong", "[cli]") {
    Scene scene;
    scene.cache.put("k", "v");
    const json::value line = scene.run({"ls", "--json"}).json();
    CHECK(line == json::value({{"name", "default"},
                               {"path", scene.directory.file("default.seg")},
                               {"size_bytes", 10 << 20},
                               {"entries", 1},
                               {"processes", 1},
                               {"listening", false}}));
    std::filesystem::copy_file("/proc/self/status", scene.directory.file("alien.seg"));
    const CommandResult both = scene.run({"ls"});
    CHECK(both.code == 3);  // of one nothing could be said
    CHECK(both.lines().size() == 2);
    CHECK_THAT(both.err, Catch::Contains("alien"));
    const CommandResult json = scene.run({"ls", "--json"});
    CHECK(json.code == 3);
    CHECK(json.json() == line);
}

TEST_CASE("stat names the cache, its counters and its processes", "[cli]") {
    Scene scene;
    scene.cache.put("k", "value");
    const json::value stat = scene.run({"stat", "--json"}).json();
    CHECK(stat.at("name") == "default");
    CHECK(stat.at("path") == json::value(scene.directory.file("default.seg")));
    CHECK(stat.at("socket") == json::value(scene.directory.file("default.sock")));
    CHECK(stat.at("layout").to_number<int>() >= 1);
    CHECK(stat.at("size_bytes").to_number<int>() == 10 << 20);
    CHECK(stat.at("shards").to_number<int>() == 1);
    CHECK(stat.at("entries").to_number<int>() == 1);
    CHECK(stat.at("payload_bytes").to_number<int>() == 6);
    CHECK(stat.at("counters").at("puts").to_number<int>() == 1);
    const json::value process = stat.at("processes").at(0);
    CHECK(process.at("pid").to_number<int>() == ::getpid());
    CHECK(process.at("role") == "worker");
    CHECK(process.at("alive").as_bool());
    const std::string text = scene.run({"stat", "--shards"}).out;
    CHECK_THAT(text, Catch::Contains("values stored") && Catch::Contains("worker") && Catch::Contains("SHARD"));
}

TEST_CASE("stat names what the last notices were about", "[cli]") {
    Scene scene;
    scene.cache.invalidate("a key");
    scene.cache.invalidate_tag(std::string(100, 't'));
    scene.cache.invalidate_namespace("ns");
    scene.cache.invalidate_all();
    const std::string text = scene.run({"stat"}).out;
    CHECK_THAT(text, Catch::Contains(" ago: key a key\n") && Catch::Contains(" ago: tag ttt") &&
                         Catch::Contains(std::string(64, 't') + "...\n") && Catch::Contains(" ago: namespace ns\n") &&
                         Catch::Contains(" ago: everything "));
}

TEST_CASE("invalidate goes to the segment while nobody listens", "[cli]") {
    Scene scene;
    const auto told = [&scene](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"invalidate", "--json"});
        const CommandResult result = scene.run(arguments);
        CHECK(result.code == 0);
        CHECK(result.json().at("through") == "segment");
        return result.json().at("keys").to_number<int>();
    };
    const auto store = [&scene] {
        scene.cache.put("ns:k", "v", {.tags = {"t"}});
        return bool(scene.cache.peek("ns:k"));
    };
    CHECK(store());
    CHECK(told({"ns:k", "other"}) == 2);
    CHECK_FALSE(scene.cache.peek("ns:k"));
    CHECK(store());
    CHECK(told({"--tag", "t"}) == 0);
    CHECK_FALSE(scene.cache.peek("ns:k"));
    CHECK(store());
    CHECK(told({"--namespace", "ns"}) == 0);
    CHECK_FALSE(scene.cache.peek("ns:k"));
    CHECK(store());
    CHECK(told({"--all"}) == 0);
    CHECK_FALSE(scene.cache.peek("ns:k"));
    CHECK_THAT(scene.run({"invalidate", "a", "b"}).out, Catch::StartsWith("ok 2 notice="));
    CHECK_THAT(scene.run({"invalidate", "--all"}).out, Catch::StartsWith("ok notice="));
}

TEST_CASE("invalidate names assignments, their author or their course as the service keeps them", "[cli]") {
    Scene scene;
    const auto left_after = [&scene](const std::vector<std::string>& arguments) {
        scene.cache.put("assignment_stats:1", "v", {.tags = {"author:7", "course:Law"}});
        scene.cache.put("assignment_access:1", "v");
        std::vector<std::string> all{"invalidate"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        CHECK(scene.run(all).code == 0);
        return scene.cache.contains("assignment_stats:1") + 2 * scene.cache.contains("assignment_access:1");
    };
    CHECK(left_after({"--assignment", "2", "3"}) == 3);
    CHECK(left_after({"--assignment", "2", "1"}) == 0);
    CHECK(left_after({"--author", "7"}) == 2);
    CHECK(left_after({"--author", "8"}) == 3);
    CHECK(left_after({"--course", "Law"}) == 2);
    for (const std::vector<std::string>& wrong : {std::vector<std::string>{"--assignment", "x"},
                                                  {"--author", "0"},
                                                  {"--course", ""},
                                                  {"--author", "7", "--all"}}) {
        std::vector<std::string> all{"invalidate"};
        all.insert(all.end(), wrong.begin(), wrong.end());
        CHECK(scene.run(all).code == 2);
    }
}

TEST_CASE("invalidate goes through the socket while somebody listens", "[cli]") {
    Scene scene;
    LarderCommand listener(scene.directory.path(), {"listen"});
    REQUIRE(test::eventually([&scene] { return scene.run({"ls", "--json"}).json().at("listening").as_bool(); }));
    scene.cache.put("k", "v", {.tags = {"t"}});
    const json::value told = scene.run({"invalidate", "--json", "k"}).json();
    CHECK(told.at("through") == "socket");
    CHECK(told.at("keys").to_number<int>() == 1);
    CHECK(told.at("notice").to_number<int>() >= 1);
    CHECK_FALSE(scene.cache.peek("k"));
    listener.signal(SIGTERM);
    CHECK(listener.finish().code == 0);
    CHECK(scene.run({"invalidate", "--json", "k"}).json().at("through") == "segment");
}

TEST_CASE("a listener that hangs keeps no invalidation from being announced", "[cli]") {
    Scene scene;
    LarderCommand listener(scene.directory.path(), {"listen"});
    REQUIRE(test::eventually([&scene] { return scene.run({"ls", "--json"}).json().at("listening").as_bool(); }));
    scene.cache.put("k", "v");
    listener.signal(SIGSTOP);
    CHECK(scene.run({"invalidate", "--json", "k"}).json().at("through") == "segment");
    CHECK_FALSE(scene.cache.peek("k"));
    listener.signal(SIGCONT);
}

TEST_CASE("a namespace may be named with the ':' at its end, and with no other", "[cli]") {
    Scene scene;
    scene.cache.put("ns:k", "v");
    const CommandResult refused = scene.run({"invalidate", "--namespace", "ns:k"});
    CHECK(refused.code == 2);
    CHECK(refused.out.empty());
    CHECK_THAT(refused.err, Catch::Contains("a namespace is the text of a key before its first `:`"));
    CHECK(scene.cache.peek("ns:k"));
    CHECK(scene.run({"invalidate", "--namespace", "ns:"}).code == 0);
    CHECK_FALSE(scene.cache.peek("ns:k"));
    LarderCommand listener(scene.directory.path(), {"listen"});
    REQUIRE(test::eventually([&scene] { return scene.run({"ls", "--json"}).json().at("listening").as_bool(); }));
    scene.cache.put("ns:k", "v");
    CHECK(scene.run({"invalidate", "--namespace", "ns:k"}).code == 2);
    CHECK(scene.run({"invalidate", "--namespace", "ns:", "--json"}).json().at("through") == "socket");
    CHECK_FALSE(scene.cache.peek("ns:k"));
}

TEST_CASE("a listener's refusal is not got round through the segment", "[cli]") {
    Scene scene;
    scene.cache.put("k", "v");
    test::RecordingSink sink;
    sink.fails = true;
    shm::ListenerOptions options;
    options.socket_path = scene.directory.file("default.sock");
    options.lock_path = scene.directory.file("default.listen");
    const shm::ListenerThread listener(options, sink);
    REQUIRE(test::eventually([&listener] { return listener.listening(); }));
    const CommandResult refused = scene.run({"invalidate", "k"});
    CHECK(refused.code == 2);
    CHECK(refused.out.empty());
    CHECK(refused.err == "larder: not applied, send the line again: the cache is away\n");
    CHECK(scene.cache.peek("k"));
}

TEST_CASE("a put that meets a forced rm stores its value or fails, and never finds no cache", "[cli]") {
    const ScopedDirectory directory;
    for (int round = 0; round < 40; ++round) {
        LarderCommand removal(directory.path(), {"rm", "--force"});
        const CommandResult put = run_larder(directory.path(), {"put", "k", "--size", "10MiB"}, "v");
        INFO(put.err);
        CHECK((put.code == 0 || put.code == 3));
        removal.finish();
    }
}

TEST_CASE("rm refuses while a process is attached, and does it when forced", "[cli]") {
    Scene scene;
    scene.cache.put("k", "v");
    const CommandResult refused = scene.run({"rm"});
    CHECK(refused.code == 3);
    CHECK_THAT(refused.err, Catch::Contains(std::to_string(::getpid())) && Catch::Contains("--force"));
    CHECK(std::filesystem::exists(scene.directory.file("default.seg")));
    const CommandResult forced = scene.run({"rm", "--force", "--json"});
    CHECK(forced.code == 0);
    CHECK_FALSE(std::filesystem::exists(scene.directory.file("default.seg")));
    CHECK(std::filesystem::exists(scene.directory.file("default.lock")));  // we still have our byte in it
    CHECK(test::eventually([&scene] { return !scene.cache.peek("k"); }));  // and are served nothing of it
    CHECK(scene.run({"rm"}).code != 0);
}

TEST_CASE("rm says why it cannot name who is attached", "[cli]") {
    const Scene scene;
    std::filesystem::permissions(scene.directory.file("default.seg"), std::filesystem::perms(0644));
    const CommandResult refused = scene.run({"rm"});
    CHECK(refused.code == 3);
    CHECK_THAT(refused.err, Catch::Contains("is in use by processes that cannot be named ("));
}

TEST_CASE("rm tells only of files that were there", "[cli]") {
    const ScopedDirectory directory;
    REQUIRE(run_larder(directory.path(), {"put", "k", "--size", "16MiB"}, "v").code == 0);
    std::filesystem::remove(directory.file("default.lock"));
    const CommandResult removed = run_larder(directory.path(), {"rm"});
    CHECK(removed.out == "removed " + directory.file("default.seg") + "\n");
    CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("rm leaves nothing of a cache that nobody has open", "[cli]") {
    const ScopedDirectory directory;
    REQUIRE(run_larder(directory.path(), {"put", "k", "--size", "16MiB"}, "v").code == 0);
    const CommandResult removed = run_larder(directory.path(), {"rm"});
    CHECK(removed.code == 0);
    CHECK_THAT(removed.out, Catch::Contains("removed " + directory.file("default.seg")));
    CHECK(std::filesystem::is_empty(directory.path()));
    CHECK(run_larder(directory.path(), {"rm"}).code == 1);
}

TEST_CASE("rm removes what is left of a cache whose segment is gone", "[cli]") {
    const ScopedDirectory directory;
    REQUIRE(run_larder(directory.path(), {"put", "k", "--size", "16MiB"}, "v").code == 0);
    std::filesystem::remove(directory.file("default.seg"));
    for (const char* const name : {"default.sock", "default.listen"}) std::ofstream(directory.file(name)).close();
    const CommandResult refused = run_larder(directory.path(), {"rm"});
    CHECK(refused.code == 3);
    CHECK_THAT(refused.err, Catch::Contains(directory.file("default.listen") + " may be locked by other users"));
    std::filesystem::permissions(directory.file("default.listen"), std::filesystem::perms(0600));
    const CommandResult removed = run_larder(directory.path(), {"rm"});
    CHECK(removed.code == 0);
    CHECK(removed.lines().size() == 3);
    CHECK_THAT(removed.out, Catch::Contains("removed " + directory.file("default.lock")));
    CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("rm leaves the lock files that a process has in use, and says so", "[cli]") {
    Scene scene;
    std::filesystem::remove(scene.directory.file("default.seg"));
    const CommandResult refused = scene.run({"rm", "--force"});
    CHECK(refused.code == 1);
    CHECK(refused.out.empty());
    CHECK_THAT(refused.err, Catch::StartsWith("larder: no cache default in ") && Catch::Contains("in use"));
    CHECK(std::filesystem::exists(scene.directory.file("default.lock")));
}
