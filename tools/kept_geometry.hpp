// What a cache that is there keeps from its making, though the command line asks for another.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shm/layout.hpp"
#include "tools/options.hpp"

namespace larder::tools {

/// The geometry's rows whose flags were given on the command line; a variable is meant for new caches alone.
std::vector<std::string_view> flags_given(const CLI::App& verb);

/// `cache NAME is there and keeps --size 16.0MiB, --shards 1; ...`: of these rows' options. Empty: it is as asked. Says
/// nothing of the rows that are only estimates of what will be stored.
std::string kept_warning(const std::vector<std::string_view>& rows, const Options& asked, const shm::Geometry& kept);

}  // namespace larder::tools
