// The doctor's look at a database, and at the way of its changes to a cache.
#pragma once

#include <vector>

#include "core/database.hpp"
#include "shm/layout.hpp"
#include "tools/database_option.hpp"

namespace larder::tools {

/// What `larder serve` would refuse to start with, and what Database::examine_links finds.
/// `view`: of the cache; null: there is none.
void examine_database(const DatabaseOption& database, const shm::SegmentView* view,
                      std::vector<shm::Finding>& findings);

}  // namespace larder::tools
