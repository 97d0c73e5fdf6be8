// OwnSchema: a database of another program, read through views that look like our tables.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace SQLite {
class Database;
}

namespace larder {

/// The statements of a file of `CREATE TEMP VIEW assignments ...; CREATE TEMP VIEW submissions ...;`, whose columns
/// are those of the import format (the ones that are read). The views live in each connection; nothing of the database
/// is changed. Threads: immutable.
class OwnSchema {
public:
    /// Throws SourceError when the file cannot be read.
    static OwnSchema from_file(const std::string& path);
    /// As another process read it.
    static OwnSchema of(std::string path, std::string statements) { return {std::move(path), std::move(statements)}; }

    const std::string& statements() const { return statements_; }

    /// Makes the views in a connection. Throws SourceError, naming the file, on every other statement, and on a view
    /// that is missing; SQLite::Exception where the database cannot be read.
    void apply(SQLite::Database& database) const;

    /// The tables that the views read, also through views of the database, and of which triggers do not write all
    /// changes to the outbox: a sentence each, with what to do. REQUIRES: applied.
    std::vector<std::string> unwatched(SQLite::Database& database) const;

    /// Differs for other statements.
    std::string identity() const;

private:
    OwnSchema(std::string path, std::string statements);
    std::string path_, statements_;
};

}  // namespace larder
