#include "bench/peers/redis_pages.hpp"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <stdexcept>
#include <vector>

#include "tools/http/listen_address.hpp"
#include "tools/http/server.hpp"
#include "tools/http/service.hpp"
#include "tools/processors.hpp"

namespace larder::bench {
namespace {

constexpr std::size_t kWorkers = 2;

struct Free {
    void operator()(redisContext* context) const { ::redisFree(context); }
    void operator()(redisReply* reply) const { ::freeReplyObject(reply); }
};
using Connection = std::unique_ptr<redisContext, Free>;
using Reply = std::unique_ptr<redisReply, Free>;

Connection connect(const std::string& socket) {
    Connection connection(::redisConnectUnix(socket.c_str()));
    if (connection == nullptr || connection->err != 0) throw std::runtime_error("redis: no connection");
    return connection;
}

/// Who owns the assignment and what its page is, in one question, as a careful program would ask.
class PageService : public tools::Service {
public:
    explicit PageService(Connection connection) : connection_(std::move(connection)) {}

    std::optional<tools::Answer> answer_at_once(const tools::Call& call) override {
        const auto id = static_cast<long long>(call.id);
        const Reply reply(static_cast<redisReply*>(
            ::redisCommand(connection_.get(), "MGET assignment_access:%lld assignment_stats:%lld", id, id)));
        if (reply == nullptr || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
            reply->element[1]->type != REDIS_REPLY_STRING)
            return tools::error_answer(tools::Fault::not_found, "There is no such assignment.");
        tools::Answer answer;
        answer.headers.emplace_back("X-Cache", "hit");
        answer.text.assign(reply->element[1]->str, reply->element[1]->len);
        return answer;
    }
    tools::Answer answer(const tools::Call& call) override { return *answer_at_once(call); }

private:
    Connection connection_;
};

class Pages final : public RedisPages {
public:
    Pages(const std::string& program, const std::map<int, std::string>& documents)
        : server_(program, {"--port", "0", "--unixsocket", "SOCKET", "--save", "", "--appendonly", "no"}),
          address_(tools::ListenAddress::parse("127.0.0.1:0")),
          reservation_(address_) {
        const Connection connection = connect(server_.socket());
        for (const auto& [id, document] : documents) {
            store(*connection, "assignment_access", id, std::string(8, '1'));  // as long as the cache's
            store(*connection, "assignment_stats", id, document);
        }
        for (std::size_t slot = 0; slot < kWorkers; ++slot) start(slot);
    }
    ~Pages() override {
        for (const pid_t pid : pids_) {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
        }
    }
    std::string url() const override { return address_.url(); }

private:
    static void store(redisContext& connection, const char* name, int id, const std::string& value) {
        const Reply reply(static_cast<redisReply*>(
            ::redisCommand(&connection, "SET %s:%d %b", name, id, value.data(), value.size())));
        if (reply == nullptr) throw std::runtime_error("redis: a SET failed");
    }

    void start(std::size_t slot) {
        const int listener = tools::open_listener(address_);
        const pid_t pid = ::fork();
        if (pid < 0) throw std::runtime_error("fork");
        if (pid != 0) {
            ::close(listener);
            return void(pids_.push_back(pid));
        }
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        try {
            PageService service(connect(server_.socket()));
            tools::Server server({}, {listener}, service, nullptr, [] { return tools::Health::ok; });
            server.run([slot] { tools::stay_on_own_processor(slot, kWorkers); });
        } catch (...) {}
        ::_exit(EXIT_FAILURE);
    }

    PeerServer server_;
    tools::ListenAddress address_;
    tools::PortReservation reservation_;
    std::vector<pid_t> pids_;
};

}  // namespace

std::unique_ptr<RedisPages> RedisPages::make(const std::map<int, std::string>& documents) {
    const std::string program = find_program("redis-server");
    if (program.empty()) return nullptr;
    return std::make_unique<Pages>(program, documents);
}

}  // namespace larder::bench
