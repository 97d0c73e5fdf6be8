// larder ls: the caches of a directory.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "shm/inspector.hpp"
#include "shm/socket/listener_role.hpp"
#include "tools/durations_sizes.hpp"
#include "tools/inspection.hpp"
#include "tools/json_lines.hpp"
#include "tools/options.hpp"
#include "tools/standard_streams.hpp"
#include "tools/terminal.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

struct Arguments {
    Options cache;
    bool json = false;
};

struct Row {
    std::string name, path;
    std::uint64_t size_bytes = 0, entries = 0, processes = 0;
    bool listening = false;
};

Row row_of(const shm::Location& location) {
    const shm::Segment segment = shm::Segment::attach_read_only(location.segment_path());
    Row row{location.name,
            location.segment_path(),
            segment.view().geometry->segment_bytes,
            shm::read_gauges(segment.view()).entries,
            0,
            shm::somebody_listens(location.listen_path())};
    for (const shm::ProcessFacts& process : shm::read_processes(segment.view())) row.processes += process.alive ? 1 : 0;
    return row;
}

void show(const Row& row, bool json) {
    if (json)
        print_json({{"name", row.name},
                    {"path", row.path},
                    {"size_bytes", row.size_bytes},
                    {"entries", row.entries},
                    {"processes", row.processes},
                    {"listening", row.listening}});
    else
        print(fmt::format("{:<20} {:>10} {:>10} {:>9}  {:<9}  {}\n", row.name, size_text(row.size_bytes), row.entries,
                          row.processes, row.listening ? "yes" : "no", escaped(row.path)));
}

int run(const Arguments& arguments) {
    const shm::Location any = shm::locate(arguments.cache.directory, arguments.cache.name, false);
    const std::vector<std::string> names = cache_names(any.directory);
    if (names.empty()) complain(fmt::format("larder: no caches in {}\n", escaped(any.directory)));
    if (!names.empty() && !arguments.json)
        print(fmt::format("{:<20} {:>10} {:>10} {:>9}  {:<9}  {}\n", "NAME", "SIZE", "ENTRIES", "PROCESSES",
                          "LISTENING", "PATH"));
    ExitCode code = kOk;
    for (const std::string& name : names) {
        shm::Location location = any;
        location.name = name;
        try {
            show(row_of(location), arguments.json);
        } catch (const OpenError& error) {  // one that cannot be read hides no other
            complain(fmt::format("larder: {}: {}\n", name, escaped(error.what())));
            code = kFailure;
        }
    }
    return code;
}

}  // namespace

void add_ls(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb = program.add_subcommand("ls", "List the caches of the directory; 3 if one cannot be read");
    add_cache_option(*verb, "directory", arguments->cache);
    verb->add_flag("--json", arguments->json, "A line each: {name, path, size_bytes, entries, processes, listening}");
    verb->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace larder::tools
