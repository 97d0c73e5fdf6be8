// SqliteDatabase: assignments in a SQLite file of this host.
#pragma once

#include <optional>
#include <string>

#include "core/database.hpp"
#include "core/own_schema.hpp"

namespace larder {

class SqliteDatabase final : public Database {
public:
    /// `url`: as open_source takes it. `schema`: how a database of another program is read. Throws SourceError for what
    /// is not SQLite.
    explicit SqliteDatabase(const std::string& url, std::optional<OwnSchema> schema = std::nullopt);

    /// The canonical absolute path.
    std::string identity() const override;
    std::unique_ptr<SubmissionSource> open_source() const override;
    std::vector<std::string> findings() const override;
    bool announces_publications() const override;
    std::unique_ptr<Relay> open_relay(NoticeSink& sink, Log log) const override;
    std::string file() const override { return path_; }
    std::unique_ptr<ImportWriter> open_import() const override;
    std::string triggers_sql(const std::optional<WatchedTable>& table) const override;
    void install(const std::optional<WatchedTable>& table) const override;

private:
    const OwnSchema* schema() const { return schema_ ? &*schema_ : nullptr; }

    const std::string path_;
    const std::optional<OwnSchema> schema_;
};

}  // namespace larder
