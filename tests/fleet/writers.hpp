// Who changes the school: threads, each with assignments of its own, whose versions go up by one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/postgres/connection.hpp"
#include "tests/fleet/database.hpp"
#include "tests/fleet/observation.hpp"

namespace larder::fleet {

/// Times are chosen at random, evenly from 0 to the most.
struct Pace {
    int writers = 8;
    int most_pause_ms = 200;   ///< between two transactions of a writer
    int most_commit_ms = 10;   ///< between a transaction's change and its COMMIT
    std::uint32_t rounds = 0;  ///< so many versions of each assignment, and then no more; 0: until stopped
    bool is_careless = false;  ///< no trigger tells of what happens to assignment 1
};

class Writers {
public:
    /// They begin. Where the database is away, or ends a session, they find out what became of their last version and
    /// go on. Only they append to the ledger, which may be read once they have ended.
    Writers(const Database& database, Ledger& ledger, Pace pace, std::uint64_t seed);
    ~Writers();
    Writers(const Writers&) = delete;
    Writers& operator=(const Writers&) = delete;

    void stop() { stopped_ = true; }
    /// Waits for their end. Throws std::runtime_error: one of them could not go on.
    void finish();

private:
    struct Writer;
    void write(std::size_t number);
    bool commit(Writer& writer, std::uint32_t assignment);
    bool reconnect(Writer& writer);
    void pause(Writer& writer, int most_ms);

    const Database& database_;
    Ledger& ledger_;
    const Pace pace_;
    const std::uint64_t seed_;
    std::atomic<bool> stopped_{false};
    std::atomic<int> lost_{0};
    std::vector<std::thread> threads_;
};

}  // namespace larder::fleet
