#include "core/change_triggers.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include <string_view>

#include "core/sql_tokens.hpp"
#include "core/submission_source.hpp"

namespace larder {
namespace {

/// A column of a key, and the collation by which its values are the same; the rowid has none. `in_place_of_null`: what
/// REPLACE puts where a NULL is not allowed; empty: nothing.
struct KeyColumn {
    std::string name, collation, in_place_of_null{};
};
/// Columns that no two rows share, of those for which the condition is true: what REPLACE clears the way of.
struct Key {
    std::vector<KeyColumn> columns;
    std::string condition;  // empty: of all rows
};

std::string quoted(const std::string& name) {
    std::string text = "\"";
    for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
    return text + "\"";
}

/// The first column of the first row; empty: there is no row. Names are found as SQLite finds them, whatever the case.
std::string text_of(SQLite::Database& database, const char* query, const std::string& first,
                    const std::string& second = {}) {
    SQLite::Statement row(database, query);
    row.bind(1, first);
    if (!second.empty()) row.bind(2, second);
    return row.executeStep() ? row.getColumn(0).getString() : std::string();
}

bool is_rowid_name(const std::string& name) {
    const std::string lower = sql_lower(name);
    return lower == "rowid" || lower == "_rowid_" || lower == "oid";
}

bool has_rowid(SQLite::Database& database, const std::string& table) {
    return text_of(database, "SELECT wr FROM pragma_table_list(?1) WHERE schema = 'main'", table) != "1";
}

/// The names as the database spells them. The schema is said: a temporary view may have the table's name.
WatchedTable found(SQLite::Database& database, const WatchedTable& asked) {
    const std::string name = text_of(
        database, "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name = ?1 COLLATE NOCASE", asked.name);
    if (name.empty()) throw SourceError("the database " + database.getFilename() + " has no table " + asked.name);
    const std::string column =
        text_of(database, "SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE name = ?2 COLLATE NOCASE", name,
                asked.assignment_column);
    if (const std::string lower = sql_lower(name); lower == "new" || lower == "old")
        throw SourceError("in the triggers of a table named " + name +
                          " that name means a row: write them by hand, or rename the table");
    if (column.empty() && is_rowid_name(asked.assignment_column) && has_rowid(database, name))
        return {name, asked.assignment_column};
    if (column.empty()) throw SourceError("the table " + name + " has no column " + asked.assignment_column);
    return {name, column};
}

/// By a name that no column has taken.
Key rowid_of(SQLite::Database& database, const std::string& table) {
    const std::string free_name =
        text_of(database,
                "SELECT column1 FROM (VALUES ('rowid'), ('_rowid_'), ('oid')) WHERE NOT EXISTS "
                "(SELECT 1 FROM pragma_table_xinfo(?1, 'main') WHERE name = column1 COLLATE NOCASE)",
                table);
    if (free_name.empty())
        throw SourceError("the table " + table +
                          " has columns rowid, _rowid_ and oid, which leaves no name to the number of a row: rename "
                          "one of them");
    return {.columns = {{free_name, "", ""}}, .condition = ""};
}

/// Of an index that is on some rows only, as its statement has it behind `ON table(columns) WHERE`. Its names are those
/// of the table's columns wherever one selects from the table alone.
std::string condition_of(SQLite::Database& database, const std::string& index) {
    const std::string sql =
        text_of(database, "SELECT sql FROM main.sqlite_master WHERE type = 'index' AND name = ?1", index);
    int depth = 0;
    for (std::string_view rest = sql; !rest.empty();) {
        const std::string_view token = rest.substr(0, sql_token_length(rest));
        rest.remove_prefix(token.size());
        depth += (token == "(") - (token == ")");
        if (depth == 0 && sql_lower(token) == "where") return std::string(rest);
    }
    return {};
}

Key key_of(SQLite::Database& database, const std::string& index, const std::string& table) {
    SQLite::Statement rows(
        database,
        "SELECT name, coll, (SELECT dflt_value FROM pragma_table_xinfo(?2, 'main') AS declared WHERE "
        "declared.name = indexed.name AND \"notnull\") FROM pragma_index_xinfo(?1, 'main') AS indexed "
        "WHERE \"key\" = 1 ORDER BY seqno");
    rows.bind(1, index);
    rows.bind(2, table);
    Key key{.columns = {}, .condition = condition_of(database, index)};
    while (rows.executeStep()) {
        if (rows.getColumn(0).isNull())
            throw SourceError("the unique index " + index + " of the table " + table +
                              " is on an expression, by which no trigger sees what REPLACE removes: put it on a "
                              "generated column of that expression, or write the triggers of this table by hand");
        key.columns.push_back(
            {rows.getColumn(0).getString(), rows.getColumn(1).getString(), rows.getColumn(2).getString()});
    }
    return key;
}

/// The first one tells rows apart whatever is in them: the rowid, or where there is none the primary key.
std::vector<Key> keys_of(SQLite::Database& database, const std::string& table) {
    std::vector<Key> keys;
    if (has_rowid(database, table)) keys.push_back(rowid_of(database, table));
    SQLite::Statement indexes(database,
                              "SELECT name FROM pragma_index_list(?1, 'main') WHERE \"unique\" = 1 "
                              "ORDER BY origin <> 'pk', name");
    indexes.bind(1, table);
    while (indexes.executeStep()) keys.push_back(key_of(database, indexes.getColumn(0).getString(), table));
    return keys;
}

/// True for a row of the table that has this key in common with `row`, which is NEW or OLD.
std::string same_key(const Key& key, const std::string& table, const std::string& equals, const std::string& row) {
    std::string condition;
    for (const auto& [name, collation, in_place_of_null] : key.columns) {
        std::string value = row + "." + quoted(name);
        if (row == "NEW" && !in_place_of_null.empty()) value = "coalesce(" + value + ", " + in_place_of_null + "\n)";
        condition += (condition.empty() ? "" : " AND ") + table + "." + quoted(name) + " " + equals + " " + value;
        if (!collation.empty()) condition += " COLLATE " + quoted(collation);
    }
    return condition;
}

class Writer {
public:
    Writer(const WatchedTable& table, std::vector<Key> keys)
        : table_(table), name_(quoted(table.name)), column_(quoted(table.assignment_column)), keys_(std::move(keys)) {}

    std::vector<ChangeTrigger> all() const {
        const std::string is_old_row = same_key(keys_.front(), name_, "IS", "OLD");
        return {trigger("insert", "AFTER INSERT", announce("NEW")), trigger("delete", "AFTER DELETE", announce("OLD")),
                trigger("update", "AFTER UPDATE",
                        announce("NEW") + announce("OLD", " AND OLD." + column_ + " IS NOT NEW." + column_)),
                trigger("replace", "BEFORE INSERT", announce_removed()),
                trigger("move", "BEFORE UPDATE", announce_removed(" AND NOT (" + is_old_row + ")"))};
    }

private:
    std::string announce(const std::string& row, const std::string& more = {}, const std::string& from = {}) const {
        const std::string id = row + "." + column_;
        return "    INSERT INTO outbox(kind, assignment_id) SELECT 'change', " + id + from + " WHERE " + id +
               " IS NOT NULL" + more + ";\n";
    }
    /// REPLACE fires no delete trigger: what stands in the way is looked up before it goes.
    std::string announce_removed(const std::string& more = {}) const {
        std::string in_the_way;
        for (const Key& key : keys_)
            in_the_way += (in_the_way.empty() ? "(" : " OR (") + same_key(key, name_, "=", "NEW") +
                          (key.condition.empty() ? "" : " AND (" + key.condition + "\n)") + ")";  // it may end with --
        return announce(name_, " AND (" + in_the_way + ")" + more, " FROM " + name_);
    }
    ChangeTrigger trigger(const std::string& what, const std::string& when, const std::string& body) const {
        const std::string name = "larder_" + table_.name + "_" + what;
        return {name, "CREATE TRIGGER " + quoted(name) + " " + when + " ON " + name_ + " BEGIN\n" + body + "END"};
    }

    const WatchedTable& table_;
    const std::string name_, column_;
    const std::vector<Key> keys_;
};

}  // namespace

std::vector<ChangeTrigger> change_triggers(SQLite::Database& database, const WatchedTable& table) {
    const WatchedTable spelled = found(database, table);
    return Writer(spelled, keys_of(database, spelled.name)).all();
}

std::string change_triggers_sql(SQLite::Database& database, const WatchedTable& table) {
    std::string sql;
    for (const ChangeTrigger& trigger : change_triggers(database, table))
        sql += "DROP TRIGGER IF EXISTS " + quoted(trigger.name) + ";\n" + trigger.sql + ";\n";
    return sql;
}

}  // namespace larder
