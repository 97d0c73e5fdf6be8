// Man pages and completions as the build makes them: complete, and understood by those who read them.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "shm/counters.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tools/options.hpp"
#include "tools/program.hpp"
#include "tools/verb_texts.hpp"

using namespace larder;
using test::CommandResult;
using test::run_larder;
using test::run_shell;
using test::ScopedDirectory;

namespace {

const std::string build = std::filesystem::path(LARDER_BINARY).parent_path();
const std::string pages = build + "/man/man1", completions = build + "/completions";

std::string text_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE(file.is_open());
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The command line's own definition.
struct Definition {
    tools::Action action;
    tools::ProgramOptions options;
    CLI::App program;
    Definition() { tools::define_program(program, options, action); }
    std::vector<const CLI::App*> visible_verbs() const {
        return static_cast<const CLI::App&>(program).get_subcommands(
            [](const CLI::App* verb) { return !verb->get_group().empty(); });
    }
};

std::vector<const CLI::Option*> visible_options(const CLI::App& verb) {
    const auto is_visible = [](const CLI::Option* option) { return !option->get_group().empty(); };
    std::vector<const CLI::Option*> options = verb.get_options(is_visible);
    for (const CLI::App* const group : verb.get_subcommands({}))  // CLI11's groups of options
        for (const CLI::Option* const option : group->get_options(is_visible)) options.push_back(option);
    return options;
}

std::string page_of(const CLI::App& verb) { return text_of(pages + "/larder-" + verb.get_name() + ".1"); }

/// As it stands in a page.
std::string roff(const std::string& name) {
    std::string text;
    for (const char c : name) text += c == '-' ? std::string("\\-") : std::string(1, c);
    return text;
}

/// False, and said: the case proves nothing here.
bool is_installed(const std::string& program) {
    if (run_shell("/", "command -v " + program).code == 0) return true;
    WARN("skipped: no " << program);
    return false;
}

/// The lines that `script` prints in that shell; $1 is the completion.
std::vector<std::string> lines_of(const std::string& shell, const std::string& script, const std::string& completion,
                                  const std::string& directory = "/") {
    const std::string command = "PATH=" + build + ":$PATH timeout 60 " + shell + " -c \"$(cat)\" x " + completion;
    const CommandResult result = run_shell(directory, command, script);
    CHECK(result.err.empty());
    return result.lines();
}

/// `words` as bash parts them: `=` and `:` are words of their own.
std::vector<std::string> ask_bash(const std::string& words, const std::string& directory = "/") {
    std::string line = words;
    for (const char* const parted : {" = ", " : "})
        for (std::size_t at = 0; (at = line.find(parted, at)) != std::string::npos;) line.replace(at, 3, 1, parted[1]);
    return lines_of("bash",
                    "set -u; COMP_LINE=\"" + line + "\"; COMP_POINT=${#COMP_LINE}; source \"$1\"; COMP_WORDS=(" +
                        words + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _larder; printf '%s\\n' \"${COMPREPLY[@]}\"",
                    completions + "/bash/larder", directory);
}

std::vector<std::string> ask_fish(const std::string& line, const std::string& directory = "/") {
    std::vector<std::string> lines = lines_of("fish --no-config", "source $argv[2]; complete -C '" + line + "'",
                                              completions + "/fish/larder.fish", directory);
    for (std::string& text : lines) text.erase(std::min(text.find('\t'), text.size()));  // the description
    return lines;
}

using Words = std::vector<std::string>;

/// A cache `default` with a key that can be offered and one that a shell would run, and a cache `pages` with two.
void put_keys(const ScopedDirectory& directory) {
    for (const auto& [cache, key] : std::vector<std::pair<std::string, std::string>>{
             {"default", "k"}, {"default", "k$(id)"}, {"pages", "page:1"}, {"pages", "page:2"}})
        REQUIRE(run_larder(directory.path(), {"put", key, "-c", cache, "--size", "16MiB"}, "v").code == 0);
}

}  // namespace

TEST_CASE("there is a page for the program and for each verb that people see, and no other", "[manual]") {
    std::set<std::string> expected{"larder.1"}, found;
    const Definition definition;
    for (const CLI::App* const verb : definition.visible_verbs()) expected.insert("larder-" + verb->get_name() + ".1");
    for (const auto& entry : std::filesystem::directory_iterator(pages)) found.insert(entry.path().filename());
    CHECK(found == expected);
    CHECK(expected.size() > 15);
}

TEST_CASE("a verb's page has all that its help has, in the usual sections", "[manual]") {
    const Definition definition;
    for (const CLI::App* const verb : definition.visible_verbs()) {
        INFO(verb->get_name());
        const std::string page = page_of(*verb);
        for (const CLI::Option* const option : visible_options(*verb)) {
            for (const std::string& name : option->get_lnames())
                CHECK_THAT(page, Catch::Contains("\\fB\\-\\-" + roff(name) + "\\fR"));
            for (const std::string& name : option->get_snames())
                CHECK_THAT(page, Catch::Contains("\\fB\\-" + roff(name) + "\\fR"));
            if (option->get_positional())
                CHECK_THAT(page, Catch::Contains("\\fI" + roff(option->get_name(true)) + "\\fR"));
            if (!option->get_envname().empty()) CHECK_THAT(page, Catch::Contains("\\fB" + option->get_envname()));
        }
        std::size_t at = 0;
        for (const char* const section :
             {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "ENVIRONMENT", "EXIT STATUS", "EXAMPLES", "SEE ALSO"}) {
            INFO(section);
            const std::size_t next = page.find("\n.SH " + std::string(section) + "\n", at);
            REQUIRE(next != std::string::npos);
            at = next;
        }
    }
}

TEST_CASE("the program's page names every verb, every variable of the table and every exit code", "[manual]") {
    const std::string page = text_of(pages + "/larder.1");
    const Definition definition;
    for (const CLI::App* const verb : definition.visible_verbs())
        CHECK_THAT(page, Catch::Contains("\\fBlarder\\-" + roff(verb->get_name()) + "\\fR(1)"));
    for (const tools::OptionRow& row : tools::option_table())
        if (!row.environment.empty())
            CHECK_THAT(page, Catch::Contains("\n\\fB" + std::string(row.environment) + "\\fR\n"));
    for (const tools::ExitCodeText& row : tools::exit_code_table)
        CHECK_THAT(page, Catch::Contains("\n\\fB" + std::to_string(static_cast<int>(row.code)) + "\\fR\n"));
}

TEST_CASE("larder-stat(1) says of every counter what it means", "[manual]") {
    std::string page = text_of(pages + "/larder-stat.1");
    for (const shm::CounterText& row : shm::kCounterTable) {
        INFO(row.name);
        CHECK_THAT(page, Catch::Contains("\n\\fB" + std::string(row.name) + "\\fR\n"));
        const std::string words(row.meaning.substr(1, row.meaning.find(' ') - 1));
        CHECK_THAT(page, Catch::Contains(words));
    }
}

TEST_CASE("every verb has a description and examples that call it, and refers to verbs that are there", "[manual]") {
    const Definition definition;
    std::set<std::string> verbs{""}, described;
    for (const CLI::App* const verb : definition.visible_verbs()) verbs.insert(verb->get_name());
    for (const tools::VerbText& row : tools::verb_texts()) {
        INFO(row.verb);
        CHECK(described.insert(std::string(row.verb)).second);
        CHECK(!row.description.empty());
        CHECK(!row.examples.empty());
        std::string commands;
        for (const tools::VerbExample& example : row.examples) commands += std::string(example.command) + "\n";
        CHECK_THAT(commands, Catch::Contains(("larder " + std::string(row.verb))));
        for (const std::string_view other : row.see_also) CHECK(verbs.count(std::string(other)) == 1);
    }
    CHECK(described == verbs);
}

TEST_CASE("mandoc and man find nothing wrong with the pages", "[manual]") {
    if (!is_installed("mandoc")) return;
    CHECK(run_shell("/", "mandoc -T lint " + pages + "/*.1").out.empty());
    CHECK(run_shell("/", "printf '.TH X 1\\n.NOSUCH\\n' | mandoc -T lint").out.size() > 1);  // it does look
    if (!is_installed("man") || !is_installed("groff")) return;
    const CommandResult man =
        run_shell("/", "for page in " + pages + "/*.1; do man -l --warnings=w $page | wc -l; done");
    CHECK(man.err.empty());
    for (const std::string& length : man.lines()) CHECK(std::stoi(length) > 30);
}

TEST_CASE("bash offers verbs, options, choices, files and caches", "[manual]") {
    if (!is_installed("bash")) return;
    const ScopedDirectory directory;
    put_keys(directory);
    CHECK(lines_of("bash", "source \"$1\"; complete -p larder", completions + "/bash/larder") ==
          Words{"complete -F _larder larder"});
    CHECK(ask_bash("larder tok") == Words{"token"});
    CHECK(ask_bash("larder ''").size() > 15);
    CHECK(ask_bash("larder --log-level debug st") == Words{"stat"});
    CHECK(ask_bash("larder --log-level = debug st") == Words{"stat"});
    CHECK(ask_bash("larder get --ca") == Words{"--cache"});
    CHECK(ask_bash("larder get --cache ''", directory.path()) == Words{"default", "pages"});
    CHECK(ask_bash("larder get -c p", directory.path()) == Words{"pages"});
    CHECK(ask_bash("larder get --cache = p", directory.path()) == Words{"pages"});
    CHECK(ask_bash("larder token --role = ''") == Words{"student", "tutor", "teacher", "admin"});
    CHECK(ask_bash("larder stat --log-level e") == Words{"error"});
    CHECK(ask_bash("larder advise " + completions + "/ba") == Words{completions + "/bash"});
    CHECK(ask_bash("larder get -- --") == Words{""});
    CHECK(ask_bash("larder get k", directory.path()) == Words{"k"});
    CHECK(ask_bash("larder get -c pages p", directory.path()) == Words{"page:1", "page:2"});
    CHECK(ask_bash("larder invalidate --cache = pages page : 1", directory.path()) == Words{"1"});
    CHECK(ask_bash("larder get -c pages page : x", directory.path()) == Words{""});
    CHECK(ask_bash("larder nonsense --") == Words{""});
}

TEST_CASE("bash offers every option of every verb", "[manual]") {
    if (!is_installed("bash")) return;
    const Definition definition;
    for (const CLI::App* const verb : definition.visible_verbs()) {
        INFO(verb->get_name());
        const Words offered = ask_bash("larder " + verb->get_name() + " --");
        for (const CLI::Option* const option : visible_options(*verb))
            for (const std::string& name : option->get_lnames())
                CHECK_THAT(offered, Catch::VectorContains("--" + name));
    }
}

TEST_CASE("fish offers verbs, options, choices, files and caches", "[manual]") {
    if (!is_installed("fish")) return;
    const ScopedDirectory directory;
    put_keys(directory);
    CHECK(run_shell("/", "fish -n " + completions + "/fish/larder.fish").code == 0);
    CHECK(ask_fish("larder tok") == Words{"token"});
    CHECK(ask_fish("larder --log-level debug tok") == Words{"token"});
    CHECK(ask_fish("larder get --ca") == Words{"--cache"});
    CHECK(ask_fish("larder get -c ", directory.path()) == Words{"default", "pages"});
    CHECK(ask_fish("larder get ", directory.path()) == Words{"k"});
    CHECK(ask_fish("larder get -c pages page:", directory.path()) == Words{"page:1", "page:2"});
    CHECK(ask_fish("larder get --cache=pages page:2", directory.path()) == Words{"page:2"});
    CHECK(ask_fish("larder token --role ") == Words{"admin", "student", "teacher", "tutor"});
    CHECK(ask_fish("larder advise " + completions + "/ba") == Words{completions + "/bash/"});
    CHECK(ask_fish("larder put --size ").empty());
}

TEST_CASE("zsh completes at a terminal", "[manual]") {
    if (!is_installed("zsh")) return;
    CHECK(run_shell("/", "zsh -n " + completions + "/zsh/_larder").code == 0);
    // An interactive zsh behind a pseudo-terminal; what it adds at Tab is what is waited for.
    const char* const script = R"(
zmodload zsh/zpty
zpty z 'zsh -f -i'
zpty -w z "stty -echo; PROMPT=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -D -u; echo rea''dy"
zpty -r -m z out '*ready*' || exit 1
ask() {
    zpty -w -n z "$1"$'\t'
    zpty -r -m z out "*$2*" && print -r -- "$1 -> $2"
    zpty -w -n z $'\C-u'
}
ask 'larder tok' 'en'
ask 'larder token --ro' 'le'
ask 'larder token --role te' 'acher'
ask 'larder --log-level debug replay --stri' 'ct'
ask 'larder get -c pages pa' 'ge:'
zpty -d z
)";
    const ScopedDirectory directory;
    put_keys(directory);
    CHECK(lines_of("zsh -f", script, completions + "/zsh", directory.path()) ==
          Words{"larder tok -> en", "larder token --ro -> le", "larder token --role te -> acher",
                "larder --log-level debug replay --stri -> ct", "larder get -c pages pa -> ge:"});
}
