// Where databases over a network are opened: in a module that a program loads when one is named, so that nobody else
// needs what it is linked with. core/fleet/module.cpp defines the functions, tools/open_database.cpp finds them.
#pragma once

#include <string>

#include "core/database.hpp"

namespace larder {

/// A password in a URL is part of no message; PostgreSQL's own files and variables (.pgpass, PGPASSWORD) serve as well.
struct DatabaseUrls {
    std::string workers;  ///< of a role that reads
    std::string relay{};  ///< of one that reads the outbox, too; empty: the same
    /// NATS servers, through which the hosts of a fleet are told: `nats://HOST:PORT,...`; empty: each host reads the
    /// outbox. Then hosts without a `relay` only listen.
    std::string nats{};
    std::string nats_credentials{};  ///< a file; empty: none
    std::string nats_ca{};           ///< a file: who signs the servers' certificates; empty: whom the system trusts
    bool shares_documents = false;   ///< the servers keep finished documents for all hosts
};

/// `views`: CREATE TEMP VIEW statements, by which another program's database is read; empty: the tables are ours. Never
/// null. Throws SourceError.
using OpenRemoteDatabase = Database*(const DatabaseUrls& urls, const std::string& views);
inline constexpr const char* open_remote_database_name = "larder_open_remote_database";

/// The version of the program that the module was built with: no other may load it.
using RemoteModuleVersion = const char*();
inline constexpr const char* remote_module_version_name = "larder_remote_module_version";

}  // namespace larder
