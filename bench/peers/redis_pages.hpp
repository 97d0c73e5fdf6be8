// RedisPages: the service's pages read from Redis, in the place of the cache: the same HTTP server, the same bytes.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "bench/peers/peer_server.hpp"

namespace larder::bench {

/// Two workers on one port, which end with it.
class RedisPages {
public:
    /// `documents` by assignment. Null: there is no Redis here.
    static std::unique_ptr<RedisPages> make(const std::map<int, std::string>& documents);
    virtual ~RedisPages() = default;

    /// `http://127.0.0.1:PORT`
    virtual std::string url() const = 0;
};

}  // namespace larder::bench
