// What a configuration file says, and what is said of a wrong one.
#include "tools/config_file.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/scoped_directory.hpp"

using namespace larder::tools;
using larder::test::ScopedDirectory;

namespace {

ConfigFile parse(const std::string& text) { return ConfigFile::parse("F", text); }
using Texts = std::vector<std::string>;

std::string text_of(const ConfigFile& file, const char* name) {
    const ConfigEntry* const entry = file.find(name);
    return entry == nullptr ? "absent" : entry->error.empty() ? entry->text : "error: " + entry->error;
}

}  // namespace

TEST_CASE("sizes and durations are texts or whole numbers, switches are bare", "[config]") {
    const ConfigFile file = parse(
        "[new-cache]\nsize = 1_048_576\nshards = 4\nmax-bytes = '1MiB'\n"
        "[behaviour]\nttl = 60\nnegative-ttl = \"5m\"\nverify-checksums = true\n[cache]\ncache = \"web\"\n");
    CHECK(file.problems().empty());
    CHECK(text_of(file, "size") == "1048576");
    CHECK(text_of(file, "shards") == "4");
    CHECK(text_of(file, "max-bytes") == "1MiB");
    CHECK(text_of(file, "ttl") == "60");
    CHECK(text_of(file, "negative-ttl") == "5m");
    CHECK(text_of(file, "verify-checksums") == "true");
    CHECK(text_of(file, "cache") == "web");
    CHECK(text_of(file, "wait-time") == "absent");
    CHECK(file.find("ttl")->place() == "F:6: ttl");
    CHECK(file.entries().front().row->name == "size");
    CHECK(file.entries().back().row->name == "cache");
}

TEST_CASE("a value of a kind that its key does not take is the matter of that key alone", "[config]") {
    const ConfigFile file = parse(
        "[cache]\ncache = 5\ndirectory = [\"a\"]\n[behaviour]\nttl = 1.5\nwait-time = 07:32:00\n"
        "lock-budget = true\nverify-checksums = 1\n[serve]\ndb = \"a\\u0000b\"\n");
    CHECK(file.problems().empty());
    CHECK(text_of(file, "cache") ==
          R"(error: a value of this kind is not taken: write a text in quotes: cache = "NAME")");
    for (const char* const name : {"directory", "ttl", "wait-time", "lock-budget", "verify-checksums", "db"}) {
        INFO(name);
        CHECK_THAT(text_of(file, name), Catch::StartsWith("error: "));
    }
    CHECK_THAT(text_of(file, "ttl"), Catch::Contains("whole number of seconds"));
    CHECK_THAT(text_of(file, "verify-checksums"), Catch::Contains("write true or false"));
}

TEST_CASE("unknown keys and sections are named with their lines, and the nearest known ones", "[config]") {
    CHECK(parse("[behaviour]\n\ntll = 5\n").problems() ==
          Texts{"F:3: unknown key `tll` in [behaviour]; did you mean `ttl`?"});
    CHECK(parse("[behavior]\nttl = 5\n").problems() ==
          Texts{"F:1: unknown section [behavior]; did you mean `behaviour`?"});
    CHECK(parse("[nonsense]\n").problems() ==
          Texts{"F:1: unknown section [nonsense]; `larder config --example` has all of them"});
    CHECK(parse("[serve]\nworker = 3\nxyz = 1\n").problems() ==
          Texts{"F:2: unknown key `worker` in [serve]; did you mean `workers`?",
                "F:3: unknown key `xyz` in [serve]; `larder config --example` has all of them"});
    CHECK(parse("[serve]\nshard = 3\n").problems() ==
          Texts{"F:2: unknown key `shard` in [serve]; did you mean `shards`, below [new-cache]?"});
    CHECK(parse("[serve.more]\nx = 1\n").problems() ==
          Texts{"F:1: unknown key `more` in [serve]; `larder config --example` has all of them"});
}

TEST_CASE("a key that stands elsewhere is sent to its section", "[config]") {
    CHECK(parse("ttl = 5\n").problems() == Texts{"F:1: `ttl` stands above all sections: write it below [behaviour]"});
    CHECK(parse("[serve]\nttl = 5\n").problems() == Texts{"F:2: `ttl` stands in [serve]: write it below [behaviour]"});
    CHECK(parse("serve = 5\n").problems() ==
          Texts{"F:1: `serve` is a section: write [serve] on a line of its own, and its keys below it"});
    CHECK(parse("[[serve]]\nlisten = 'x'\n").problems().size() == 1);
}

TEST_CASE("what is no TOML says where, and is the only problem", "[config]") {
    for (const std::string text :
         {"[cache]\ncache = \n", "[cache]\ncache = 'a'\ncache = 'b'", "[cache]\nx\n", "[cache]\n\xff = 1\n",
          "[cache]\nttl = 99999999999999999999\n", "[cache]\n[.log]\n", "[cache]\n[[[x\n", "[cache]\n[=a]\n"}) {
        INFO(text);
        const ConfigFile file = parse("[nonsense]\n" + text);
        REQUIRE(file.problems().size() == 1);
        CHECK_THAT(file.problems().front(), Catch::Matches("F:[234]: this is no TOML: .*"));
        CHECK(file.entries().empty());
    }
}

TEST_CASE("the first problem tells how many there are besides", "[config]") {
    CHECK(parse("").first_problem().empty());
    CHECK(parse("a = 1\n").first_problem() == parse("a = 1\n").problems().front());
    CHECK_THAT(parse("aa = 1\nbb = 2\ncc = 3\n").first_problem(),
               Catch::StartsWith("F:1: ") && Catch::EndsWith("(2 more: `larder config --check` has them all)"));
}

TEST_CASE("a file that is nested as deeply as its size allows is read", "[config][no_asan]") {
    std::string name = "a";
    while (name.size() + 2 < ConfigFile::max_bytes) name += ".a";
    CHECK(parse(name.substr(0, name.size() - 8) + " = 1\n").problems().size() == 1);
}

TEST_CASE("a file that cannot be read says why", "[config]") {
    const ScopedDirectory directory;
    CHECK_THROWS_WITH(ConfigFile::read(directory.file("absent")), Catch::Contains("there is none"));
    CHECK_THROWS_WITH(ConfigFile::read(directory.path()), Catch::Contains("it is a directory"));
    CHECK_THROWS_WITH(ConfigFile::read("/dev/zero"), Catch::Contains("above 64 KiB"));
    REQUIRE(::mkfifo(directory.file("pipe").c_str(), 0600) == 0);
    CHECK_THROWS_WITH(ConfigFile::read(directory.file("pipe")), Catch::Contains("it is a pipe"));
    CHECK(ConfigFile::read("/dev/null").entries().empty());
}
