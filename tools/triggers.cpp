// larder triggers: the SQL that makes the tables of another program write their changes to the outbox.
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "tools/json_lines.hpp"
#include "tools/open_database.hpp"
#include "tools/options.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

struct Arguments {
    std::string db;
    std::optional<WatchedTable> table;
    bool install = false;
};

int run(const Arguments& arguments) {
    const std::shared_ptr<const Database> database = open_database({arguments.db, {}}, std::nullopt);
    if (arguments.install)
        database->install(arguments.table);
    else
        print(database->triggers_sql(arguments.table));
    return kOk;
}

}  // namespace

void add_triggers(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    const auto named = std::make_shared<WatchedTable>();
    CLI::App* const verb =
        program.add_subcommand("triggers", "Print the SQL that announces changes of a table of another program");
    add_text_option(*verb, "db", arguments->db)->required();
    CLI::Option* const table =
        verb->add_option("--table", named->name, "The table; none: what a service needs beside it")->type_name("NAME");
    CLI::Option* const column =
        verb->add_option("--assignment-column", named->assignment_column,
                         "Its column with the assignment's id; NULL in a row: it belongs to none")
            ->type_name("NAME");
    table->needs(column);
    column->needs(table);
    verb->add_flag("--install", arguments->install, "Run it in the database instead of printing it");
    verb->footer(
        "Once for each table that the views of `larder serve --schema` read. Harmless when repeated.\n"
        "What else makes an assignment new may write to the outbox by a trigger of its own:\n"
        "INSERT INTO outbox(kind, assignment_id) SELECT 'change', id FROM ...\n"
        "(in PostgreSQL: larder.outbox, ON CONFLICT DO NOTHING, by a SECURITY DEFINER function).");
    verb->callback([&action, arguments, named, table] {
        if (table->count() > 0) arguments->table = *named;
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
