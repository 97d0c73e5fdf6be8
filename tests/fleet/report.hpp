// What a run found, for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "tests/fleet/trial.hpp"

namespace larder::fleet {

/// Lines for a person. The host that something happened to has a star.
void print_heading();
void print_result(const Result& result);

/// Throws std::runtime_error: it cannot be written.
void write_json(const std::string& path, const Settings& settings, const std::vector<Result>& results);

}  // namespace larder::fleet
