#include "core/fleet/fleet_database.hpp"

#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "core/fleet/fleet_relay.hpp"
#include "core/fleet/shared_tier.hpp"
#include "core/nats/key_value_tier.hpp"
#include "core/nats/stream_links.hpp"

namespace larder::fleet {
namespace {

constexpr std::chrono::seconds doctor_patience{5}, tier_patience{2};

}  // namespace

nats::ConnectionOptions FleetDatabase::servers() const {
    return {.url = urls().nats, .credentials_file = urls().nats_credentials, .ca_file = urls().nats_ca};
}

std::vector<std::string> FleetDatabase::findings() const {
    std::vector<std::string> findings = PostgresDatabase::findings();
    for (const std::string& file : {urls().nats_credentials, urls().nats_ca})
        if (!file.empty() && ::access(file.c_str(), R_OK) != 0)
            findings.push_back("the file " + file +
                               " (--nats-credentials, --nats-ca) cannot be read: check its path and mode");
    return findings;
}

std::vector<shm::Finding> FleetDatabase::examine_links(const ToldPosition& told) const {
    std::vector<shm::Finding> findings;
    std::unique_ptr<nats::Connection> connection;
    std::string database;
    const auto published = [&]() -> std::optional<OutboxPosition> {
        try {
            return nats::published_position(*connection, nats::StreamNames(database));
        } catch (const SourceError&) {
            return std::nullopt;  // said of the stream
        }
    };
    try {
        nats::ConnectionOptions options = servers();
        options.patience = doctor_patience;
        database = identity();
        connection = std::make_unique<nats::Connection>(options);
        nats::examine_stream(*connection, database, told, findings);
    } catch (const SourceError& error) {
        findings.push_back({"stream_unreachable", shm::Severity::error,
                            std::string("The stream cannot be examined: ") + error.what() + ".",
                            "See that the servers run, and that this host reaches them."});
    }
    if (!urls().relay.empty())
        examine_outbox_links(stream_lock(database), "The stream", connection == nullptr ? ToldPosition() : published,
                             findings);
    if (urls().shares_documents && connection != nullptr) examine_tier(database, findings);
    return findings;
}

void FleetDatabase::examine_tier(const std::string& database, std::vector<shm::Finding>& findings) const {
    nats::ConnectionOptions options = servers();
    options.patience = tier_patience;
    nats::KeyValueTier tier(options, database);
    if (!tier.is_usable())
        findings.push_back(
            {"tier_unusable", shm::Severity::warning,
             "Documents are not shared, each host computes its own: " + tier.error() + ".",
             "The log of the host that relays says whether it could make the place for them: servers need "
             "room in memory (max_memory_store: 256 MiB for each database and views), users larder-lease.> "
             "and $KV.>."});
}

std::unique_ptr<Relay> FleetDatabase::open_relay(NoticeSink& sink, Log log) const {
    FleetRelayOptions options{.nats = servers(),
                              .database = identity(),
                              .relay_url = urls().relay,
                              .shares_documents = urls().shares_documents,
                              .unwatched = unwatched()};
    return std::make_unique<FleetRelay>(std::move(options), sink, std::move(log));
}

std::unique_ptr<DocumentTier> FleetDatabase::open_tier(const std::string& identity, Log log) const {
    if (!urls().shares_documents) return nullptr;
    return std::make_unique<SharedTier>(std::make_unique<nats::KeyValueTier>(servers(), identity), std::move(log));
}

}  // namespace larder::fleet
