#include "core/trigger_check.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <map>
#include <vector>

#include "core/change_triggers.hpp"
#include "core/shell_word.hpp"
#include "core/sql_tokens.hpp"
#include "core/submission_source.hpp"

namespace larder {
namespace {

using Tokens = std::vector<std::string>;
using Triggers = std::map<std::string, Tokens>;  // by their names in lower case

/// How many of its statements do.
std::ptrdiff_t writes_to_outbox(const Tokens& trigger) {
    std::ptrdiff_t writes = 0;
    for (const Tokens& target : {Tokens{"into", "outbox"}, Tokens{"into", "main", ".", "outbox"}})
        for (auto at = trigger.begin(); at != trigger.end(); ++at)
            writes += std::search(at, trigger.end(), target.begin(), target.end()) == at ? 1 : 0;
    return writes;
}

/// One that says no more than what was published tells of no change.
bool tells_of_changes(const Tokens& trigger) {
    return writes_to_outbox(trigger) > std::count(trigger.begin(), trigger.end(), "published");
}

/// Of `CREATE TRIGGER name AFTER event ON ...`; empty: it does not tell the outbox of what has happened.
std::string event_told(const Tokens& trigger) {
    return trigger.size() > 5 && trigger[3] == "after" && tells_of_changes(trigger) ? trigger[4] : std::string();
}

/// Of `CREATE TRIGGER name AFTER UPDATE OF column, column ON ...`; empty: of all.
std::set<std::string> columns_told(const Tokens& trigger) {
    if (trigger[5] != "of") return {};
    return {trigger.begin() + 6, std::find(trigger.begin() + 6, trigger.end(), "on")};
}

/// Of `... SELECT 'change', row.column ...`, as change_triggers writes it; empty: it is none of these.
std::string column_told(const Tokens& trigger) {
    const auto change = std::find(trigger.begin(), trigger.end(), "change");
    return trigger.end() - change > 4 ? change[4] : std::string();
}

Triggers triggers_of(SQLite::Database& database, const std::string& table) {
    SQLite::Statement rows(database,
                           "SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger' AND tbl_name = ?1 COLLATE "
                           "NOCASE");
    rows.bind(1, table);
    Triggers triggers;
    while (rows.executeStep())
        triggers.emplace(sql_lower(rows.getColumn(0).getString()), sql_tokens(rows.getColumn(1).getString()));
    return triggers;
}

/// The columns whose updates the views see, in lower case: where they read a generated one, all that it may be made of.
std::set<std::string> columns_seen(SQLite::Database& database, const ReadTable& table) {
    std::set<std::string> read, seen, all;
    for (const std::string& column : table.columns) read.insert(sql_lower(column));
    bool reads_generated = false;
    SQLite::Statement rows(database, "SELECT name, hidden FROM pragma_table_xinfo(?1, 'main')");
    rows.bind(1, table.name);
    while (rows.executeStep()) {
        const std::string name = sql_lower(rows.getColumn(0).getString());
        const bool is_read = read.count(name) != 0, is_generated = rows.getColumn(1).getInt() != 0;
        reads_generated = reads_generated || (is_read && is_generated);
        if (!is_generated) all.insert(name);
        if (!is_generated && is_read) seen.insert(name);
    }
    return reads_generated ? all : seen;
}

void append(std::string& list, const std::string& item) { list += (list.empty() ? "" : ", ") + item; }

/// `UPDATE`, or `UPDATE OF` the columns of which no trigger tells; empty: there are none.
std::string updates_untold(SQLite::Database& database, const ReadTable& table, const Triggers& triggers) {
    std::set<std::string> untold = columns_seen(database, table);
    bool is_told = false;
    for (const auto& [name, trigger] : triggers) {
        if (event_told(trigger) != "update") continue;
        const std::set<std::string> columns = columns_told(trigger);
        if (columns.empty()) return {};
        is_told = true;
        for (const std::string& column : columns) untold.erase(column);
    }
    if (!is_told) return "UPDATE";
    std::string list;
    for (const std::string& column : untold) append(list, column);
    return list.empty() ? list : "UPDATE OF " + list;
}

std::string remedy(SQLite::Database& database, const ReadTable& table) {
    const std::string& column = table.assignment_column;
    return "run `larder triggers --db " + shell_word(database.getFilename()) + " --table " + shell_word(table.name) +
           " --assignment-column " + (column.empty() ? "COLUMN" : shell_word(column)) + " --install`" +
           (column.empty() ? ", where COLUMN has the assignment's id" : "");
}

std::optional<std::string> untold_by_hand(SQLite::Database& database, const ReadTable& table,
                                          const Triggers& triggers) {
    const auto is_told = [&triggers](const char* event) {
        return std::any_of(triggers.begin(), triggers.end(),
                           [event](const auto& trigger) { return event_told(trigger.second) == event; });
    };
    std::string untold;
    if (!is_told("insert")) append(untold, "INSERT");
    if (const std::string updates = updates_untold(database, table, triggers); !updates.empty())
        append(untold, updates);
    if (!is_told("delete")) append(untold, "DELETE");
    if (untold.empty()) return std::nullopt;
    return "no trigger of the table " + table.name + " writes to the outbox AFTER " + untold + ": " +
           remedy(database, table) + ", or write triggers by hand";
}

/// `made`: one of those that change_triggers has made, which says for which column.
std::optional<std::string> untold_as_made(SQLite::Database& database, ReadTable table, const Triggers& triggers,
                                          const Triggers::value_type& made) try {
    if (table.assignment_column.empty()) table.assignment_column = column_told(made.second);
    std::string differing;
    for (const ChangeTrigger& trigger : change_triggers(database, {table.name, table.assignment_column})) {
        const auto found = triggers.find(sql_lower(trigger.name));
        if (found == triggers.end() || found->second != sql_tokens(trigger.sql)) append(differing, trigger.name);
    }
    if (differing.empty()) return std::nullopt;
    return "the table " + table.name + " has not all the triggers that it needs by now (" + differing +
           "): " + remedy(database, table) + " again";
} catch (const SourceError& error) {
    return error.what();
}

}  // namespace

std::optional<std::string> unannounced_changes(SQLite::Database& database, const ReadTable& table) {
    const Triggers triggers = triggers_of(database, table.name);
    const std::string prefix = sql_lower("larder_" + table.name + "_");
    const auto made = std::find_if(triggers.begin(), triggers.end(),
                                   [&prefix](const auto& trigger) { return trigger.first.starts_with(prefix); });
    if (made == triggers.end()) return untold_by_hand(database, table, triggers);
    return untold_as_made(database, table, triggers, *made);
}

bool announces_publications(SQLite::Database& database) {
    SQLite::Statement rows(database, "SELECT sql FROM main.sqlite_master WHERE type = 'trigger'");
    while (rows.executeStep()) {
        const Tokens trigger = sql_tokens(rows.getColumn(0).getString());
        if (writes_to_outbox(trigger) > 0 && std::find(trigger.begin(), trigger.end(), "published") != trigger.end())
            return true;
    }
    return false;
}

}  // namespace larder
