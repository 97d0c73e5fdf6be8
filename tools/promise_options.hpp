// PromiseOptions: how old a document may be at most, whatever fails between this host and its database.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include "shm/cache.hpp"
#include "tools/database_option.hpp"
#include "tools/document_options.hpp"

namespace CLI {
class App;
}

namespace larder::tools {

/// --degraded-after and --max-stale. They are the cache's, and who follows the database for it gives them.
class PromiseOptions {
public:
    void add_to(CLI::App& verb);
    /// Into `cache`, where there is a database that is followed over a network; else there is no promise. Throws
    /// UsageError.
    void apply(const DatabaseOption& database, Options& cache) const;

    /// The same of texts that are somewhere else.
    static void apply(const SettingText& text_of, const DatabaseOption& database, Options& cache);

private:
    std::array<std::string, 2> texts_;  // in the order of the names in the source
};

/// A second or more. Throws std::invalid_argument.
std::chrono::milliseconds parse_degraded_after(std::string_view text);

}  // namespace larder::tools
