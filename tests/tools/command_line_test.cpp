// The command line as a whole: help, usage errors, environment, hostile keys.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"

using larder::test::CommandResult;
using larder::test::run_larder;
using larder::test::ScopedDirectory;

namespace {

const std::vector<std::string> verbs = {"import", "serve", "token", "analytics",  "hit-rate", "ls",     "stat",  "dump",
                                        "get",    "put",   "rm",    "invalidate", "listen",   "doctor", "replay"};

}  // namespace

TEST_CASE("every verb has help on standard output", "[cli]") {
    const ScopedDirectory directory;
    const CommandResult all = run_larder(directory.path(), {"--help"});
    CHECK(all.code == 0);
    for (const std::string& verb : verbs) {
        INFO(verb);
        CHECK_THAT(all.out, Catch::Contains("  " + verb + " "));
        const CommandResult one = run_larder(directory.path(), {verb, "--help"});
        CHECK(one.code == 0);
        CHECK_THAT(one.out, Catch::Contains("Usage: larder " + verb));
        CHECK(one.err.empty());
    }
}

TEST_CASE("The option --version names the program", "[cli]") {
    const CommandResult result = run_larder(ScopedDirectory().path(), {"--version"});
    CHECK(result.code == 0);
    CHECK_THAT(result.out, Catch::StartsWith("larder 0."));
}

TEST_CASE("a usage error exits with 2 and says so on standard error alone", "[cli]") {
    const ScopedDirectory directory;
    const std::vector<std::vector<std::string>> wrong = {{},
                                                         {"nonsense"},
                                                         {"ls", "--nonsense"},
                                                         {"get"},
                                                         {"put", "k", "--ttl", "5min"},
                                                         {"put", "k", "--ttl", "0"},
                                                         {"put", "k", "--size", "1MB"},
                                                         {"put", "k", "--shards", "3"},
                                                         {"dump", "--limit", "-1"},
                                                         {"dump", "--limit", "many"},
                                                         {"stat", "--watch", "0"},
                                                         {"stat", "-c", "a/b"},
                                                         {"stat", "-c", ""},
                                                         {"invalidate"},
                                                         {"invalidate", "k", "--all"},
                                                         {"invalidate", ""},
                                                         {"analytics", "0", "--db", "x"},
                                                         {"analytics", "one", "--db", "x"},
                                                         {"analytics", "1.5", "--db", "x"},
                                                         {"analytics", "99999999999999999999", "--db", "x"},
                                                         {"analytics", "1"},
                                                         {"hit-rate", "-5"},
                                                         {"replay", "trace"},
                                                         {"replay", "trace", "--entries", "1", "--size", "1MiB"},
                                                         {"replay", "trace", "--entries", "0"},
                                                         {"import", "--db", "x"},
                                                         {"ls", "--log-level", "loud"}};
    for (const std::vector<std::string>& arguments : wrong) {
        std::string line;
        for (const std::string& argument : arguments) line += argument + " ";
        INFO(line);
        const CommandResult result = run_larder(directory.path(), arguments);
        CHECK(result.code == 2);
        CHECK(result.out.empty());
        CHECK_THAT(result.err, Catch::StartsWith("larder: "));
    }
}

TEST_CASE("verbs that only look say which cache is not there, and exit with 1", "[cli]") {
    const ScopedDirectory directory;
    const std::vector<std::vector<std::string>> looks = {
        {"stat"}, {"dump"},          {"get", "k"}, {"hit-rate", "1"}, {"doctor"}, {"invalidate", "k"},
        {"rm"},   {"stat", "--json"}};
    for (const std::vector<std::string>& arguments : looks) {
        INFO(arguments.front());
        const CommandResult result = run_larder(directory.path(), arguments);
        CHECK(result.code == 1);
        CHECK(result.out.empty());
        CHECK(result.err == "larder: no cache default in " + directory.path() + "\n");
    }
}

TEST_CASE("the cache is named by -c, else by LARDER_CACHE", "[cli]") {
    const ScopedDirectory directory;
    const auto environment = std::vector<std::pair<std::string, std::string>>{{"LARDER_CACHE", "two"}};
    CHECK(run_larder(directory.path(), {"stat", "-c", "one"}, "", environment).err ==
          "larder: no cache one in " + directory.path() + "\n");
    CHECK(run_larder(directory.path(), {"stat", "--cache", "one"}).err ==
          "larder: no cache one in " + directory.path() + "\n");
    CHECK(run_larder(directory.path(), {"stat"}, "", environment).err ==
          "larder: no cache two in " + directory.path() + "\n");
    CHECK(run_larder(directory.path(), {"stat"}, "", {{"LARDER_CACHE", ""}}).err ==
          "larder: no cache default in " + directory.path() + "\n");
}

TEST_CASE("The option --directory goes before LARDER_DIR", "[cli]") {
    const ScopedDirectory one, two;
    CHECK(run_larder(one.path(), {"put", "k", "--directory", two.path(), "--size", "16MiB"}, "v").code == 0);
    CHECK(run_larder(one.path(), {"get", "k"}).code == 1);
    CHECK(run_larder(two.path(), {"get", "k"}).out == "v");
}

TEST_CASE("hostile keys come back byte for byte and leave the terminal alone", "[cli]") {
    const ScopedDirectory directory;
    const std::vector<std::string> keys = {
        "ls",       "[a,b]", "--help", "-x",  "a b", "%", "{}", "k\n2", "\x1b[2J", "\"quoted\"", "gr\xc3\xbc\xc3\x9f",
        "\xff\xfe", "'",     "$(id)",  "../x"};
    for (const std::string& key : keys) {
        INFO(key);
        REQUIRE(run_larder(directory.path(), {"put", "--size", "16MiB", "--tag", key, "--", key}, "of " + key).code ==
                0);
        CHECK(run_larder(directory.path(), {"get", "--", key}).out == "of " + key);
    }
    const CommandResult table = run_larder(directory.path(), {"dump"});
    CHECK(table.lines().size() == keys.size() + 1);
    CHECK(table.out.find('\x1b') == std::string::npos);
    CHECK(run_larder(directory.path(), {"dump", "--json"}).lines().size() == keys.size());
    for (const std::string& key : keys) {
        INFO(key);
        const CommandResult told = run_larder(directory.path(), {"invalidate", "--json", "--", key, key});
        CHECK(told.code == 0);
        CHECK(told.json().at("keys").to_number<int>() == 2);
        CHECK(run_larder(directory.path(), {"get", "--", key}).code == 1);
    }
}
