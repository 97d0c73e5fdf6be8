// Reader: everything that a process may do with a damaged segment without writing a value, and a look at what it gets.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "shm/cache.hpp"
#include "tests/damage/specimen.hpp"

namespace larder::damage {

struct Tally {
    std::uint64_t hits = 0, misses = 0;
    std::uint64_t wrong_bytes = 0;  // of a live value: not those that were put, and not another key's
};

/// By a key's number.
using Hits = std::bitset<1024>;

class Reader {
public:
    /// `path`: of the segment.
    Reader(Cache& cache, const Specimen& specimen, const std::string& path, std::uint64_t seed);

    void read(std::uint64_t times);
    /// Each key once: those that are hits.
    Hits read_each();
    /// Into memory of this process: what a peer does to the segment later does not matter.
    void read_copies(std::uint64_t times);

    const Tally& tally() const { return tally_; }
    /// What may never be seen, with or without checksums; empty: nothing.
    const std::string& failure() const { return failure_; }

private:
    std::string any_key() {
        return specimen_.key(static_cast<std::uint32_t>(random_() % (specimen_.shape().keys + 8)));
    }
    /// Whether it is a hit.
    bool check(const std::string& key, const Pinned& got);
    void read_once();
    void get_copies(std::uint64_t times);
    bool leaves_mapping(std::string_view value) const;

    Cache& cache_;
    const Specimen& specimen_;
    std::mt19937_64 random_;
    std::uint64_t mapped_from_ = 0, mapped_to_ = 0;
    Tally tally_;
    std::string failure_;
};

/// All that tools do with a segment: the facts, `stat`, `dump` with values, `doctor` with checksums; mapped read-only.
/// `verified`: of the values dumped with their checksums compared. Names of the doctor's findings, with a space after
/// each; an OpenError's is "open_STAGE".
struct Inspected {
    std::string findings;
    Tally dumped, verified;
};
Inspected inspect(const Specimen& specimen, const std::string& directory);

/// Puts, erases, touches, computes and tends.
void write_all(Cache& cache, const Specimen& specimen, std::uint64_t seed);

}  // namespace larder::damage
