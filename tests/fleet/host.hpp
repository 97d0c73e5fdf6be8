// One host of the fleet: `larder serve` on a node of its own, with a segment of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/fleet/network.hpp"
#include "tests/fleet/program.hpp"

namespace larder::fleet {

/// What the program can do, and what of it is used: all that a run has to know of it.
struct Abilities {
    std::string program;        ///< the path of `larder`
    bool has_degraded = false;  ///< --degraded-after and --max-stale
    bool has_nats = false;      ///< --nats
    bool has_tier = false;      ///< --fleet-tier
    int degraded_after_ms = 2'000, max_stale_ms = 0;
    bool uses_nats = false, uses_tier = false;

    /// As its help says.
    static Abilities of(const std::string& program);
    /// No answer is older than this, by promise; nullopt: nothing is promised in an outage.
    std::optional<int> bound_ms() const {
        return has_degraded ? std::optional(degraded_after_ms + max_stale_ms) : std::nullopt;
    }
};

class Host {
public:
    static constexpr std::uint16_t port = 8080;  ///< of 127.0.0.1, in its namespace
    static constexpr int workers = 2;

    /// Where it finds the servers.
    struct Servers {
        std::string database, relay_database, nats;
    };

    /// `number`: from 0. Throws std::runtime_error.
    Host(int number, int node, const Abilities& abilities);

    int number() const { return number_; }
    Node& node() { return node_; }
    const Node& node() const { return node_; }
    void set_servers(Servers servers) { servers_ = std::move(servers); }

    /// Returns once both its workers answer, or throws.
    void start();
    void signal(int number) const { supervisor_->signal(number); }
    void kill();
    /// One of them; its supervisor starts another.
    void kill_worker() const;

    /// Values computed since its cache was made.
    std::int64_t computations() const;
    std::string log() const;
    /// As `larder doctor` says.
    bool shares_documents() const;

private:
    void start_without_waiting();
    std::vector<std::string> words() const;

    const int number_;
    const Abilities abilities_;
    Node node_;
    const std::string directory_;
    Servers servers_;
    std::optional<Program> supervisor_;
};

}  // namespace larder::fleet
