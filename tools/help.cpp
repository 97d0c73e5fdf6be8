// larder help: a page of the documentation, or the help of a verb.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tools/help_pages.hpp"
#include "tools/json_lines.hpp"
#include "tools/nearest_word.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

/// The first line of a page without its mark: `embed: the cache in your own C++ program`.
std::string title_of(std::string_view text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    return std::string(line.substr(std::min<std::size_t>(2, line.size())));
}

std::string list_of_pages() {
    std::string text = "Pages, by `larder help PAGE`:\n";
    for (const HelpPage& page : help_pages()) text += fmt::format("  {}\n", title_of(page.text));
    return text + "Every verb has --help; `larder help VERB` prints the same.\n";
}

/// REQUIRES: the topic is no verb, see main().
int run(const std::string& topic, std::vector<std::string> known) {
    if (topic.empty()) {
        print(list_of_pages());
        return kOk;
    }
    for (const HelpPage& page : help_pages()) {
        known.emplace_back(page.name);
        if (page.name == topic) {
            print(page.text);
            return kOk;
        }
    }
    const std::string meant = nearest_word(topic, known);
    throw UsageError(meant.empty() ? fmt::format("there is no page or verb `{}`", topic)
                                   : fmt::format("there is no page or verb `{}`; did you mean `{}`?", topic, meant));
}

}  // namespace

void add_help(CLI::App& program, Action& action) {
    CLI::App* const verb = program.add_subcommand("help", "Print a page of the documentation, or a verb's help");
    const auto topic = std::make_shared<std::string>();
    verb->add_option("TOPIC", *topic, "A page or a verb; without it: which pages there are");
    verb->callback([&action, &program, topic] {
        std::vector<std::string> verbs;
        for (const CLI::App* const one : program.get_subcommands({})) verbs.push_back(one->get_name());
        action = [topic, verbs] { return run(*topic, verbs); };
    });
}

}  // namespace larder::tools
