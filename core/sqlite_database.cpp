#include "core/sqlite_database.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include "core/outbox_relay.hpp"
#include "core/schema.hpp"
#include "core/sqlite_import.hpp"
#include "core/sqlite_source.hpp"

namespace larder {
namespace {

constexpr int busy_timeout_ms = 5'000;

std::string sql_for(SQLite::Database& database, const std::optional<WatchedTable>& table) {
    return service_tables_sql(database) + (table ? change_triggers_sql(database, *table) : "");
}

/// For a person who waits for the answer.
template <class Work>
auto with_database(const std::string& path, int flags, Work work) {
    try {
        SQLite::Database database(path, flags, busy_timeout_ms);
        return work(database);
    } catch (const SQLite::Exception& error) {
        throw SourceError("the database " + path + ": " + error.what());
    }
}

}  // namespace

SqliteDatabase::SqliteDatabase(const std::string& url, std::optional<OwnSchema> schema)
    : path_(sqlite_path(url)), schema_(std::move(schema)) {}

std::string SqliteDatabase::identity() const { return database_identity(path_, schema()); }

std::unique_ptr<SubmissionSource> SqliteDatabase::open_source() const {
    return std::make_unique<SqliteSource>(path_, schema());
}

std::vector<std::string> SqliteDatabase::findings() const {
    static_cast<void>(open_source());
    return schema_ ? unwatched_tables(path_, *schema_) : std::vector<std::string>{};
}

bool SqliteDatabase::announces_publications() const { return !schema_ || larder::announces_publications(path_); }

std::unique_ptr<Relay> SqliteDatabase::open_relay(NoticeSink& sink, Log log) const {
    return std::make_unique<OutboxRelay>(path_, sink, std::move(log));
}

std::unique_ptr<ImportWriter> SqliteDatabase::open_import() const { return std::make_unique<SqliteImport>(path_); }

std::string SqliteDatabase::triggers_sql(const std::optional<WatchedTable>& table) const {
    return with_database(path_, SQLite::OPEN_READONLY,
                         [&](SQLite::Database& database) { return sql_for(database, table); });
}

void SqliteDatabase::install(const std::optional<WatchedTable>& table) const {
    with_database(path_, SQLite::OPEN_READWRITE, [&](SQLite::Database& database) {
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        database.exec(sql_for(database, table));
        transaction.commit();
    });
}

}  // namespace larder
