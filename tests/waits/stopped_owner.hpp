// A writer that is stopped inside its section, and what others of the host can do meanwhile.
#pragma once

#include <cstdint>
#include <vector>

namespace larder::waits {

struct StoppedOwnerReport {
    std::uint64_t rounds = 0;           // in which the writer was stopped inside a section
    std::vector<std::int64_t> gets_ns;  // hits on its shard
    std::vector<std::int64_t> puts_ns;  // refused as busy, on its shard
    std::vector<std::int64_t> notices_ns;
    std::vector<std::int64_t> elsewhere_ns;        // puts on another shard
    std::uint64_t missed = 0;                      // lookups of a live entry on its shard that were no hits
    std::uint64_t slow_gets = 0, slow_rounds = 0;  // lookups that took over 5 ms, and rounds that had one
    std::uint64_t blocked = 0;                     // puts and notices that took over a second
    std::uint64_t astonishing = 0;                 // puts whose result was another one

    /// Lookups that waited for the writer: the slow ones, where chance alone does not explain them.
    std::uint64_t waited() const;
};

/// Stops a writer so many times. Throws std::runtime_error when it is never met inside a section.
StoppedOwnerReport stop_owners(std::uint64_t rounds);

}  // namespace larder::waits
