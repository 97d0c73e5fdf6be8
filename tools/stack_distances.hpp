// StackDistances: how far down an LRU stack each request finds its key (Mattson, Gecsei, Slutz, Traiger 1970), which
// says at once of caches of all sizes which of them hit; by a tree over the order of use (Bennett, Kruskal 1975).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace larder::tools {

/// Memory: about 100 bytes a distinct key, beside the key. A use costs O(log keys).
class StackDistances {
public:
    /// What an LRU cache must hold for this use to be a hit: the keys that were used since this one's last use, and
    /// itself.
    struct Distance {
        std::uint64_t entries = 0, bytes = 0;
    };

    /// nullopt: its first use, which no cache could hit. `bytes`: its size from now on.
    std::optional<Distance> use(const std::string& key, std::uint64_t bytes);

    std::uint64_t keys() const { return last_.size(); }
    /// Of all keys, each at its last size.
    std::uint64_t bytes() const { return bytes_.total(); }

private:
    /// Sums over positions (Fenwick 1994).
    class Tree {
    public:
        void add(std::size_t position, std::uint64_t amount);  // modulo 2^64: what is negative is taken away
        std::uint64_t up_to(std::size_t position) const;       // before it
        std::uint64_t total() const { return total_; }
        void reset(std::size_t positions);

    private:
        std::vector<std::uint64_t> sums_;
        std::uint64_t total_ = 0;
    };
    struct Last {
        std::size_t position = 0;
        std::uint64_t bytes = 0;
    };

    void make_room();

    std::unordered_map<std::string, Last> last_;
    Tree entries_, bytes_;  // by the position of each key's last use
    std::size_t next_ = 0, positions_ = 0;
};

}  // namespace larder::tools
