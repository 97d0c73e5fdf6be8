// The doctor's look at a database, and at the way of its changes to a cache.
#pragma once

#include <optional>
#include <vector>

#include "core/database.hpp"
#include "shm/layout.hpp"
#include "tools/database_option.hpp"

namespace larder::tools {

/// How far the cache's listener has been told, by the cache's own entry; only loads.
std::optional<OutboxPosition> position_of(const shm::SegmentView& view);

/// What `larder serve` would refuse to start with, and what Database::examine_links finds.
void examine_database(const DatabaseOption& database, const ToldPosition& told, std::vector<shm::Finding>& findings);

}  // namespace larder::tools
