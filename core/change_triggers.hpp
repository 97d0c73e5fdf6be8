// Change triggers: the SQL that makes a table of any schema write its changes to the outbox.
#pragma once

#include <string>

namespace SQLite {
class Database;
}

namespace larder {

/// A table of another program, and which assignment a row of it belongs to.
struct WatchedTable {
    std::string name;
    std::string assignment_column;  ///< NULL in a row: it belongs to none
};

/// Triggers for inserts, updates and deletes of the table, a row that REPLACE removes included. Named
/// `larder_TABLE_...`; older ones of these names are dropped. Throws SourceError when the database has no such table
/// or column.
std::string change_triggers_sql(SQLite::Database& database, const WatchedTable& table);

}  // namespace larder
