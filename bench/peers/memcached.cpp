// memcached over a Unix socket, by libmemcached: the binary protocol, one command, one answer.
#include <fmt/format.h>
#include <libmemcached/memcached.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "bench/peers/peer.hpp"
#include "bench/peers/peer_server.hpp"

namespace larder::bench {
namespace {

struct Free {
    void operator()(memcached_st* client) const { ::memcached_free(client); }
    void operator()(char* bytes) const { std::free(bytes); }
};

class Memcached : public Peer {
public:
    Memcached(const std::string& program, std::size_t bytes)
        : server_(program, {"-s", "SOCKET", "-m", fmt::format("{}", bytes >> 20), "-t", "1", "-u", user()}),
          client_(::memcached_create(nullptr)) {
        ::memcached_behavior_set(client_.get(), MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, 1);
        if (::memcached_server_add_unix_socket(client_.get(), server_.socket().c_str()) != MEMCACHED_SUCCESS)
            throw std::runtime_error("memcached: no connection");
    }

    std::string name() const override { return "memcached"; }
    std::string version() const override {
        ::memcached_version(client_.get());
        const auto* const server = ::memcached_server_instance_by_position(client_.get(), 0);
        return fmt::format("memcached {}.{}.{}, libmemcached {}", ::memcached_server_major_version(server),
                           ::memcached_server_minor_version(server), ::memcached_server_micro_version(server),
                           ::memcached_lib_version());
    }
    bool is_server() const override { return true; }

    void put(std::string_view key, std::string_view value) override {
        const memcached_return_t result =
            ::memcached_set(client_.get(), key.data(), key.size(), value.data(), value.size(), 0, 0);
        if (result != MEMCACHED_SUCCESS)
            throw std::runtime_error(std::string("memcached: ") + ::memcached_strerror(client_.get(), result));
    }
    std::size_t get(std::string_view key, Marks& marks) override {
        const Found found = ask(key);
        if (found.bytes == nullptr) return 0;
        std::uint64_t mark = 0;
        std::memcpy(&mark, found.bytes.get(), sizeof mark);
        marks += mark;
        return found.size;
    }
    std::string value(std::string_view key) override {
        const Found found = ask(key);
        return found.bytes == nullptr ? std::string() : std::string(found.bytes.get(), found.size);
    }

private:
    /// Root has to say as whom it means to run.
    static std::string user() {
        const passwd* const entry = ::getpwuid(::geteuid());
        return entry == nullptr ? "root" : entry->pw_name;
    }
    struct Found {
        std::unique_ptr<char, Free> bytes;
        std::size_t size = 0;
    };
    Found ask(std::string_view key) {
        Found found;
        std::uint32_t flags = 0;
        memcached_return_t result = MEMCACHED_SUCCESS;
        found.bytes.reset(::memcached_get(client_.get(), key.data(), key.size(), &found.size, &flags, &result));
        if (result != MEMCACHED_SUCCESS && result != MEMCACHED_NOTFOUND)
            throw std::runtime_error(std::string("memcached: ") + ::memcached_strerror(client_.get(), result));
        return found;
    }

    PeerServer server_;
    std::unique_ptr<memcached_st, Free> client_;
};

}  // namespace

std::unique_ptr<Peer> make_memcached(std::size_t value_bytes, std::size_t entries) {
    const std::string program = find_program("memcached");
    if (program.empty()) return nullptr;
    return std::make_unique<Memcached>(program, 2 * entries * (value_bytes + 256) + (64 << 20));
}

}  // namespace larder::bench
