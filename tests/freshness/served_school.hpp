// A database with one assignment whose version is on its page, and `larder serve` before it.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <string>

#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"

namespace larder::freshness {

class ServedSchool {
public:
    static constexpr std::size_t kWorkers = 2;

    /// Returns once it is served. Throws std::runtime_error.
    ServedSchool();
    /// Ends the service as its user would.
    ~ServedSchool();
    ServedSchool(const ServedSchool&) = delete;
    ServedSchool& operator=(const ServedSchool&) = delete;

    /// Commits the next version, by a change of a submission or of the assignment in turn. Returns the number of its
    /// last row in the outbox.
    std::int64_t commit(std::uint64_t version);
    /// The relay has taken all rows up to that one away, as it does once the cache was told of them.
    bool is_acknowledged(std::int64_t row);

    std::uint16_t port() const { return port_; }

private:
    const test::ScopedDirectory directory_;
    SQLite::Database database_;
    test::LarderCommand service_;
    std::uint16_t port_ = 0;
};

/// Where the page is, and which version it shows.
inline constexpr const char* kPage = "/api/assignments/1/analytics/";
inline constexpr std::uint64_t kNoVersion = ~std::uint64_t{0};
std::uint64_t version_on(const std::string& page);

}  // namespace larder::freshness
