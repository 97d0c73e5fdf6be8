// How the outbox of a PostgreSQL database reaches those who relay it, for a doctor.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/database.hpp"

namespace larder::postgres {

class Connection;

/// Who relays by that advisory lock, how much the outbox holds, and whether `who` (`This host`, at the start of a
/// sentence) comes as far as the database is now. `relay`: of a role that relays. Throws SourceError.
void examine_outbox(Connection& relay, std::int32_t lock, std::string_view who, const ToldPosition& told,
                    std::vector<shm::Finding>& findings);

/// Where workers read a replica: how far it is behind. Throws SourceError.
void examine_replica(Connection& workers, Connection& relay, std::vector<shm::Finding>& findings);

}  // namespace larder::postgres
