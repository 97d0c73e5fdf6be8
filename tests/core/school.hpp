// A school for tests: a database in a directory that goes away, rows by SQL.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "core/schema.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shared_data.hpp"

namespace larder::test {

/// Writes a file into the directory; returns its path.
inline std::string write_file(const ScopedDirectory& directory, const std::string& name, const std::string& content) {
    std::ofstream(directory.file(name), std::ios::binary) << content;
    return directory.file(name);
}

/// The assignments that the outbox names, each once, and empties it.
inline std::vector<std::int64_t> take_outbox(SQLite::Database& database) {
    std::vector<std::int64_t> ids;
    SQLite::Statement rows(database, "SELECT DISTINCT assignment_id FROM outbox ORDER BY assignment_id");
    while (rows.executeStep()) ids.push_back(rows.getColumn(0).getInt64());
    rows.reset();
    database.exec("DELETE FROM outbox");
    return ids;
}

class School {
public:
    explicit School(const std::string& parent = ScopedDirectory::default_parent())
        : directory_(parent), database_(make(directory_.file("school.db"))) {}

    std::string path() const { return directory_.file("school.db"); }
    const ScopedDirectory& directory() const { return directory_; }
    SQLite::Database& database() { return database_; }

    void sql(const std::string& statements) { database_.exec(statements); }
    std::string text(const std::string& query) { return database_.execAndGet(query).getString(); }
    std::int64_t number(const std::string& query) { return database_.execAndGet(query).getInt64(); }

    void add_assignment(std::int64_t id, const std::string& author = "7", const std::string& course = "NULL") {
        sql("INSERT INTO assignments(assignment_id, title, author_id, max_score, assigned_count, course) VALUES (" +
            std::to_string(id) + ", 'Essay', " + author + ", 100, 4, " + course + ")");
    }
    void add_score(std::int64_t submission_id, std::int64_t assignment_id, const std::string& score) {
        sql("INSERT INTO submissions(submission_id, assignment_id, student_id, status, score, max_score) VALUES (" +
            std::to_string(submission_id) + ", " + std::to_string(assignment_id) + ", 1, 'graded', " + score +
            ", 100)");
    }

    std::vector<std::int64_t> take_outbox() { return test::take_outbox(database_); }

private:
    static SQLite::Database make(const std::string& path) {
        SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 5'000);
        create_schema(database);
        return database;
    }
    ScopedDirectory directory_;
    SQLite::Database database_;
};

/// The folder of the OULAD data; nullopt where it is absent.
inline std::optional<std::string> oulad_directory() {
    const auto shared = testing::shared_dir();
    if (!shared || !std::filesystem::exists(*shared / "data" / "oulad" / "oulad_assignments.csv")) return std::nullopt;
    return (*shared / "data" / "oulad").string();
}

}  // namespace larder::test
