// Fills: what a host does that finds no document: it computes, or takes what another host of the fleet has computed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "bench/fleet_sim/costs.hpp"
#include "bench/fleet_sim/engine.hpp"
#include "bench/fleet_sim/nats_cluster.hpp"
#include "bench/fleet_sim/notices.hpp"
#include "bench/fleet_sim/random.hpp"
#include "bench/fleet_sim/scenario.hpp"
#include "bench/fleet_sim/views.hpp"

namespace larder::bench::sim {

/// Since the last call of begin_measuring.
struct FillCounts {
    std::uint64_t computations = 0;   ///< ended at the database
    std::uint64_t after_changes = 0;  ///< of them those that a change was the reason of; the others: times to live
    std::uint64_t taken = 0;          ///< from the second tier
    std::uint64_t refused = 0;        ///< an engine's queue was full: the view was an error
    Delays lasted;                    ///< of each fill, from the view that began it
};

/// With the second tier: 1. get the document from the server that the host is connected to; take it unless it is over
/// or a change is known here that it has not seen. 2. Else create the lease; whoever has it looks again, at the
/// leader's, computes, stores and gives the lease up. 3. Whoever has not waits and begins again. Either way a document
/// that a known change has overtaken is not kept.
class Fills {
public:
    Fills(const Scenario& scenario, const Costs& costs, EventQueue& queue, Random& random, const Changes& changes,
          const Notices& notices, Engine& database, NatsCluster& nats, Views& views);

    /// The second tier's documents at the beginning: when computed, by assignment.
    void start(const std::vector<float>& computed_at_s);
    const FillCounts& counts() const { return counts_; }
    void begin_measuring() { counts_ = {}; }

private:
    struct Fill {
        std::uint32_t assignment = 0, host = 0;
        Position seen = 0;
        double began_at_s = 0;
        std::uint64_t token = 0;  ///< no other fill has it
        bool is_after_change = false;
    };
    struct Document {
        Position seen = 0;
        float computed_at_s = Holding::never;
    };
    struct Lease {
        std::uint64_t holder = 0;  ///< its token; 0: nobody
        double ends_at_s = 0;
    };

    void begin(std::uint32_t assignment, const Holding& before);
    void get(std::uint32_t number);
    void take_or(std::uint32_t number, void (Fills::*otherwise)(std::uint32_t));
    void create_lease(std::uint32_t number);
    void look_again(std::uint32_t number);
    void compute(std::uint32_t number);
    void use_session(std::uint32_t number);
    void free_session(std::uint32_t host);
    void computed(std::uint32_t number);
    void store(const Fill& fill, float computed_at_s);
    void put(const Fill& fill, float computed_at_s);
    void give_up(std::uint32_t assignment, std::uint64_t token);
    void end(std::uint32_t number, const Holding& holding);
    void refuse(std::uint32_t number);
    /// A host's sessions at the database, and who waits for one.
    struct Sessions {
        int used = 0;
        std::deque<std::uint32_t> waiting;
    };
    static constexpr std::size_t most_waiting = 100;
    double now_s() const { return queue_.now_s(); }

    const Scenario& scenario_;
    const Costs& costs_;
    EventQueue& queue_;
    Random& random_;
    const Changes& changes_;
    const Notices& notices_;
    Engine& database_;
    NatsCluster& nats_;
    Views& views_;
    std::vector<Fill> fills_;
    std::vector<std::uint32_t> free_;
    std::vector<Document> documents_;  // by assignment, as are leases
    std::vector<Lease> leases_;
    std::vector<Sessions> sessions_;  // by host
    std::uint64_t tokens_ = 0;
    FillCounts counts_;
};

}  // namespace larder::bench::sim
