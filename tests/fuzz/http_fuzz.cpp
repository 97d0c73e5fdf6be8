// What a client of the service sends, in pieces of any size, through the connection, the router and the service.
//
//     flags: u8 (1: no token is needed), size of the pieces, less 1: u8, then what is sent
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <cctype>
#include <charconv>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "core/sqlite_source.hpp"
#include "core/warm_queue.hpp"
#include "tests/core/school.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tools/http/api_service.hpp"
#include "tools/http/connection.hpp"
#include "tools/http/control_service.hpp"
#include "tools/http/stats_service.hpp"

using namespace larder;
using namespace larder::fuzz;
using namespace larder::tools;

namespace {

constexpr std::size_t kReadBytes = 64 << 10;

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return result;
}

/// Answers one after the other; each is whole, has the headers of the service and no others, and a body of JSON.
class AnswerCheck {
public:
    explicit AnswerCheck(std::string_view received) : left_(received) {}

    void run() {
        while (!left_.empty()) check_one();
    }

private:
    std::string_view line() {
        const std::size_t end = left_.find("\r\n");
        require(end != std::string_view::npos, "a header is whole");
        const std::string_view line = left_.substr(0, end);
        left_.remove_prefix(end + 2);
        for (const char c : line) require(c >= 0x20 && c < 0x7f, "a header line is printable");
        return line;
    }

    void check_one() {
        const std::string_view status = line();
        require(status.substr(0, 7) == "HTTP/1." && status.size() > 12, "an answer begins with a status");
        std::size_t length = 0;
        for (std::string_view header = line(); !header.empty(); header = line()) check_header(header, length);
        const bool has_body = left_.size() >= length && left_.substr(0, 7) != "HTTP/1.";
        if (length == 0 || !has_body) return;  // else it answers HEAD
        boost::system::error_code error;
        boost::json::parse({left_.data(), length}, error);
        require(!error, "a body is JSON");
        left_.remove_prefix(length);
    }

    static void check_header(std::string_view header, std::size_t& length) {
        static const std::set<std::string> known = {"date",         "location",   "allow",          "www-authenticate",
                                                    "x-worker",     "x-cache",    "content-length", "cache-control",
                                                    "content-type", "connection", "retry-after"};
        const std::size_t colon = header.find(": ");
        require(colon != std::string_view::npos, "a header has a value");
        const std::string name = lower(header.substr(0, colon));
        require(known.count(name) == 1, "a header is one of the service's");
        const std::string_view value = header.substr(colon + 2);
        if (name == "content-length") std::from_chars(value.data(), value.data() + value.size(), length);
    }

    std::string_view left_;
};

/// In place of what reads the segment's file, which this cache has not.
class NoDashboard final : public Service {
public:
    std::optional<Answer> answer_at_once(const Call& call) override { return answer(call); }
    Answer answer(const Call&) override { return error_answer(Fault::not_found, "There is no dashboard."); }
};

/// The service of a small school, its cache and its clock.
class Scene final : public ConnectionHost {
public:
    Scene()
        : cache_(Cache::open(options())),
          jobs_(school_.path(), cache_.segment_path()),
          stats_(cache_, [path = school_.path()] { return std::make_unique<SqliteSource>(path); },
                 {.warm_queue = &jobs_}),
          pages_(stats_),
          control_(stats_, cache_, jobs_, audit_),
          service_(pages_, control_, dashboard_) {
        spdlog::set_level(spdlog::level::off);
        school_.add_assignment(1, "7", "'Law'");
        school_.add_assignment(2, "8");
        school_.add_score(10, 1, "78.25");
        school_.add_score(11, 1, "50");
    }

    void run(Bytes& input) {
        needs_token_ = (input.byte() & 1) == 0;
        const std::size_t piece = input.byte() + std::size_t{1};
        std::array<int, 2> ends{};
        require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0,
                "a socket pair");
        is_closed_ = false;
        received_.clear();
        auto connection = make_connection(io_, ends[0], *this, {});
        connection->start();
        converse(ends[1], input, piece);
        for (int patience = 0; patience < 3 && !is_closed_; ++patience) {
            connection->tick(Connection::Clock::now() + std::chrono::hours(1));
            turn(ends[1]);
        }
        require(is_closed_, "a connection ends when its client has gone and its time is over");
        connection.reset();
        turn(ends[1]);
        ::close(ends[1]);
        AnswerCheck(received_).run();
    }

    Decision decide(const RequestHead& head) override {
        Decision decision = route(head, needs_token_ ? &keys_ : nullptr, now_);
        if (const auto* call = std::get_if<Call>(&decision))
            require(call->endpoint == Endpoint::health || call->endpoint == Endpoint::page ||
                        call->caller.role != Role::student,
                    "no student gets through");
        return decision;
    }
    void on_rejected(const RejectedRequest& request) override {
        require(!request.reason.empty(), "whoever is not let in is told to the log with a reason");
    }
    void execute(const Call& call, Reply reply) override {
        if (call.endpoint == Endpoint::health) return reply(json_answer(R"({"status":"ok"})"));
        std::optional<Answer> answer = service_.answer_at_once(call);
        reply(answer ? std::move(*answer) : service_.answer(call));
    }
    bool is_draining() const override { return false; }
    void on_closed(Connection&) override { is_closed_ = true; }

private:
    static Options options() {
        Options options;
        options.in_memory = true;
        options.size_bytes = 16ULL << 20;
        return options;
    }

    void converse(int client, Bytes& input, std::size_t piece) {
        while (!input.empty() && !is_closed_) {
            const std::string_view some = input.take(piece);
            if (::send(client, some.data(), some.size(), MSG_NOSIGNAL) < 0) break;
            turn(client);
        }
        ::shutdown(client, SHUT_WR);
        turn(client);
    }

    /// Everything that can be done now, and its answers.
    void turn(int client) {
        static std::array<char, kReadBytes> buffer;
        for (ssize_t got = 1; got > 0;) {
            io_.restart();
            io_.poll();
            got = ::recv(client, buffer.data(), buffer.size(), 0);
            if (got > 0) received_.append(buffer.data(), static_cast<std::size_t>(got));
        }
    }

    test::School school_{scratch_parent()};
    Cache cache_;
    WarmQueue jobs_;
    AssignmentStatsCache stats_;
    AuditLog audit_{""};
    StatsService pages_;
    ControlService control_;
    NoDashboard dashboard_;
    ApiService service_;
    const KeyRing keys_ = KeyRing::parse("0123456789abcdef0123456789abcdef");
    const WallClock::time_point now_{std::chrono::seconds(1'700'000'000)};
    boost::asio::io_context io_{1};
    std::string received_;
    bool needs_token_ = false;
    bool is_closed_ = false;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Scene scene;
    Bytes input(data, size);
    scene.run(input);
    return 0;
}
