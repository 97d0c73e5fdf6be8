// PostgresSource: assignments and submissions from a PostgreSQL database.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>

#include "core/submission_source.hpp"

namespace larder::postgres {

class Connection;
class Rows;
class Value;

/// One connection, which never writes. Opening throws SourceError when the server cannot be reached within `patience`,
/// or has neither our tables nor, with `views`, what they read; so does a read that takes longer.
class PostgresSource final : public SubmissionSource {
public:
    static constexpr std::chrono::milliseconds patience{5'000};

    /// `views`: CREATE TEMP VIEW statements, by which another program's database is read; empty: the tables are ours.
    explicit PostgresSource(const std::string& url, const std::string& views = {});
    ~PostgresSource() override;

    std::uint64_t position() override;
    std::optional<AssignmentRecord> load(AssignmentId id) override;
    std::optional<Ownership> ownership(AssignmentId id) override;
    std::vector<AssignmentId> recent_of_author(UserId author_id, int limit) override;
    std::vector<AssignmentId> all_ids() override;
    std::vector<AssignmentId> active_since(Timestamp time) override;
    bool is_current() const override;

private:
    Rows ask(const char* prepared, std::initializer_list<Value> values = {});

    std::unique_ptr<Connection> connection_;
    const bool has_views_;
    bool is_replica_ = false;
    bool is_outdated_ = false;  // its views read tables that have other names by now
};

}  // namespace larder::postgres
