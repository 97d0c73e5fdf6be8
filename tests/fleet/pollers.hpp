// Who looks at a host's pages, from inside its namespace: no fault of the network comes between.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "tests/fleet/host.hpp"
#include "tests/fleet/observation.hpp"

namespace larder::fleet {

class Pollers {
public:
    static constexpr int a_host = 4;

    /// They begin: each asks for the pages of assignments 1 ... `assignments` in turn, with a pause after each. Four on
    /// each host; a connection lasts for some requests, so that each of them meets both workers. A page that has not
    /// come in 250 ms is not waited for, and left out for 2 s.
    Pollers(const std::vector<std::unique_ptr<Host>>& hosts, std::uint32_t assignments, int pause_us);
    ~Pollers();
    Pollers(const Pollers&) = delete;
    Pollers& operator=(const Pollers&) = delete;

    /// Ends them. The answers of the host n at [n].
    std::vector<std::vector<Answer>> finish();

private:
    void poll(const Host& host, std::uint32_t first, std::vector<Answer>& answers);

    const std::uint32_t assignments_;
    const int pause_us_;
    std::atomic<bool> stopped_{false};
    std::vector<std::vector<Answer>> answers_;  // of each thread
    std::vector<std::thread> threads_;
};

/// Asks every host for each page until each shows its last version. Of each host: how many pages did not within
/// `patience_ms`, and how long it took.
struct Settling {
    std::size_t missed = 0;
    double took_ms = 0;
    std::uint32_t first_missed = 0;  ///< an assignment; 0: none
};
std::vector<Settling> settle(const std::vector<std::unique_ptr<Host>>& hosts, const Ledger& ledger, int patience_ms);

}  // namespace larder::fleet
