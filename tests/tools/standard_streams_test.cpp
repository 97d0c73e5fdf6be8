// Standard input, output and error that are full, broken or closed.
#include <signal.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "tests/support/eventually.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"

using larder::test::CommandResult;
using larder::test::eventually;
using larder::test::LarderCommand;
using larder::test::run_larder;
using larder::test::run_shell;
using larder::test::ScopedDirectory;

TEST_CASE("an error that cannot be told keeps its exit code", "[cli]") {
    const ScopedDirectory directory;
    CHECK(run_shell(directory.path(), "\"$LARDER\" stat 2>/dev/full").code == 1);
    CHECK(run_shell(directory.path(), "\"$LARDER\" stat 2>&-").code == 1);
    CHECK(run_shell(directory.path(), "\"$LARDER\" nonsense 2>/dev/full").code == 2);
    CHECK(run_shell(directory.path(), "\"$LARDER\" ls 2>/dev/full").code == 0);
    CHECK(run_shell(directory.path(), "\"$LARDER\" put k --size 16MiB 2>/dev/full", "").code == 3);
}

TEST_CASE("a result that cannot be written is a failure", "[cli]") {
    const ScopedDirectory directory;
    REQUIRE(run_larder(directory.path(), {"put", "k", "--size", "16MiB"}, "v").code == 0);
    for (const char* const verb : {"stat", "get k", "dump", "ls", "--help", "--version"}) {
        INFO(verb);
        for (const char* const redirection : {" >/dev/full", " >&-", " >&- 2>&- <&-"})
            CHECK(run_shell(directory.path(), "\"$LARDER\" " + (verb + std::string(redirection))).code == 3);
    }
}

TEST_CASE("no file of the cache gets the number of a standard stream that was closed", "[cli]") {
    const ScopedDirectory directory;
    CHECK(run_shell(directory.path(), "\"$LARDER\" put k --negative --size 16MiB <&- >&- 2>&-").code == 0);
    LarderCommand listener(directory.path(), {"-c", "exec \"$LARDER\" listen <&- >&- 2>&-"}, {}, "/bin/sh");
    const auto path_of = [&listener](const char* number) {
        std::error_code error;
        return std::filesystem::read_symlink("/proc/" + std::to_string(listener.pid()) + "/fd/" + std::string(number),
                                             error)
            .string();
    };
    REQUIRE(eventually([&] {
        return run_larder(directory.path(), {"ls", "--json"}).json().at("listening").as_bool();
    }));
    for (const char* const number : {"0", "1", "2"}) CHECK(path_of(number) == "/dev/null");
    listener.signal(SIGTERM);
    CHECK(listener.finish().code == 0);
}

TEST_CASE("a listener goes on when nobody reads its log any more", "[cli]") {
    const ScopedDirectory directory;
    REQUIRE(run_larder(directory.path(), {"put", "k", "--size", "16MiB"}, "v").code == 0);
    LarderCommand listener(directory.path(), {"listen", "--log-level", "debug"});
    listener.close_errors();
    CHECK(eventually([&] { return run_larder(directory.path(), {"ls", "--json"}).json().at("listening").as_bool(); }));
    listener.signal(SIGTERM);
    CHECK(listener.finish().code == 0);
}

TEST_CASE("a verb that prints ends as soon as nobody reads it", "[cli]") {
    const ScopedDirectory directory;
    REQUIRE(run_larder(directory.path(), {"put", "k", "--size", "16MiB"}, "v").code == 0);
    const CommandResult ended =
        run_shell(directory.path(), "{ \"$LARDER\" stat --watch 10ms; echo $? >&2; } | head -n 1");
    CHECK(ended.err == std::to_string(128 + SIGPIPE) + "\n");
}
