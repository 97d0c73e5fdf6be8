// Writes the man pages and the shells' completions of `larder` below a directory, from the definition of its command
// line.
//   larder_manual DIRECTORY YYYY-MM-DD
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

#include "tools/manual/command_tree.hpp"
#include "tools/manual/completions.hpp"
#include "tools/manual/man_page.hpp"

namespace {

using namespace larder::tools::manual;

void write(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) throw std::runtime_error(path.string() + " cannot be written");
}

void write_all(const std::filesystem::path& directory, const std::string& date) {
    const CommandTree tree = read_command_tree();
    const Edition edition{.date = date, .version = LARDER_VERSION};
    const std::filesystem::path pages = directory / "man/man1", completions = directory / "completions";
    std::filesystem::remove_all(pages);  // a verb may be gone
    write(pages / "larder.1", program_page(tree, edition));
    for (const Verb& verb : tree.verbs) write(pages / (page_name(verb) + ".1"), verb_page(tree, verb, edition));
    write(completions / "bash/larder", bash_completion(tree));
    write(completions / "zsh/_larder", zsh_completion(tree));
    write(completions / "fish/larder.fish", fish_completion(tree));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: larder_manual DIRECTORY YYYY-MM-DD\n";
        return 2;
    }
    try {
        write_all(argv[1], argv[2]);
    } catch (const std::exception& error) {
        std::cerr << "larder_manual: " << error.what() << '\n';
        return 3;
    }
    return 0;
}
