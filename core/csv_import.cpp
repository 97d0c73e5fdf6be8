#include "core/csv_import.hpp"

#include <array>
#include <unordered_set>

#include "core/csv_table.hpp"
#include "core/sqlite_import.hpp"

namespace larder {
namespace {

constexpr std::uint64_t rows_per_report = 4'096;
constexpr std::size_t max_course_bytes = 249;  // with `course:` a tag

using Progress = ImportProgressFunction;

constexpr std::array<CsvColumn, 9> assignment_columns{{{"assignment_id"},
                                                       {"title"},
                                                       {"author_id"},
                                                       {"max_score"},
                                                       {"due_at"},
                                                       {"assigned_count"},
                                                       {"course", false},
                                                       {"status", false},
                                                       {"created_at", false}}};
constexpr std::array<CsvColumn, 9> submission_columns{{{"submission_id"},
                                                       {"assignment_id"},
                                                       {"student_id"},
                                                       {"status"},
                                                       {"score"},
                                                       {"max_score"},
                                                       {"is_late"},
                                                       {"submitted_at"},
                                                       {"graded_at"}}};

void report(const Progress& progress, const std::string& file, std::uint64_t rows, const CsvTable& table) {
    if (progress) progress(ImportProgress{file, rows, table.reader().bytes_read(), table.reader().bytes_total()});
}

/// Returns how many rows of the table come from the file: of two with one id, in the first column, the later replaces
/// the other.
template <class InsertRow>
std::uint64_t import_rows(CsvTable& table, const std::string& file, const Progress& progress, InsertRow insert_row) {
    std::uint64_t rows = 0;
    std::unordered_set<std::int64_t> ids;
    while (table.next()) {
        insert_row();
        ids.insert(table.id(0));
        if (++rows % rows_per_report == 0) report(progress, file, rows, table);
    }
    report(progress, file, rows, table);
    return ids.size();
}

std::uint64_t import_assignments(ImportWriter& writer, const std::string& file, const Progress& progress) {
    CsvTable table(file, assignment_columns);
    return import_rows(table, file, progress, [&] {
        writer.put(AssignmentRow{.id = table.id(0),
                                 .title = table.text(1),
                                 .author_id = table.integer(2),
                                 .max_score = table.maximum(3),
                                 .due_at = table.time(4),
                                 .assigned_count = table.count(5).value_or(0),
                                 .course = table.text(6, max_course_bytes),
                                 .status = table.text(7),
                                 .created_at = table.time(8)});
    });
}

std::uint64_t import_submissions(ImportWriter& writer, const std::string& file, const Progress& progress) {
    const std::unordered_set<AssignmentId> known = writer.known_assignments();
    CsvTable table(file, submission_columns);
    return import_rows(table, file, progress, [&] {
        const SubmissionRow row{.id = table.id(0),
                                .assignment_id = table.id(1),
                                .student_id = table.integer(2),
                                .status = table.text(3),
                                .score = table.points(4),
                                .max_score = table.maximum(5),
                                .is_late = table.flag(6),
                                .submitted_at = table.time(7),
                                .graded_at = table.time(8)};
        if (known.count(row.assignment_id) == 0)
            table.fail(1, "names an assignment that does not exist: " + std::to_string(row.assignment_id));
        writer.put(row);
    });
}

}  // namespace

ImportCounts import_csv(ImportWriter& writer, const ImportFiles& files, const Progress& progress) {
    ImportCounts counts;
    if (!files.assignments.empty()) counts.assignments = import_assignments(writer, files.assignments, progress);
    if (!files.submissions.empty()) counts.submissions = import_submissions(writer, files.submissions, progress);
    writer.commit();
    return counts;
}

ImportCounts import_csv(const std::string& database_path, const ImportFiles& files, const Progress& progress) {
    SqliteImport writer(database_path);
    return import_csv(writer, files, progress);
}

}  // namespace larder
