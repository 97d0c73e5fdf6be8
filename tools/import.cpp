// larder import: assignments and submissions from CSV files into the database.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/csv_import.hpp"
#include "tools/json_lines.hpp"
#include "tools/open_database.hpp"
#include "tools/options.hpp"
#include "tools/terminal.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

struct Arguments {
    std::string db;
    ImportFiles files;
    bool json = false;
};

int run(const Arguments& arguments) {
    Progress progress("importing");
    const std::unique_ptr<ImportWriter> writer = open_database({arguments.db, {}}, std::nullopt)->open_import();
    const ImportCounts counts = import_csv(*writer, arguments.files, [&progress](const ImportProgress& at) {
        progress.show(at.bytes_read, at.bytes_total);
    });
    progress.clear();
    if (arguments.json)
        print_json({{"assignments", counts.assignments}, {"submissions", counts.submissions}});
    else
        print(fmt::format("imported {} assignments and {} submissions\n", counts.assignments, counts.submissions));
    return kOk;
}

}  // namespace

void add_import(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb = program.add_subcommand("import", "Import CSV files into the database, all rows or none");
    add_text_option(*verb, "db", arguments->db)->required();
    add_text_option(*verb, "assignments", arguments->files.assignments);
    add_text_option(*verb, "submissions", arguments->files.submissions);
    verb->add_flag("--json", arguments->json, "{assignments, submissions}: rows; an id that comes twice is one");
    verb->callback([&action, arguments] {
        if (arguments->files.assignments.empty() && arguments->files.submissions.empty())
            throw CLI::ValidationError("import", "give --assignments, --submissions, or both");
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
