// The schema of a PostgreSQL database, as the versions of its SQL that follow each other: core/postgres/sql/N.sql.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder::postgres {

inline constexpr std::int64_t schema_version = 1;

/// What makes version `version` of the one before; 0: of nothing. REQUIRES: from 0 to schema_version.
std::string_view schema_sql(std::int64_t version);

/// What belongs to every version, and may have got lost, or could not be had before: core/postgres/sql/repeated.sql.
std::string_view repeated_sql();

}  // namespace larder::postgres
