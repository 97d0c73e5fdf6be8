// SqliteSource: assignments and submissions from a SQLite database.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/submission_source.hpp"

namespace larder {

/// One connection of its own, which never writes. Opening throws SourceError when the file is missing or has neither
/// our tables nor, with a `schema`, what its views read. Reading waits at most busy_timeout_ms for a lock, which in WAL
/// mode only recovery and shutdown take.
class SqliteSource final : public SubmissionSource {
public:
    static constexpr int busy_timeout_ms = 1'000;

    explicit SqliteSource(const std::string& path, const OwnSchema* schema = nullptr);
    ~SqliteSource() override;

    std::optional<AssignmentRecord> load(AssignmentId id) override;
    std::optional<Ownership> ownership(AssignmentId id) override;
    std::vector<AssignmentId> recent_of_author(UserId author_id, int limit) override;
    std::vector<AssignmentId> all_ids() override;
    std::vector<AssignmentId> active_since(Timestamp time) override;
    bool is_current() const override;

private:
    struct Connection;
    std::unique_ptr<Connection> connection_;
};

/// The path that a URL of open_source names. Throws SourceError for what is not SQLite.
std::string sqlite_path(const std::string& url);

/// For Options::identity: the canonical absolute path, and how it is read. Throws SourceError.
std::string database_identity(const std::string& url, const OwnSchema* schema = nullptr);

/// The changes of which tables nobody would be told, and what a service lacks in a database of another program: a
/// sentence each, with what to do. Throws SourceError.
std::vector<std::string> unwatched_tables(const std::string& url, const OwnSchema& schema);

/// Some trigger of the database writes to the outbox what is published. Throws SourceError.
bool announces_publications(const std::string& url);

}  // namespace larder
