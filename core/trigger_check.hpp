// Trigger check: whether the triggers of another program's table write to the outbox whatever changes in it.
#pragma once

#include <optional>
#include <set>
#include <string>

namespace SQLite {
class Database;
}

namespace larder {

struct ReadTable {
    std::string name;
    std::set<std::string> columns;  ///< that are read, by the names that SQLite gives
    std::string assignment_column;  ///< empty: not known
};

/// Which changes of the table the outbox is not told of, as a sentence with what to do; nullopt: it is told of all. The
/// triggers that change_triggers makes must all be there as it makes them now; where the table has none of these names,
/// some trigger AFTER each event must write to the outbox, and it is trusted with what it writes.
std::optional<std::string> unannounced_changes(SQLite::Database& database, const ReadTable& table);

/// Some trigger writes 'published' to the outbox.
bool announces_publications(SQLite::Database& database);

}  // namespace larder
