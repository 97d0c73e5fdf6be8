// SqliteImport: an import into a SQLite file.
#pragma once

#include <memory>
#include <string>

#include "core/import_writer.hpp"

namespace larder {

/// Makes the file where it is absent.
class SqliteImport final : public ImportWriter {
public:
    explicit SqliteImport(std::string path);
    ~SqliteImport() override;
    void put(const AssignmentRow& row) override;
    void put(const SubmissionRow& row) override;
    std::unordered_set<AssignmentId> known_assignments() override;
    void commit() override;

private:
    struct Transaction;
    const std::string path_;
    std::unique_ptr<Transaction> transaction_;
};

}  // namespace larder
