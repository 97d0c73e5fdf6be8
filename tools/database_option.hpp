// DatabaseOption: the database that a verb works on, and how it is read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/own_schema.hpp"
#include "core/submission_source.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace larder::tools {

/// `--db`, and `--schema` where it is another program's. Members throw SourceError. Copies share what was read.
class DatabaseOption {
public:
    DatabaseOption() = default;
    /// As given elsewhere; an empty file: none.
    DatabaseOption(std::string url, std::string schema_file)
        : url_(std::move(url)), schema_file_(std::move(schema_file)) {}

    /// --db is required; returns it.
    CLI::Option* add_to(CLI::App& verb);

    bool is_named() const { return !url_.empty(); }
    const std::string& url() const { return url_; }
    /// Of the SQLite file.
    std::string path() const;
    /// For Options::identity.
    std::string identity() const { return database_identity(url_, schema()); }
    SourceFactory sources() const;
    /// What is in the file of `--schema`; empty: none is named.
    std::string schema_text() const { return schema() == nullptr ? std::string() : schema()->statements(); }
    /// In a worker: as its supervisor read it, whatever has become of the file since.
    void take_schema(std::string text);
    /// Opens it once, and returns what would keep changes from being told, a sentence each, with what to do.
    std::vector<std::string> findings() const;
    /// Throws Refusal where there are findings, after each was announced on a line of its own.
    void check() const;
    /// Throws Refusal where nothing says what is published: in a database of another program without such a trigger.
    void check_publications() const;

private:
    /// Null: the tables are ours.
    const OwnSchema* schema() const;

    std::string url_, schema_file_;
    mutable std::shared_ptr<const OwnSchema> schema_;
};

}  // namespace larder::tools
