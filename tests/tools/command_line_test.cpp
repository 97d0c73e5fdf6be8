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

const std::vector<std::string> verbs = {
    "import",     "serve",  "token",  "analytics", "hit-rate", "ls",     "stat",   "dump", "get",  "put",      "rm",
    "invalidate", "listen", "doctor", "replay",    "advise",   "record", "config", "top",  "warm", "triggers", "help"};

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
                                                         {"invalidate", "--tag", ""},
                                                         {"invalidate", "--namespace", ""},
                                                         {"invalidate", "--namespace", ":"},
                                                         {"invalidate", "--namespace", "ns:c"},
                                                         {"invalidate", "--namespace", "", "k"},
                                                         {"stat", "--count", "3"},
                                                         {"stat", "--watch", "1ms", "--count", "0"},
                                                         {"stat", "--shards", "--json"},
                                                         {"stat", "--shards", "--watch", "1ms", "--count", "1"},
                                                         {"analytics", "1", "--db", "x", "--ttl", "0"},
                                                         {"token", "--user", "0x10", "--role", "admin"},
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

TEST_CASE("a usage error names the help of its verb", "[cli]") {
    const ScopedDirectory directory;
    CHECK_THAT(run_larder(directory.path(), {"put", "k", "--ttl", "5min"}).err,
               Catch::EndsWith("; see `larder put --help`\n"));
    CHECK_THAT(run_larder(directory.path(), {"ls", "--nonsense"}).err, Catch::EndsWith("; see `larder ls --help`\n"));
    CHECK_THAT(run_larder(directory.path(), {}).err, Catch::EndsWith("; see `larder --help`\n"));
    const CommandResult small = run_larder(directory.path(), {"put", "k", "--size", "1"}, "v");
    CHECK(small.code == 2);
    CHECK_THAT(small.err, Catch::Contains("--size 1 ") && Catch::Contains("`larder put --help`"));
}

TEST_CASE("what nothing takes is named, options first, in the order of the command line", "[cli]") {
    const ScopedDirectory directory;
    const auto error = [&directory](const std::vector<std::string>& arguments) {
        const CommandResult result = run_larder(directory.path(), arguments);
        CHECK(result.code == 2);
        CHECK(result.out.empty());
        return result.err;
    };
    CHECK(error({"--verbose"}) == "larder: unknown option --verbose; see `larder --help`\n");
    CHECK(error({"--verbose", "ls"}) == "larder: unknown option --verbose; see `larder ls --help`\n");
    CHECK(error({"put", "--nonsense"}) == "larder: unknown option --nonsense; see `larder put --help`\n");
    CHECK(error({"ls", "-c", "x"}) == "larder: unknown option -c; see `larder ls --help`\n");
    CHECK(error({"ls", "one", "[two]"}) == "larder: nothing takes one [two]; see `larder ls --help`\n");
    CHECK_THAT(error({"put", "k", "more", "--ttl", "5min"}), Catch::StartsWith("larder: --ttl: `5min`"));
}

TEST_CASE("an id and an expiry say which numbers they take", "[cli]") {
    const ScopedDirectory directory;
    for (const char* const id : {"-1", "0", "one", "99999999999999999999"})
        CHECK(run_larder(directory.path(), {"analytics", id, "--db", "x"}).err ==
              "larder: ID: `" + std::string(id) +
                  "` is not an id: write a whole number above 0; see `larder analytics --help`\n");
    for (const std::vector<std::string>& named : {std::vector<std::string>{"warm", "--teacher", "abc", "--db", "x"},
                                                  {"warm", "--job", "-3", "--db", "x"},
                                                  {"warm", "0", "--db", "x"},
                                                  {"invalidate", "--assignment", "0"},
                                                  {"invalidate", "--author", "-3"}})
        CHECK_THAT(run_larder(directory.path(), named).err,
                   Catch::Contains("` is not an id: write a whole number above 0; see `larder " + named.front()));
    const auto expires = [&directory](const char* text) {
        return run_larder(directory.path(),
                          {"token", "--user", "1", "--role", "admin", "--auth-key-file", "x", "--expires", text})
            .err;
    };
    CHECK_THAT(expires("100000d"), Catch::StartsWith("larder: --expires: `100000d`") && Catch::Contains("100 years"));
    CHECK_THAT(expires("10ms"), Catch::Contains("at least 1s"));
}

TEST_CASE("an unknown verb is named, and the nearest one suggested", "[cli]") {
    const ScopedDirectory directory;
    const auto error = [&directory](const std::string& verb) {
        const CommandResult result = run_larder(directory.path(), {verb, "--json"});
        CHECK(result.code == 2);
        return result.err;
    };
    CHECK(error("improt") == "larder: there is no verb `improt`; did you mean `import`? See `larder --help`\n");
    CHECK_THAT(error("inval"), Catch::Contains("`inval`; did you mean `invalidate`?"));
    CHECK(error("nonsense") == "larder: there is no verb `nonsense`; see `larder --help`\n");
}

TEST_CASE("a variable that cannot be read matters to the verbs that have its option, and is named", "[cli]") {
    const ScopedDirectory directory;
    const auto with = [&directory](const char* name, const char* value, const std::vector<std::string>& arguments) {
        return run_larder(directory.path(), arguments, "v", {{name, value}});
    };
    CHECK(with("LARDER_SIZE", "1MB", {"ls"}).code == 0);
    CHECK(with("LARDER_TTL", "soon", {"put", "k", "--ttl", "9s", "--size", "16MiB"}).code == 0);
    CHECK(with("LARDER_SHARDS", "3x", {"get", "k"}).code == 0);
    CHECK(with("LARDER_SIZE", "1MB", {"put", "k", "--size", "16MiB"}).code == 0);
    const std::vector<std::pair<const char*, const char*>> broken = {{"LARDER_SIZE", "1MB"},    {"LARDER_TTL", "0"},
                                                                     {"LARDER_RECENCY", "lru"}, {"LARDER_LOG", "loud"},
                                                                     {"LARDER_CACHE", "a/b"},   {"LARDER_SHARDS", "3"}};
    for (const auto& [name, value] : broken) {
        const CommandResult result = with(name, value, {"put", "k"});
        CHECK(result.code == 2);
        CHECK_THAT(result.err, Catch::StartsWith("larder: " + std::string(name) + ": `" + value + "`"));
    }
    CHECK_THAT(with("LARDER_SIZE", "1MB", {"put", "k", "--size", "2MB"}).err, Catch::StartsWith("larder: --size: "));
    CHECK_THAT(with("LARDER_SIZE", "1KiB", {"put", "k", "-c", "new"}).err,
               Catch::Contains("LARDER_SIZE 1024 is too small"));
    CHECK_THAT(with("LARDER_SIZE", "1KiB", {"put", "k", "-c", "new", "--size", "1"}).err,
               Catch::Contains("--size 1 is too small"));
    CHECK_THAT(with("LARDER_WORKERS", "x", {"serve", "--db", "x"}).err,
               Catch::StartsWith("larder: LARDER_WORKERS: `x`"));
    CHECK_THAT(with("LARDER_LISTEN", "x", {"serve", "--db", "x"}).err, Catch::StartsWith("larder: LARDER_LISTEN: "));
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
