// Redis over a Unix socket, by hiredis: one command, one answer.
#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include <cstring>
#include <memory>
#include <stdexcept>

#include "bench/peers/peer.hpp"
#include "bench/peers/peer_server.hpp"

namespace larder::bench {
namespace {

struct Free {
    void operator()(redisContext* context) const { ::redisFree(context); }
    void operator()(redisReply* reply) const { ::freeReplyObject(reply); }
};
using Connection = std::unique_ptr<redisContext, Free>;
using Reply = std::unique_ptr<redisReply, Free>;

class Redis : public Peer {
public:
    Redis(const std::string& program, std::size_t bytes)
        : server_(program, {"--port", "0", "--unixsocket", "SOCKET", "--save", "", "--appendonly", "no", "--maxmemory",
                            fmt::format("{}", bytes), "--maxmemory-policy", "allkeys-lru"}),
          connection_(::redisConnectUnix(server_.socket().c_str())) {
        if (connection_ == nullptr || connection_->err != 0) throw std::runtime_error("redis: no connection");
        const Reply info(static_cast<redisReply*>(::redisCommand(connection_.get(), "INFO server")));
        const std::string text = info == nullptr ? "" : std::string(info->str, info->len);
        const std::size_t at = text.find("redis_version:");
        if (at != std::string::npos) server_version_ = text.substr(at + 14, text.find('\r', at) - at - 14);
    }

    std::string name() const override { return "Redis"; }
    std::string version() const override {
        return fmt::format("redis-server {}, hiredis {}.{}.{}", server_version_, HIREDIS_MAJOR, HIREDIS_MINOR,
                           HIREDIS_PATCH);
    }
    bool is_server() const override { return true; }

    void put(std::string_view key, std::string_view value) override {
        const Reply reply(static_cast<redisReply*>(
            ::redisCommand(connection_.get(), "SET %b %b", key.data(), key.size(), value.data(), value.size())));
        if (reply == nullptr || reply->type != REDIS_REPLY_STATUS) throw std::runtime_error("redis: a SET was refused");
    }
    std::size_t get(std::string_view key, Marks& marks) override {
        const Reply reply = ask(key);
        if (reply->type != REDIS_REPLY_STRING) return 0;
        std::uint64_t mark = 0;
        std::memcpy(&mark, reply->str, sizeof mark);
        marks += mark;
        return reply->len;
    }
    std::string value(std::string_view key) override {
        const Reply reply = ask(key);
        return reply->type == REDIS_REPLY_STRING ? std::string(reply->str, reply->len) : std::string();
    }

private:
    Reply ask(std::string_view key) {
        Reply reply(static_cast<redisReply*>(::redisCommand(connection_.get(), "GET %b", key.data(), key.size())));
        if (reply == nullptr || reply->type == REDIS_REPLY_ERROR) throw std::runtime_error("redis: a GET failed");
        return reply;
    }

    PeerServer server_;
    Connection connection_;
    std::string server_version_;
};

}  // namespace

std::unique_ptr<Peer> make_redis(std::size_t value_bytes, std::size_t entries) {
    const std::string program = find_program("redis-server");
    if (program.empty()) return nullptr;
    return std::make_unique<Redis>(program, 2 * entries * (value_bytes + 256) + (64 << 20));
}

}  // namespace larder::bench
