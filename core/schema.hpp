// The schema of the SQLite database: tables, indexes, and the triggers that write every change to the outbox.
#pragma once

#include <string>
#include <vector>

namespace SQLite {
class Database;
}

namespace larder {

/// PRAGMA user_version of the schema below.
inline constexpr int schema_version = 3;
/// The oldest that can be read, and brought up to date by create_schema.
inline constexpr int oldest_schema_version = 2;

/// Makes the tables in an empty database and sets it to WAL; brings an older one up to date, and leaves one that is
/// alone. Throws SourceError on a database of another program or of a newer Larder. REQUIRES: no open transaction.
void create_schema(SQLite::Database& database);

/// Throws SourceError, naming `path`, unless the database has a schema that can be read.
void check_schema(SQLite::Database& database, const std::string& path);

/// Those of the tables that a service needs beside ours, the outbox and the queue of warming jobs, that the database
/// does not have. Throws SourceError where one of these names is another program's table.
std::vector<std::string> missing_service_tables(SQLite::Database& database);

/// The statements that make them in a database of another program, where they are not there. Throws as above.
std::string service_tables_sql(SQLite::Database& database);

/// Throws SourceError, naming `path`, unless the database has the outbox (or the queue): our schema, or another
/// program's with service_tables_sql.
void check_outbox(SQLite::Database& database, const std::string& path);
void check_warm_queue(SQLite::Database& database, const std::string& path);

}  // namespace larder
