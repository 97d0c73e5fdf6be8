// PostgresDatabase: assignments in a PostgreSQL database, which several hosts share.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/remote_database.hpp"

namespace larder::postgres {

class PostgresDatabase : public Database {
public:
    /// As OpenRemoteDatabase.
    PostgresDatabase(DatabaseUrls urls, std::string views);

    /// By which server and database of it that is, not by the way to it; a replica's is its primary's.
    std::string identity() const override;
    std::unique_ptr<SubmissionSource> open_source() const override;
    std::vector<std::string> findings() const override;
    std::vector<shm::Finding> examine_links(const ToldPosition& told) const override;
    bool announces_publications() const override;
    std::unique_ptr<Relay> open_relay(NoticeSink& sink, Log log) const override;
    std::string file() const override { return {}; }
    std::unique_ptr<ImportWriter> open_import() const override;
    std::string triggers_sql(const std::optional<WatchedTable>& table) const override;
    void install(const std::optional<WatchedTable>& table) const override;

protected:
    const DatabaseUrls& urls() const { return urls_; }
    /// For PostgresRelay::RelayRole; it does not need this object.
    std::function<std::vector<std::string>()> unwatched() const;
    /// Of hosts that relay: see examine_outbox.
    void examine_outbox_links(std::int32_t lock, std::string_view who, const ToldPosition& told,
                              std::vector<shm::Finding>& findings) const;

private:
    const std::string& relay_url() const { return urls_.relay.empty() ? urls_.workers : urls_.relay; }
    void find_rights(std::vector<std::string>& findings) const;
    void find_other_database(std::vector<std::string>& findings) const;

    const DatabaseUrls urls_;
    const std::string views_;
};

}  // namespace larder::postgres
