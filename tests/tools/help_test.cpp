#include <catch2/catch.hpp>
#include <string>

#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tools/help_pages.hpp"

using namespace larder;
using namespace larder::test;

TEST_CASE("help lists the pages, and prints a page or a verb's help", "[cli]") {
    const ScopedDirectory directory;
    const auto help = [&](const std::vector<std::string>& more) {
        std::vector<std::string> arguments{"help"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run_larder(directory.path(), arguments);
    };
    const CommandResult list = help({});
    CHECK(list.code == 0);
    for (const tools::HelpPage& page : tools::help_pages()) {
        INFO(page.name);
        CHECK(list.out.find("  " + std::string(page.name) + ": ") != std::string::npos);
        CHECK(help({std::string(page.name)}).out == page.text);
    }
    CHECK(tools::help_pages().size() >= 4);
    CHECK(help({"--", "stat"}).out == help({"stat"}).out);
    CHECK(help({"stat"}).out == run_larder(directory.path(), {"stat", "--help"}).out);
    const CommandResult wrong = help({"embd"});
    CHECK(wrong.code == 2);
    CHECK(wrong.err.find("did you mean `embed`?") != std::string::npos);
}
