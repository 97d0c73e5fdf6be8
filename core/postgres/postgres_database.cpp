#include "core/postgres/postgres_database.hpp"

#include <utility>

#include "core/postgres/connection.hpp"
#include "core/postgres/foreign_schema.hpp"
#include "core/postgres/outbox_links.hpp"
#include "core/postgres/postgres_import.hpp"
#include "core/postgres/postgres_relay.hpp"
#include "core/postgres/postgres_source.hpp"
#include "core/postgres/schema_sql.hpp"

namespace larder::postgres {
namespace {

constexpr std::chrono::milliseconds patience{5'000};
constexpr std::chrono::minutes install_patience{10};  // for the locks of tables in use

constexpr const char* select_identity =
    "SELECT 'postgresql ' || (SELECT system_identifier FROM pg_control_system()) || '/' || "
    "(SELECT oid FROM pg_database WHERE datname = current_database())";
constexpr const char* select_place =
    "SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT oid FROM pg_database WHERE datname = "
    "current_database()), CASE WHEN pg_is_in_recovery() THEN '' ELSE "
    "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END";
constexpr const char* select_rights =
    "SELECT to_regclass('larder.outbox') IS NOT NULL, coalesce(has_schema_privilege(to_regnamespace('larder'), "
    "'USAGE'), "
    "false) AND coalesce(has_table_privilege(to_regclass('larder.outbox'), 'SELECT') AND "
    "has_table_privilege(to_regclass('larder.outbox'), 'DELETE') AND "
    "has_table_privilege(to_regclass('larder.outbox_state'), 'SELECT') AND "
    "has_table_privilege(to_regclass('larder.outbox_state'), 'UPDATE'), false), current_user";

Connection connected(const std::string& url, std::chrono::milliseconds longest = patience) {
    return Connection({.url = url, .name = "larder", .must_write = false, .patience = longest});
}

/// Which database of which server, and which of its histories where it writes.
std::pair<std::string, std::string> place_of(Connection& connection) {
    const Rows place = connection.run(select_place);
    return {std::string(place.text(0, 0)), std::string(place.text(0, 1))};
}

/// Of a replica's catalogs nobody knows whether they are the present ones; views are made where workers read.
std::vector<std::string> unwatched_of(const DatabaseUrls& urls, const std::string& views,
                                      std::chrono::milliseconds longest = patience) {
    Connection reader = connected(views.empty() && !urls.relay.empty() ? urls.relay : urls.workers, longest);
    if (!views.empty()) apply_views(reader, views);
    return unwatched_tables(reader, views.empty());
}

}  // namespace

PostgresDatabase::PostgresDatabase(DatabaseUrls urls, std::string views)
    : urls_(std::move(urls)), views_(std::move(views)) {}

std::string PostgresDatabase::identity() const {
    Connection connection = connected(urls_.workers);
    std::string identity(connection.run(select_identity).text(0, 0));
    if (views_.empty()) return identity;
    connection.prepare("hash", "SELECT md5($1::text)");
    return identity + " by views " + std::string(connection.ask("hash", {views_}).text(0, 0));
}

std::unique_ptr<SubmissionSource> PostgresDatabase::open_source() const {
    return std::make_unique<PostgresSource>(urls_.workers, views_);
}

/// What is told must be told of what is read.
void PostgresDatabase::find_other_database(std::vector<std::string>& findings) const {
    if (urls_.relay.empty()) return;
    Connection workers = connected(urls_.workers), relay = connected(urls_.relay);
    const auto [its_database, its_history] = place_of(workers);
    const auto [told_database, told_history] = place_of(relay);
    const bool is_old = !its_history.empty() && !told_history.empty() && its_history != told_history;
    if (its_database != told_database || is_old)
        findings.push_back(
            workers.server() + " (--db) and " + relay.server() + " (--relay-db) are not " +
            (is_old ? "the same any more: one goes on by itself since a fail-over" : "the same database") +
            ", so that nobody would be told of what changes: name the same, or a replica of it by --db");
}

/// Of the role that relays.
void PostgresDatabase::find_rights(std::vector<std::string>& findings) const {
    Connection connection = connected(relay_url());
    const Rows rights = connection.run(select_rights);
    if (!rights.flag(0, 0))
        findings.push_back("the database " + connection.server() +
                           " has no outbox: run `larder triggers --db URL --install` as a role that may make a schema");
    else if (!rights.flag(0, 1))
        findings.push_back("the role " + std::string(rights.text(0, 2)) +
                           " may not relay the outbox: GRANT larder_relay to it, or name another by --relay-db");
}

std::function<std::vector<std::string>()> PostgresDatabase::unwatched() const {
    return [urls = urls_, views = views_] { return unwatched_of(urls, views, PostgresRelay::patience); };
}

std::vector<std::string> PostgresDatabase::findings() const {
    open_source()->load(0);  // whoever may not read is told at once
    std::vector<std::string> findings;
    const bool only_listens = !urls_.nats.empty() && urls_.relay.empty();
    if (!only_listens) find_rights(findings);
    find_other_database(findings);
    for (std::string& finding : unwatched_of(urls_, views_)) findings.push_back(std::move(finding));
    return findings;
}

void PostgresDatabase::examine_outbox_links(std::int32_t lock, std::string_view who, const ToldPosition& told,
                                            std::vector<shm::Finding>& findings) const {
    try {
        Connection relay({.url = relay_url(), .name = "larder doctor", .must_write = true, .patience = patience});
        examine_outbox(relay, lock, who, told, findings);
        if (urls_.relay.empty()) return;
        Connection workers = connected(urls_.workers);
        examine_replica(workers, relay, findings);
    } catch (const SourceError& error) {
        findings.push_back({"outbox_unreachable", shm::Severity::error,
                            std::string("The outbox cannot be examined: ") + error.what() + ".",
                            "See that the server runs, and that this host reaches it as the relay's role."});
    }
}

std::vector<shm::Finding> PostgresDatabase::examine_links(const ToldPosition& told) const {
    std::vector<shm::Finding> findings;
    examine_outbox_links(outbox_lock, "This host", told, findings);
    return findings;
}

bool PostgresDatabase::announces_publications() const {
    if (views_.empty()) return true;
    Connection connection = connected(urls_.workers);
    return postgres::announces_publications(connection);
}

std::unique_ptr<Relay> PostgresDatabase::open_relay(NoticeSink& sink, Log log) const {
    return std::make_unique<PostgresRelay>(relay_url(), sink, std::move(log),
                                           PostgresRelay::RelayRole{.unwatched = unwatched()});
}

std::unique_ptr<ImportWriter> PostgresDatabase::open_import() const {
    return std::make_unique<PostgresImport>(urls_.workers);
}

std::string PostgresDatabase::triggers_sql(const std::optional<WatchedTable>& table) const {
    Connection connection = connected(urls_.workers);
    if (table) return change_triggers_sql(connection, *table);
    std::string sql;
    for (std::int64_t version = 0; version <= schema_version; ++version) sql += schema_sql(version);
    return sql + std::string(repeated_sql()) +
           "UPDATE larder.schema_version SET version = " + std::to_string(schema_version) + ";\n";
}

void PostgresDatabase::install(const std::optional<WatchedTable>& table) const {
    Connection connection = connected(urls_.workers, install_patience);
    create_schema(connection);
    if (table) connection.run(change_triggers_sql(connection, *table));
}

}  // namespace larder::postgres
