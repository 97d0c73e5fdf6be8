// The schema of the SQLite database: tables, indexes, and the triggers that write every change to the outbox.
#pragma once

#include <string>

namespace SQLite {
class Database;
}

namespace larder {

/// PRAGMA user_version of the schema below.
inline constexpr int schema_version = 2;

/// Makes the tables in an empty database and sets it to WAL; leaves one that has them alone. Throws SourceError on a
/// database of another program or of a newer Larder. REQUIRES: no open transaction.
void create_schema(SQLite::Database& database);

/// Throws SourceError, naming `path`, unless the database has this schema.
void check_schema(SQLite::Database& database, const std::string& path);

}  // namespace larder
