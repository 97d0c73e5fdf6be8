// How a stream of notices reaches a host, for a doctor.
#pragma once

#include <string_view>
#include <vector>

#include "core/database.hpp"
#include "core/nats/connection.hpp"

namespace larder::nats {

/// Whether the stream is there and whole on its servers, somebody who relays answers, and this host comes as far as the
/// stream is now. `database`: see StreamNames. Throws SourceError.
void examine_stream(const Connection& connection, std::string_view database, const ToldPosition& told,
                    std::vector<shm::Finding>& findings);

}  // namespace larder::nats
