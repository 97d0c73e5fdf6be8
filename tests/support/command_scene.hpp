// A cache that the test has open, and the program beside it.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shm_fixture.hpp"

namespace larder::test {

struct CommandScene {
    ScopedDirectory directory;
    Cache cache = Cache::open(small_options(directory.path(), "default"));

    CommandResult run(const std::vector<std::string>& arguments, const std::string& input = {}) const {
        return run_larder(directory.path(), arguments, input);
    }
    boost::json::value line_of(const std::string& key) const { return run({"get", key, "--json"}).json(); }
};

}  // namespace larder::test
