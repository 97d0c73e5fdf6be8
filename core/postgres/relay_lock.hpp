// The advisory locks of relays, by their second number: 1279345732, LOCK.
#pragma once

#include <cstdint>
#include <string>

namespace larder::postgres {

/// Of the one that rings for all who read the outbox. Who relays to others takes another, positive number.
inline constexpr std::int32_t outbox_lock = 1;

inline std::string try_relay_lock(std::int32_t lock) {
    return "SELECT pg_try_advisory_lock(1279345732, " + std::to_string(lock) + ")";
}

/// The session that has it, as a row of pg_stat_activity `a`; ends within a WHERE.
inline std::string from_relay_lock_holder(std::int32_t lock) {
    return " FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE locktype = 'advisory' AND classid = 1279345732 "
           "AND granted AND l.database = a.datid AND datname = current_database() AND objid = " +
           std::to_string(lock);
}

}  // namespace larder::postgres
