// Peer: what programs keep such values in today, behind one interface. Peers are for comparison alone: the product
// links none of them, and a build without their libraries has none.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/lookups.hpp"

namespace larder::bench {

/// One process's way to it, used by one thread. What fails throws std::runtime_error.
class Peer {
public:
    virtual ~Peer() = default;

    virtual std::string name() const = 0;
    /// Of the server or library, and of the client.
    virtual std::string version() const = 0;
    /// A lookup of a server takes microseconds, one of a library less than one.
    virtual bool is_server() const = 0;
    /// What a lookup finds is the caller's own, and not only good until its next one.
    virtual bool copies() const { return true; }

    virtual void put(std::string_view key, std::string_view value) = 0;
    /// The size of what was found and its first word, as in lookups.hpp; 0: nothing was.
    virtual std::size_t get(std::string_view key, Marks& marks) = 0;
    /// The value itself, to be compared byte by byte; "": there is none.
    virtual std::string value(std::string_view key) = 0;
};

struct PeerLookup {
    Peer& peer;
    std::size_t operator()(std::string_view key, Marks& marks) const { return peer.get(key, marks); }
};

/// Starts a server, which lives as long as what is returned, on a Unix socket in a directory of its own on tmpfs, with
/// room for so many bytes of values; null: its program is not installed.
std::unique_ptr<Peer> make_memcached(std::size_t value_bytes, std::size_t entries);
std::unique_ptr<Peer> make_redis(std::size_t value_bytes, std::size_t entries);
/// In a directory on tmpfs. `copies`: a get copies the value out, as it must before its transaction ends.
std::unique_ptr<Peer> make_lmdb(std::size_t value_bytes, std::size_t entries, bool copies);

using Peers = std::vector<std::unique_ptr<Peer>>;

/// All that there are, with room for so many values. `note` is told of what is missing.
Peers make_peers(std::size_t value_bytes, std::size_t entries, const std::function<void(std::string)>& note);
/// Puts the workload's keys in, and reads every byte back.
void fill(Peer& peer, std::size_t value_bytes);

}  // namespace larder::bench
