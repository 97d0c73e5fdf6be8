#include "bench/peers/peer.hpp"

#include <utility>

namespace larder::bench {

Peers make_peers([[maybe_unused]] std::size_t value_bytes, [[maybe_unused]] std::size_t entries,
                 const std::function<void(std::string)>& note) {
    Peers peers;
    const auto add = [&](const char* name, std::unique_ptr<Peer> peer) {
        if (peer != nullptr)
            peers.push_back(std::move(peer));
        else
            note(std::string(name) + " is not installed: not compared");
    };
#ifdef LARDER_BENCH_PEERS
    add("LMDB", make_lmdb(value_bytes, entries, false));
    add("LMDB", make_lmdb(value_bytes, entries, true));
    add("memcached", make_memcached(value_bytes, entries));
    add("Redis", make_redis(value_bytes, entries));
#else
    add("A client library of LMDB, memcached or Redis", nullptr);
#endif
    return peers;
}

void fill(Peer& peer, std::size_t value_bytes) {
    for (std::uint32_t number = 0; number < kKeys; ++number)
        peer.put(key_of(number).text(), value_of(number, value_bytes));
    for (std::uint32_t number = 0; number < kKeys; ++number)
        require(peer.value(key_of(number).text()) == value_of(number, value_bytes), "a peer's value came back changed");
}

}  // namespace larder::bench
