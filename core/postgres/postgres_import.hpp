// PostgresImport: an import into a PostgreSQL database.
#pragma once

#include <memory>
#include <string>

#include "core/import_writer.hpp"

namespace larder::postgres {

class Connection;

/// Makes schema and tables where they are absent, which takes a role that may. Rows go by COPY into temporary tables;
/// the commit puts them in their places.
class PostgresImport final : public ImportWriter {
public:
    static constexpr std::chrono::milliseconds patience{600'000};  ///< for the commit's statements

    explicit PostgresImport(const std::string& url);
    ~PostgresImport() override;
    void put(const AssignmentRow& row) override;
    void put(const SubmissionRow& row) override;
    std::unordered_set<AssignmentId> known_assignments() override;
    void commit() override;

private:
    enum class Copying : std::uint8_t { nothing, assignments, submissions };
    void copy_into(Copying table);
    void flush(std::size_t above);

    std::unique_ptr<Connection> connection_;
    Copying copying_ = Copying::nothing;
    std::string lines_;
};

/// Makes what is absent, triggers and grants too, or brings an older version up to date, in one transaction; another
/// program's schema of that name is refused. Throws SourceError.
void create_schema(Connection& connection);

}  // namespace larder::postgres
