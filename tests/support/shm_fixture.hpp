// What tests of the segment begin with: options of a small cache in a directory of the test's own, and its first use.
#pragma once

#include <string>

#include "shm/cache.hpp"
#include "shm/location.hpp"
#include "tests/support/scoped_directory.hpp"

namespace larder::test {

/// The smallest cache with one shard, about 8 MiB.
inline Options small_options(const std::string& directory, const std::string& name = "test") {
    Options options;
    options.name = name;
    options.directory = directory;
    options.size_bytes = 10ULL << 20;
    options.shards = 1;
    options.tracked_keys = 64;
    return options;
}

inline shm::Location location_of(const ScopedDirectory& directory, const std::string& name = "test") {
    return shm::locate(directory.path(), name, true);
}

/// What is put is there.
inline bool works(const Cache& opened) {
    Cache cache = opened;
    return cache.put("key", "value") == PutResult::stored && cache.get("key").value() == "value";
}

/// The stage at which `function` was refused, "" when it was not.
template <class Function>
std::string refused_at(Function&& function) {
    try {
        function();
    } catch (const OpenError& error) {
        return error.stage;
    }
    return {};
}

}  // namespace larder::test
