#include "core/change_triggers.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>

#include "core/schema.hpp"
#include "core/submission_source.hpp"

namespace larder {
namespace {

using Columns = std::vector<std::string>;

std::string quoted(const std::string& name) {
    std::string text = "\"";
    for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
    return text + "\"";
}

Columns names(SQLite::Database& database, const char* query, const std::string& argument) {
    SQLite::Statement rows(database, query);
    rows.bind(1, argument);
    Columns found;
    while (rows.executeStep()) found.push_back(rows.getColumn(0).getString());
    return found;
}

Columns columns_of(SQLite::Database& database, const std::string& table) {
    return names(database, "SELECT name FROM pragma_table_info(?1)", table);
}

/// Columns that no two rows share: what REPLACE clears the way of. The primary key comes first.
std::vector<Columns> keys_of(SQLite::Database& database, const std::string& table) {
    std::vector<Columns> keys;
    const Columns primary = names(database, "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk", table);
    keys.push_back(primary.empty() ? Columns{"rowid"} : primary);
    for (const std::string& index :
         names(database, "SELECT name FROM pragma_index_list(?1) WHERE \"unique\" = 1 AND origin <> 'pk'", table))
        if (const Columns columns = names(database, "SELECT name FROM pragma_index_info(?1)", index);
            std::none_of(columns.begin(), columns.end(), [](const std::string& name) { return name.empty(); }))
            keys.push_back(columns);
    return keys;
}

/// True for a row of the table that stands in the way of NEW.
std::string in_the_way(const std::vector<Columns>& keys, const std::string& table) {
    std::string condition;
    for (const Columns& key : keys) {
        condition += condition.empty() ? "(" : " OR (";
        for (std::size_t i = 0; i < key.size(); ++i)
            condition += (i == 0 ? "" : " AND ") + table + "." + quoted(key[i]) + " = NEW." + quoted(key[i]);
        condition += ")";
    }
    return condition;
}

class Writer {
public:
    Writer(const WatchedTable& table, std::vector<Columns> keys)
        : table_(table), name_(quoted(table.name)), column_(quoted(table.assignment_column)), keys_(std::move(keys)) {}

    std::string all() {
        trigger("insert", "AFTER INSERT", announce("NEW"));
        trigger("delete", "AFTER DELETE", announce("OLD"));
        trigger("update", "AFTER UPDATE",
                announce("NEW") + announce("OLD", " AND OLD." + column_ + " IS NOT NEW." + column_));
        trigger("replace", "BEFORE INSERT", announce_removed());
        trigger("move", "BEFORE UPDATE", announce_removed(" AND NOT (" + is_old_row() + ")"));
        return text_;
    }

private:
    std::string announce(const std::string& row, const std::string& more = {}, const std::string& from = {}) const {
        const std::string id = row + "." + column_;
        return "    INSERT INTO outbox(kind, assignment_id) SELECT 'change', " + id + from + " WHERE " + id +
               " IS NOT NULL" + more + ";\n";
    }
    /// REPLACE fires no delete trigger: what stands in the way is looked up before it goes.
    std::string announce_removed(const std::string& more = {}) const {
        return announce(name_, " AND (" + in_the_way(keys_, name_) + ")" + more, " FROM " + name_);
    }
    std::string is_old_row() const {
        std::string same;
        for (const std::string& column : keys_.front())
            same += (same.empty() ? "" : " AND ") + name_ + "." + quoted(column) + " IS OLD." + quoted(column);
        return same;
    }
    void trigger(const std::string& what, const std::string& when, const std::string& body) {
        const std::string name = quoted("larder_" + table_.name + "_" + what);
        text_ += "DROP TRIGGER IF EXISTS " + name + ";\nCREATE TRIGGER " + name + " " + when + " ON " + name_ +
                 " BEGIN\n" + body + "END;\n";
    }

    const WatchedTable& table_;
    const std::string name_, column_;
    const std::vector<Columns> keys_;
    std::string text_;
};

}  // namespace

std::string change_triggers_sql(SQLite::Database& database, const WatchedTable& table) {
    const Columns columns = columns_of(database, table.name);
    if (columns.empty()) throw SourceError("the database " + database.getFilename() + " has no table " + table.name);
    if (std::find(columns.begin(), columns.end(), table.assignment_column) == columns.end())
        throw SourceError("the table " + table.name + " has no column " + table.assignment_column);
    return Writer(table, keys_of(database, table.name)).all();
}

}  // namespace larder
