#include "core/own_schema.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>

#include "core/submission_source.hpp"
#include "core/trigger_check.hpp"
#include "shm/hash.hpp"

namespace larder {
namespace {

constexpr std::uintmax_t most_bytes = 1 << 20;
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

using ColumnsRead = std::map<std::string, std::set<std::string>>;  // by table

int note_columns(void* state, int action, const char* table, const char* column, const char* schema, const char*) {
    // Where no column is read, as by count(*), SQLite does not say the schema.
    const bool may_be_ours = schema == nullptr || std::string_view(schema) == "main";
    if (action == SQLITE_READ && table != nullptr && may_be_ours)
        (*static_cast<ColumnsRead*>(state))[table].insert(column == nullptr ? "" : column);
    return SQLITE_OK;
}

/// Of tables, views between them and ours, and whatever else a view can read.
ColumnsRead columns_behind_views(SQLite::Database& database) {
    ColumnsRead columns;
    const Authorizer authorizer(database, note_columns, &columns);
    for (const char* view : view_names) SQLite::Statement(database, std::string("SELECT * FROM temp.") + view);
    return columns;
}

bool is_table(SQLite::Database& database, const std::string& name) {
    SQLite::Statement found(database, "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?1");
    found.bind(1, name);
    return found.executeStep();
}

/// Where a view's assignment_id is a table's column as it is: which one.
void find_assignment_column(SQLite::Database& database, const char* view, std::map<std::string, ReadTable>& tables) {
    sqlite3_stmt* prepared = nullptr;
    sqlite3_prepare_v2(database.getHandle(), (std::string("SELECT assignment_id FROM temp.") + view).c_str(), -1,
                       &prepared, nullptr);
    if (prepared == nullptr) return;
    const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> owner(prepared, sqlite3_finalize);
    const char* const table = sqlite3_column_table_name(prepared, 0);
    const char* const column = sqlite3_column_origin_name(prepared, 0);
    if (table == nullptr || column == nullptr) return;
    if (const auto found = tables.find(table); found != tables.end()) found->second.assignment_column = column;
}

std::map<std::string, ReadTable> tables_behind_views(SQLite::Database& database) {
    std::map<std::string, ReadTable> tables;
    for (auto& [name, columns] : columns_behind_views(database))
        if (is_table(database, name)) tables.emplace(name, ReadTable{name, columns, ""});
    for (const char* view : view_names) find_assignment_column(database, view, tables);
    return tables;
}

}  // namespace

OwnSchema::OwnSchema(std::string path, std::string statements)
    : path_(std::move(path)), statements_(std::move(statements)) {}

OwnSchema OwnSchema::from_file(const std::string& path) {
    std::error_code error;
    const bool is_small =
        std::filesystem::is_regular_file(path, error) && std::filesystem::file_size(path, error) <= most_bytes;
    std::ostringstream statements;
    if (!is_small || !(statements << std::ifstream(path, std::ios::binary).rdbuf()))
        throw SourceError("the schema " + path +
                          " cannot be read: name a file of `CREATE TEMP VIEW` statements, at most 1 MiB, see `larder "
                          "help integrate`");
    return {path, statements.str()};
}

void OwnSchema::apply(SQLite::Database& database) const {
    bool denied = false;
    try {
        const Authorizer authorizer(database, allow_temporary_views, &denied);
        database.exec(statements_);
    } catch (const SQLite::Exception& error) {
        if (!denied && error.getErrorCode() != SQLITE_ERROR) throw;  // the database's fault, not the statements'
        const std::string what =
            denied ? std::string("nothing but CREATE TEMP VIEW is possible in it") : std::string(error.what());
        throw SourceError("the schema " + path_ + ": " + what);
    }
    for (const char* view : view_names) {
        SQLite::Statement found(database,
                                "SELECT 1 FROM sqlite_temp_master WHERE type = 'view' AND name = ?1 COLLATE NOCASE");
        found.bind(1, view);
        if (!found.executeStep())
            throw SourceError("the schema " + path_ + " makes no view " + view + ": add `CREATE TEMP VIEW " + view +
                              " AS SELECT ...`");
    }
}

std::vector<std::string> OwnSchema::unwatched(SQLite::Database& database) const {
    std::vector<std::string> findings;
    for (const auto& [name, table] : tables_behind_views(database))
        if (const std::optional<std::string> finding = unannounced_changes(database, table))
            findings.push_back(*finding);
    return findings;
}

std::string OwnSchema::identity() const { return std::to_string(shm::hash_of(statements_, 0)); }

}  // namespace larder
