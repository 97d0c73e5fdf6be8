// larder triggers: the SQL that makes the tables of another program write their changes to the outbox.
#include <SQLiteCpp/SQLiteCpp.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "core/change_triggers.hpp"
#include "core/schema.hpp"
#include "core/sqlite_source.hpp"
#include "tools/json_lines.hpp"
#include "tools/options.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr int busy_timeout_ms = 5'000;

struct Arguments {
    std::string db;
    WatchedTable table;
    bool install = false;
};

int run(const Arguments& arguments) {
    const std::string path = sqlite_path(arguments.db);
    try {
        SQLite::Database database(path, arguments.install ? SQLite::OPEN_READWRITE : SQLite::OPEN_READONLY,
                                  busy_timeout_ms);
        const std::string sql = service_tables_sql() + change_triggers_sql(database, arguments.table);
        if (!arguments.install) {
            print(sql);
            return kOk;
        }
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        database.exec(sql);
        transaction.commit();
        return kOk;
    } catch (const SQLite::Exception& error) {
        throw Refusal(kFailure, "the database " + path + ": " + error.what());
    }
}

}  // namespace

void add_triggers(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb =
        program.add_subcommand("triggers", "Print the SQL that announces changes of a table of another program");
    add_text_option(*verb, "db", arguments->db)->required();
    verb->add_option("--table", arguments->table.name, "The table")->type_name("NAME")->required();
    verb->add_option("--assignment-column", arguments->table.assignment_column,
                     "Its column with the assignment's id; NULL in a row: it belongs to none")
        ->type_name("NAME")
        ->required();
    verb->add_flag("--install", arguments->install, "Run it in the database instead of printing it");
    verb->footer(
        "Once for each table that the views of `larder serve --schema` read. Harmless when repeated.\n"
        "What else makes an assignment new may write to the outbox by a trigger of its own:\n"
        "INSERT INTO outbox(kind, assignment_id) SELECT 'change', id FROM ...");
    verb->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace larder::tools
