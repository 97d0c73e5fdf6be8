// Import: assignments and submissions from CSV files into a database.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/csv_reader.hpp"
#include "core/import_writer.hpp"

namespace larder {

struct ImportProgress {
    std::string file;
    std::uint64_t rows = 0;  ///< of this file
    std::uint64_t bytes_read = 0, bytes_total = 0;
};

struct ImportFiles {
    std::string assignments;  ///< empty: none
    std::string submissions;  ///< empty: none; plain or gzip, as the other
};

/// Rows of the tables that come from the files: an id that is there twice counts once.
struct ImportCounts {
    std::uint64_t assignments = 0, submissions = 0;
};

using ImportProgressFunction = std::function<void(const ImportProgress&)>;

/// Puts the rows of both files into the writer, all or none. Throws CsvError naming file, line and column at the first
/// bad row, SourceError when the database cannot be written: nothing is imported then. `progress` is called every few
/// thousand rows and at the end of each file.
ImportCounts import_csv(ImportWriter& writer, const ImportFiles& files, const ImportProgressFunction& progress = {});

/// The same into a SQLite file, which is made where it is absent.
ImportCounts import_csv(const std::string& database_path, const ImportFiles& files,
                        const ImportProgressFunction& progress = {});

}  // namespace larder
