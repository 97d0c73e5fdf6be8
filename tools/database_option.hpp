// DatabaseOption: the database that a verb works on, and how it is read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/assignment_stats_cache.hpp"
#include "core/database.hpp"
#include "core/own_schema.hpp"
#include "core/remote_database.hpp"
#include "tools/open_database.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace larder::tools {

/// `--db`, how its changes are followed over a network, and `--schema` where it is another program's. Members throw
/// SourceError. Copies share what was read.
class DatabaseOption {
public:
    DatabaseOption() = default;
    /// As given elsewhere; what is empty: none.
    DatabaseOption(DatabaseUrls urls, std::string schema_file)
        : urls_(std::move(urls)), schema_file_(std::move(schema_file)) {}

    /// --db is required; returns it.
    CLI::Option* add_to(CLI::App& verb);

    /// Throws where none is, but how it is followed.
    bool is_named() const;
    /// A network lies between.
    bool is_remote() const { return is_remote_url(urls_.workers); }
    /// Without a password.
    std::string name() const;
    std::shared_ptr<const Database> database() const;
    /// For Options::identity.
    std::string identity() const { return database()->identity(); }
    SourceFactory sources() const;
    /// Gives documents what they need of the database: where the hosts of a fleet share them, and how many sources a
    /// process may have open; its log is set before. `identity`: as it was last known; nothing is asked of the
    /// database.
    void serve(StatsCacheOptions& documents, const std::string& identity) const;
    /// What is in the file of `--schema`; empty: none is named.
    std::string schema_text() const;
    /// In a worker: as its supervisor read it, whatever has become of the file since.
    void take_schema(std::string text);
    /// Throws Refusal where there are findings, after each was announced on a line of its own.
    void check() const;
    /// Throws Refusal where nothing says what is published: in a database of another program without such a trigger.
    void check_publications() const;

private:
    /// nullopt: the tables are ours.
    const std::optional<OwnSchema>& schema() const;

    DatabaseUrls urls_;
    std::string schema_file_, fleet_tier_;
    mutable std::optional<OwnSchema> schema_;
    mutable std::shared_ptr<const Database> database_;
};

}  // namespace larder::tools
