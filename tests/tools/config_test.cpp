// `larder config`, and what every verb takes from the configuration file.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tools/options.hpp"

using larder::test::CommandResult;
using larder::test::run_larder;
using larder::test::run_shell;
using larder::test::ScopedDirectory;

namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

class ConfigScene {
public:
    explicit ConfigScene(const std::string& text) { write(text); }
    void write(const std::string& text) const { std::ofstream(path()) << text; }
    std::string path() const { return directory_.file("larder.toml"); }
    std::string file(const std::string& name) const { return directory_.file(name); }

    CommandResult run(std::vector<std::string> arguments, const Environment& environment = {}) const {
        arguments.insert(arguments.end(), {"--config", path()});
        return run_larder(directory_.path(), arguments, "value", environment);
    }
    /// The option's value and where it comes from.
    std::string in_force(const std::string& name, std::vector<std::string> more = {},
                         const Environment& environment = {}) const {
        more.insert(more.begin(), {"config", "--json"});
        const boost::json::value document = run(more, environment).json();
        for (const boost::json::value& option : document.at("options").as_array())
            if (option.at("name").as_string() == name)
                return std::string(option.at("value").as_string()) + " from " +
                       std::string(option.at("from").as_string()) + " " + std::string(option.at("at").as_string());
        return "no such option";
    }

private:
    ScopedDirectory directory_;
};

}  // namespace

TEST_CASE("a flag beats the environment, which beats the file, which beats the default", "[config]") {
    const ConfigScene scene("[behaviour]\nttl = \"60s\"\n");
    CHECK(scene.in_force("ttl") == "60s from file " + scene.path() + ":2");
    CHECK(scene.in_force("ttl", {}, {{"LARDER_TTL", "70s"}}) == "70s from environment LARDER_TTL");
    CHECK(scene.in_force("ttl", {"--ttl", "80s"}, {{"LARDER_TTL", "70s"}}) == "80s from flag --ttl");
    CHECK(scene.in_force("negative-ttl") == "30s from default ");
    CHECK(scene.in_force("log-level", {"--log-level", "debug"}) == "debug from flag --log-level");
    scene.write("[log]\nlog-level = \"error\"\n");
    CHECK(scene.in_force("log-level") == "error from file " + scene.path() + ":2");
}

TEST_CASE("a verb takes from the file what nobody else has said", "[config]") {
    const ConfigScene scene("[cache]\ncache = \"web\"\n[new-cache]\nsize = \"16MiB\"\n[behaviour]\nttl = 60\n");
    const auto ttl_ms = [&scene](const std::string& key) {
        return scene.run({"get", key, "--json"}).json().at("ttl_ms").to_number<int>();
    };
    REQUIRE(scene.run({"put", "a"}).code == 0);
    CHECK(scene.run({"ls"}).out.find("web ") != std::string::npos);
    CHECK(ttl_ms("a") > 30'000);
    CHECK(ttl_ms("a") <= 60'000);
    REQUIRE(scene.run({"put", "b", "--ttl", "5s"}).code == 0);
    CHECK(ttl_ms("b") <= 5'000);
    REQUIRE(scene.run({"put", "c"}, {{"LARDER_TTL", "4s"}}).code == 0);
    CHECK(ttl_ms("c") <= 4'000);
    CHECK(scene.run({"get", "a"}, {{"LARDER_CACHE", "other"}}).code == 1);
    // What only looks like the option, as replay's --size does, is not taken.
    std::ofstream(scene.file("trace.csv")) << "0,k,1\n";
    CHECK(scene.run({"replay", scene.file("trace.csv"), "--entries", "1"}).code == 0);
}

TEST_CASE("the file is named by --config, on either side of the verb, else by LARDER_CONFIG", "[config]") {
    const ConfigScene scene("[cache]\ncache = \"one\"\n");
    std::ofstream(scene.file("two.toml")) << "[cache]\ncache = \"two\"\n";
    const ScopedDirectory directory;
    const Environment two{{"LARDER_CONFIG", scene.file("two.toml")}};
    const auto missed = [&](const std::vector<std::string>& arguments, const Environment& environment) {
        const std::string error = run_larder(directory.path(), arguments, "", environment).err;
        return error.substr(0, error.find(" in "));
    };
    CHECK(missed({"--config", scene.path(), "stat"}, two) == "larder: no cache one");
    CHECK(missed({"stat", "--config=" + scene.path()}, two) == "larder: no cache one");
    CHECK(missed({"stat"}, two) == "larder: no cache two");
    CHECK(missed({"stat"}, {{"LARDER_CONFIG", ""}}) == "larder: no cache default");
}

TEST_CASE("the file at the usual place is taken when it is there, and an unreadable one is refused", "[config]") {
    const ScopedDirectory directory;
    const auto with = [&directory](const std::string& script) {
        return run_shell(directory.path(),
                         "command -v unshare >/dev/null || exit 77; unshare -m true 2>/dev/null || exit 77; "
                         "unshare -m sh -c 'mount -t tmpfs none /etc && " +
                             script + "'");
    };
    const std::string made =
        "mkdir /etc/larder && echo \"[cache]\ncache = \\\"usual\\\"\" >/etc/larder/larder.toml && ";
    const CommandResult taken = with(made + "\"$LARDER\" stat");
    if (taken.code == 77) {
        WARN("skipped: no mount namespaces here");
        return;
    }
    CHECK(taken.err == "larder: no cache usual in " + directory.path() + "\n");
    CHECK(with("\"$LARDER\" stat").err == "larder: no cache default in " + directory.path() + "\n");
    CHECK(with(": >/etc/larder; \"$LARDER\" stat").err == "larder: no cache default in " + directory.path() + "\n");
    CHECK(with(made + "\"$LARDER\" config --check").out == "ok /etc/larder/larder.toml\n");
    const CommandResult none = with("\"$LARDER\" config --check");
    CHECK(none.code == 2);
    CHECK_THAT(none.err, Catch::Contains("there is no /etc/larder/larder.toml to check"));
    const CommandResult directory_there = with("mkdir -p /etc/larder/larder.toml && \"$LARDER\" stat");
    CHECK(directory_there.code == 2);
    CHECK_THAT(directory_there.err, Catch::Contains("/etc/larder/larder.toml: it is a directory"));
}

TEST_CASE("a wrong value matters to the verbs that have its option, and is named by file, line and key", "[config]") {
    const ConfigScene scene("[behaviour]\nttl = \"soon\"\nnegative-ttl = 1.5\n[new-cache]\nsize = \"1MB\"\n");
    CHECK(scene.run({"ls"}).code == 0);
    CHECK(scene.run({"put", "k", "--ttl", "5s", "--size", "16MiB"}).code == 0);
    const auto error = [&scene](const std::vector<std::string>& arguments) {
        const CommandResult result = scene.run(arguments);
        CHECK(result.code == 2);
        CHECK(result.out.empty());
        return result.err;
    };
    CHECK_THAT(error({"put", "k", "--ttl", "5s"}),
               Catch::StartsWith("larder: " + scene.path() + ":5: size: `1MB` is not a size: write "));
    CHECK_THAT(error({"put", "k", "--size", "16MiB"}),
               Catch::StartsWith("larder: " + scene.path() + ":2: ttl: `soon` is not a duration"));
    CHECK_THAT(error({"put", "k", "--negative", "--size", "16MiB"}),
               Catch::StartsWith("larder: " + scene.path() + ":3: negative-ttl: a value of this kind"));
    scene.write("[serve]\nworkers = 0\n");
    CHECK_THAT(error({"serve", "--db", "x"}), Catch::StartsWith("larder: " + scene.path() + ":2: workers: `0`"));
    scene.write("[serve]\nlisten = \"x\"\n");
    CHECK_THAT(error({"serve", "--db", "x"}), Catch::StartsWith("larder: " + scene.path() + ":2: listen: `x`"));
    scene.write("[log]\nlog-level = \"loud\"\n");
    CHECK_THAT(error({"ls"}), Catch::StartsWith("larder: " + scene.path() + ":2: log-level: `loud`"));
    scene.write("[new-cache]\nsize = 1024\n");
    CHECK_THAT(error({"put", "k", "-c", "new"}), Catch::Contains("larder.toml:2: size 1024 is too small"));
}

TEST_CASE("a file that is missing, or has an unknown key, is refused by every verb, but not by help", "[config]") {
    const ConfigScene scene("[behaviour]\ntll = 5\n");
    for (const std::vector<std::string>& verb :
         {std::vector<std::string>{"ls"}, {"put", "k"}, {"serve", "--db", "x"}}) {
        const CommandResult result = scene.run(verb);
        CHECK(result.code == 2);
        CHECK(result.err == "larder: " + scene.path() + ":2: unknown key `tll` in [behaviour]; did you mean `ttl`?\n");
    }
    CHECK(scene.run({"ls", "--help"}).code == 0);
    CHECK(scene.run({"--version"}).code == 0);
    ::unlink(scene.path().c_str());
    const CommandResult result = scene.run({"ls"});
    CHECK(result.code == 2);
    CHECK_THAT(result.err, Catch::Contains(scene.path() + ": there is none"));
    CHECK(scene.run({"config"}).code == 2);
}

TEST_CASE("config --check finds everything, as serve would", "[config]") {
    const ConfigScene scene(
        "ttl = 5\n[behaviour]\ntll = 1\nttl = \"5min\"\n[new-cache]\nshards = 64\n[serve]\nworkers = 65\n"
        "listen = \"0.0.0.0:80\"\ndb = \"/absent/x.db\"\n[import]\nassignments = 5\n");
    const CommandResult wrong = scene.run({"config", "--check"});
    CHECK(wrong.code == 2);
    CHECK(wrong.out.empty());
    for (const char* const part :
         {":1: `ttl` stands", ":3: unknown key `tll`", ":4: ttl: `5min`", ":6: shards: ", ":8: workers: `65`",
          ":9: listen: without --auth-key-file", ":10: db: cannot open the database /absent/x.db",
          ":12: assignments: a value of this kind"})
        CHECK_THAT(wrong.err, Catch::Contains("larder: " + scene.path() + part));
    CHECK(std::count(wrong.err.begin(), wrong.err.end(), '\n') == 8);

    scene.write("[serve]\nttl-min = 9\n");
    CHECK_THAT(scene.run({"config", "--check"}).err,
               Catch::Contains(":2: ttl-min: ttl-min and ttl-max belong together"));
    scene.write("[serve]\nttl-min = 9\nttl-max = 5\n");
    CHECK_THAT(scene.run({"config", "--check"}).err, Catch::Contains(":2: ttl-min: it is above ttl-max"));

    std::ofstream(scene.file("key")) << std::string(32, 'k') << '\n';
    ::chmod(scene.file("key").c_str(), 0644);
    scene.write("[serve]\nlisten = \"0.0.0.0:80\"\nauth-key-file = \"" + scene.file("key") + "\"\n");
    const CommandResult open = scene.run({"config", "--check", "--json"});
    CHECK(open.code == 2);
    CHECK(open.json().at("problems").as_array().size() == 1);
    CHECK_THAT(open.err, Catch::Contains(":3: auth-key-file: key file ") && Catch::Contains("chmod 600"));
    ::chmod(scene.file("key").c_str(), 0600);
    const CommandResult good = scene.run({"config", "--check"});
    scene.write("[serve]\nlisten = \"0.0.0.0:80\"\n");
    CHECK(scene.run({"config", "--check"}).code == 2);
    CHECK(scene.run({"config", "--check"}, {{"LARDER_AUTH_KEY_FILE", scene.file("key")}}).code == 0);
    CHECK(good.code == 0);
    CHECK(good.out == "ok " + scene.path() + "\n");
    CHECK(good.err.empty());
}

TEST_CASE("config --check looks at what goes together, and takes nothing said for nothing", "[config]") {
    const ConfigScene scene("[behaviour]\nttl = 10\n[serve]\nsoft-ttl = 20\n");
    CHECK_THAT(scene.run({"config", "--check"}).err, Catch::Contains(":4: soft-ttl: --soft-ttl has to be below --ttl"));
    scene.write("[serve]\naudit-log = \"" + scene.file(".") + "\"\n");
    CHECK_THAT(scene.run({"config", "--check"}).err, Catch::Contains(":2: audit-log: the audit log "));
    REQUIRE(::mkfifo(scene.file("pipe").c_str(), 0600) == 0);
    for (const char* const row : {"audit-log", "schema"}) {
        scene.write(std::string("[serve]\n") + row + " = \"" + scene.file("pipe") + "\"\n");
        CHECK_THAT(scene.run({"config", "--check"}).err, Catch::Contains(std::string(":2: ") + row));
    }
    scene.write("[serve]\nwarm-daily = \"\"\nsoft-ttl = \"\"\nworkers = \"\"\n[log]\nlog-level = \"\"\n");
    CHECK(scene.run({"config", "--check"}).err.empty());
}

TEST_CASE("the example has every option, and is a good file with and without its marks", "[config]") {
    const ConfigScene scene("");
    const std::string example = run_larder("/dev/shm", {"config", "--example"}).out;
    for (const larder::tools::OptionRow& row : larder::tools::option_table()) {
        INFO(row.name);
        CHECK_THAT(example, Catch::Contains("\n#" + std::string(row.name) + " = "));
        CHECK_THAT(example, Catch::Contains("# " + std::string(row.meaning.substr(0, row.meaning.find(' ')))));
    }
    scene.write(example);
    CHECK(scene.run({"config", "--check"}).out == "ok " + scene.path() + "\n");
    scene.write(std::regex_replace(example, std::regex("\n#(?=[a-z])"), "\n"));
    const CommandResult bare = scene.run({"config", "--check"});
    CHECK(bare.code == 2);
    for (const char* const line : {"schema: ", "auth-key-file: key file FILE: No such file"})
        CHECK_THAT(bare.err, Catch::Contains(line));
    CHECK(std::count(bare.err.begin(), bare.err.end(), '\n') == 2);
}

TEST_CASE("config shows wrong values, too, and says what is wrong with them", "[config]") {
    const ConfigScene scene("[behaviour]\nttl = \"soon\"\n");
    const CommandResult result = scene.run({"config"}, {{"LARDER_SIZE", "1MB"}});
    CHECK(result.code == 2);
    CHECK_THAT(result.out, Catch::Contains("[behaviour]\nttl                soon                     file "));
    CHECK_THAT(result.err, Catch::Contains(":2: ttl: `soon`") && Catch::Contains("larder: LARDER_SIZE: `1MB`"));
}
