// Change triggers: the SQL that makes a table of any schema write its changes to the outbox.
#pragma once

#include <string>
#include <vector>

namespace SQLite {
class Database;
}

namespace larder {

/// A table of another program, and which assignment a row of it belongs to.
struct WatchedTable {
    std::string name;
    std::string assignment_column;  ///< NULL in a row: it belongs to none
};

struct ChangeTrigger {
    std::string name;
    std::string sql;  ///< the CREATE statement, without its semicolon: as the database keeps it
};

/// Triggers for inserts, updates and deletes of the table, a row that REPLACE removes included. Named
/// `larder_TABLE_...`. Throws SourceError when the database has no such table or column, or a unique index of the table
/// by which REPLACE cannot be followed.
std::vector<ChangeTrigger> change_triggers(SQLite::Database& database, const WatchedTable& table);

/// The statements that make them, in the place of older ones of these names. Throws as change_triggers.
std::string change_triggers_sql(SQLite::Database& database, const WatchedTable& table);

}  // namespace larder
