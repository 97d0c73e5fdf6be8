#include "core/own_schema.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <set>
#include <string_view>

#include "core/submission_source.hpp"
#include "shm/hash.hpp"

namespace larder {
namespace {

constexpr const char* view_names[] = {"assignments", "submissions"};

/// What SQLite asks before it compiles a statement, for as long as this lives.
class Authorizer {
public:
    using Decide = int (*)(void*, int, const char*, const char*, const char*, const char*);
    Authorizer(SQLite::Database& database, Decide decide, void* state) : database_(database) {
        sqlite3_set_authorizer(database.getHandle(), decide, state);
    }
    ~Authorizer() { sqlite3_set_authorizer(database_.getHandle(), nullptr, nullptr); }
    Authorizer(const Authorizer&) = delete;
    Authorizer& operator=(const Authorizer&) = delete;

private:
    SQLite::Database& database_;
};

/// Views of the connection alone: to make one, SQLite writes its own temporary catalogue.
int judge(int action, const char* first, const char* schema) {
    switch (action) {
    case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_DROP_TEMP_VIEW:
    case SQLITE_READ:
    case SQLITE_SELECT:
    case SQLITE_FUNCTION:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        return first != nullptr && std::string_view(first) == "sqlite_temp_master" && schema != nullptr &&
                       std::string_view(schema) == "temp"
                   ? SQLITE_OK
                   : SQLITE_DENY;
    default:
        return SQLITE_DENY;
    }
}

int allow_temporary_views(void* denied, int action, const char* first, const char*, const char* schema, const char*) {
    const int answer = judge(action, first, schema);
    if (answer != SQLITE_OK) *static_cast<bool*>(denied) = true;
    return answer;
}

int note_tables(void* state, int action, const char* table, const char*, const char* schema, const char*) {
    if (action == SQLITE_READ && table != nullptr && schema != nullptr && std::string_view(schema) == "main")
        static_cast<std::set<std::string>*>(state)->insert(table);
    return SQLITE_OK;
}

std::set<std::string> tables_behind_views(SQLite::Database& database) {
    std::set<std::string> tables;
    const Authorizer authorizer(database, note_tables, &tables);
    for (const char* view : view_names) SQLite::Statement(database, std::string("SELECT * FROM temp.") + view);
    return tables;
}

/// By the words before the trigger's body.
bool has_trigger(SQLite::Database& database, const std::string& table, const char* event) {
    SQLite::Statement trigger(
        database,
        "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE AND sql LIKE '%outbox%' "
        "AND "
        "replace(substr(sql, 1, instr(upper(sql), 'BEGIN')), char(10), ' ') LIKE '% ' || ?2 || ' %'");
    trigger.bind(1, table);
    trigger.bind(2, event);
    return trigger.executeStep();
}

}  // namespace

OwnSchema::OwnSchema(std::string path, std::string statements)
    : path_(std::move(path)), statements_(std::move(statements)) {}

OwnSchema OwnSchema::from_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string statements{std::istreambuf_iterator<char>(file), {}};
    if (!file || statements.empty())
        throw SourceError("the schema " + path +
                          " cannot be read: name a file of `CREATE TEMP VIEW` statements, see `larder help integrate`");
    return {path, statements};
}

void OwnSchema::apply(SQLite::Database& database) const {
    bool denied = false;
    try {
        const Authorizer authorizer(database, allow_temporary_views, &denied);
        database.exec(statements_);
    } catch (const SQLite::Exception& error) {
        const std::string what =
            denied ? std::string("nothing but CREATE TEMP VIEW is possible in it") : std::string(error.what());
        throw SourceError("the schema " + path_ + ": " + what);
    }
    for (const char* view : view_names) {
        SQLite::Statement found(database, "SELECT 1 FROM sqlite_temp_master WHERE type = 'view' AND name = ?1");
        found.bind(1, view);
        if (!found.executeStep())
            throw SourceError("the schema " + path_ + " makes no view " + view + ": add `CREATE TEMP VIEW " + view +
                              " AS SELECT ...`");
    }
}

std::vector<std::string> OwnSchema::unwatched(SQLite::Database& database) const {
    std::vector<std::string> findings;
    for (const std::string& table : tables_behind_views(database)) {
        std::string missing;
        for (const char* event : {"INSERT", "UPDATE", "DELETE"})
            if (!has_trigger(database, table, event)) missing += (missing.empty() ? "" : ", ") + std::string(event);
        if (missing.empty()) continue;
        findings.push_back("no trigger writes changes of the table " + table + " (" + missing +
                           ") to the outbox: run `larder triggers --table " + table +
                           " --assignment-column COLUMN --install`, or write one by hand");
    }
    return findings;
}

std::string OwnSchema::identity() const { return std::to_string(shm::hash_of(statements_, 0)); }

}  // namespace larder
