// A database of another program for tests: tasks and grades, views of them, triggers where they are asked for.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/change_triggers.hpp"
#include "core/own_schema.hpp"
#include "core/schema.hpp"
#include "tests/core/school.hpp"

namespace larder::test {

inline constexpr const char* foreign_tables = R"sql(
CREATE TABLE tasks(id INTEGER PRIMARY KEY, name TEXT, teacher INTEGER, points REAL);
CREATE TABLE grades(task_id INTEGER, pupil INTEGER, mark REAL, late INTEGER, PRIMARY KEY (task_id, pupil));
INSERT INTO tasks VALUES (1, 'Essay', 7, 100), (2, 'Lab', 8, 50);
INSERT INTO grades VALUES (1, 1, 80, 0), (1, 2, 90, 1), (2, 1, 50, 0);
)sql";

inline constexpr const char* foreign_views = R"sql(
-- Our tasks and grades, as assignments and submissions.
CREATE TEMP VIEW assignments AS
    SELECT id AS assignment_id, name AS title, teacher AS author_id, points AS max_score, 30 AS assigned_count,
           NULL AS course, NULL AS created_at FROM tasks;
CREATE TEMP VIEW submissions AS
    SELECT task_id AS assignment_id, 'graded' AS status, mark AS score, points AS max_score, late AS is_late,
           NULL AS submitted_at, NULL AS graded_at FROM grades JOIN tasks ON tasks.id = grades.task_id;
)sql";

class Foreign {
public:
    Foreign() : database_(path(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 5'000) { sql(foreign_tables); }
    std::string path() const { return directory_.file("other.db"); }
    void sql(const std::string& statements) { database_.exec(statements); }
    OwnSchema schema(const std::string& statements = foreign_views) const {
        return OwnSchema::from_file(write_file(directory_, "views.sql", statements));
    }
    void watch(const std::string& table, const std::string& column) {
        sql(service_tables_sql(database_) + change_triggers_sql(database_, {table, column}));
    }
    void watch_all() {
        watch("tasks", "id");
        watch("grades", "task_id");
        take_outbox();
    }
    std::vector<std::int64_t> take_outbox() { return test::take_outbox(database_); }
    std::vector<std::int64_t> changed_by(const std::string& statements) {
        sql(statements);
        return take_outbox();
    }
    SQLite::Database& database() { return database_; }
    const ScopedDirectory& directory() const { return directory_; }

private:
    ScopedDirectory directory_;
    SQLite::Database database_;
};

}  // namespace larder::test
