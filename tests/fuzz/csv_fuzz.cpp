// Files of assignments and submissions as an import reads them.
//
//     flags: u8 (1: the files are compressed first), assignments, 0x1e, submissions
#include <string>
#include <vector>

#include "core/csv_import.hpp"
#include "core/csv_reader.hpp"
#include "core/submission_source.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/input_file.hpp"

using namespace larder;
using namespace larder::fuzz;

namespace {

constexpr char kSeparator = '\x1e';

using Records = std::vector<std::vector<std::string>>;

/// All of them; where the file is bad, those before.
Records read(const std::string& path, bool& whole) {
    Records records;
    whole = false;
    try {
        CsvReader reader(path);
        for (std::vector<CsvField> record; reader.next(record);) {
            std::vector<std::string>& fields = records.emplace_back();
            for (const CsvField& field : record) {
                require(field.line >= reader.line(), "a field begins in its record");
                fields.push_back(field.text);
            }
        }
        whole = true;
    } catch (const CsvError& error) {
        require(!error.reason.empty(), "an error has a reason");
    }
    return records;
}

std::string quoted(const std::string& field) {
    std::string text = "\"";
    for (const char c : field) text += c == '"' ? "\"\"" : std::string(1, c);
    return text + '"';
}

std::string written(const Records& records) {
    std::string text;
    for (const std::vector<std::string>& record : records) {
        for (const std::string& field : record) text += (&field == &record.front() ? "" : ",") + quoted(field);
        text += "\r\n";
    }
    return text;
}

/// Nothing where the files were refused.
std::uint64_t import_both(const ImportFiles& files) {
    try {
        const ImportCounts counts = import_csv(":memory:", files);
        return counts.assignments + counts.submissions;
    } catch (const CsvError& error) {
        require(error.file == files.assignments || error.file == files.submissions, "an error names its file");
        return 0;
    } catch (const SourceError& error) {
        require(false, std::string("what passed the checks is taken by the database: ") + error.what());
        return 0;
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static InputFile assignments("assignments.csv"), submissions("submissions.csv"), again("again.csv");
    Bytes input(data, size);
    const bool compressed = (input.byte() & 1) != 0;
    assignments.write(input.take_until(kSeparator), compressed);
    submissions.write(input.rest(), compressed);
    bool whole = false, rest_whole = false;
    const Records records = read(assignments.path(), whole);
    again.write(written(records), false);
    require(read(again.path(), rest_whole) == records && rest_whole, "records are read as they were written");
    const Records more = read(submissions.path(), rest_whole);
    const std::uint64_t rows = import_both({assignments.path(), submissions.path()});
    require(rows == 0 || (whole && rest_whole && rows + 2 == records.size() + more.size()), "every row is imported");
    return 0;
}
