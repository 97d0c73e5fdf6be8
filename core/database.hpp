// Database: where assignments are kept, of whatever kind.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/change_triggers.hpp"
#include "core/document_tier.hpp"
#include "core/import_writer.hpp"
#include "core/log.hpp"
#include "core/notice_sink.hpp"
#include "core/relay.hpp"
#include "core/submission_source.hpp"
#include "shm/finding.hpp"

namespace larder {

/// How far a host has been told by now; nullopt: not known.
using ToldPosition = std::function<std::optional<OutboxPosition>()>;

/// Every member throws SourceError. Holds no connection between two calls. Threads: immutable. Fork: safe.
class Database {
public:
    Database() = default;
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    virtual ~Database() = default;

    /// A name that two ways to reach one database share, and how it is read: for Options::identity.
    virtual std::string identity() const = 0;
    virtual std::unique_ptr<SubmissionSource> open_source() const = 0;

    /// What would keep changes from being told, a sentence each, with what to do; a database that cannot be read at all
    /// throws.
    virtual std::vector<std::string> findings() const = 0;
    /// What is known of the way from this database to a host: who relays, how far behind that and the host are, and
    /// servers between them; what is well as facts. Empty `told`: there is no host to ask. Takes two
    /// seconds at most for each thing that is not as it should be, and does not throw: what cannot be reached is a
    /// finding. Changes nothing, but that where documents are shared it shares one that nobody asks for.
    virtual std::vector<shm::Finding> examine_links(const ToldPosition& told) const {
        static_cast<void>(told);
        return {};
    }
    /// Something writes to the outbox what is published.
    virtual bool announces_publications() const = 0;

    /// The sink outlives the relay.
    virtual std::unique_ptr<Relay> open_relay(NoticeSink& sink, Log log) const = 0;
    /// The SQLite file; empty: a network lies between, and what is followed may fall silent while it goes on changing.
    virtual std::string file() const = 0;
    bool is_remote() const { return file().empty(); }
    /// That one process should have open, for StatsCacheOptions: over a network each is a process of the server.
    std::size_t most_sources() const { return is_remote() ? 4 : 0; }

    /// Where the hosts of a fleet share finished documents; null: nowhere. Connects when it is used; `log` is told when
    /// it cannot be. `identity`: this database's, as it was last known. Threads: safe.
    virtual std::unique_ptr<DocumentTier> open_tier(const std::string& identity, Log log) const {
        static_cast<void>(identity);
        static_cast<void>(log);
        return nullptr;
    }

    /// Makes the tables where they are absent.
    virtual std::unique_ptr<ImportWriter> open_import() const = 0;
    /// The statements that make a table of another program write its changes to the outbox, and what a service needs
    /// besides where that is absent; none: only the latter.
    virtual std::string triggers_sql(const std::optional<WatchedTable>& table) const = 0;
    /// Runs them, all or none.
    virtual void install(const std::optional<WatchedTable>& table) const = 0;
};

/// Tells everything that is in the outbox now; for programs that find no listener. Returns the rows told. Throws
/// SourceError.
int relay_once(const Database& database, NoticeSink& sink, const Log& log);

}  // namespace larder
