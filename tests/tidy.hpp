// The house rules that a machine can check, as a function over one file's path and text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace larder::tidy {

struct Finding {
    std::string path;
    std::size_t line = 0;  ///< from 1; 0: the file as a whole
    std::string rule;
    std::string what;
};

/// Where a rule does not hold, and why.
struct Allowance {
    std::string_view path;
    std::string_view rule;
    std::string_view reason;
};

/// All of them; a short list.
const std::vector<Allowance>& allowances();

/// Every breach of a rule in the file that is `path` below the checkout ("shm/cache.hpp"), allowed or not.
std::vector<Finding> inspect(std::string_view path, std::string_view text);

bool is_allowed(const Finding& finding);

/// What inspect finds, less what is allowed.
std::vector<Finding> check(std::string_view path, std::string_view text);

}  // namespace larder::tidy
