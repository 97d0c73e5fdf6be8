#include "shm/socket/notifier.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "shm/cache.hpp"
#include "shm/location.hpp"
#include "shm/socket/line_buffer.hpp"
#include "shm/socket/protocol.hpp"
#include "shm/socket/socket_address.hpp"
#include "shm/system.hpp"

namespace larder {

// What one call sends: lines with their LF, or why it cannot be sent.
struct detail::NoticeMessage {
    std::string lines;
    std::size_t number = 0;
    std::string refusal;
};

namespace {

using Message = detail::NoticeMessage;
using shm::Verb;
using shm::system::Descriptor;
using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRetryPause{10};
constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24);
constexpr std::size_t kReadBytes = 4096;

/// All places are taken: worth another try.
bool is_full(std::string_view error) { return error.rfind(shm::kFullReason, 0) == 0; }

class Deadline {
public:
    explicit Deadline(std::chrono::milliseconds time) : until_(SteadyClock::now() + std::min(time, kLongest)) {}
    bool passed() const { return SteadyClock::now() >= until_; }
    std::chrono::milliseconds left() const {
        return std::max(std::chrono::milliseconds(0),
                        std::chrono::ceil<std::chrono::milliseconds>(until_ - SteadyClock::now()));
    }
    void pause() const { poll(nullptr, 0, static_cast<int>(std::min(kRetryPause, left()).count())); }

private:
    SteadyClock::time_point until_;
};

struct Connected {
    Descriptor socket;
    std::string problem;  // no use in trying again
};

bool may_pass(int error) {
    return error == ENOENT || error == ECONNREFUSED || error == EAGAIN || error == EINTR || error == ECONNRESET;
}

Connected connect_to(const std::string& path) {
    const shm::SocketAddress address(path);
    if (!address.problem().empty()) return {Descriptor(), may_pass(address.error()) ? "" : address.problem()};
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (socket.is_open() && connect(socket.number(), address.get(), address.size()) == 0)
        return {std::move(socket), {}};
    if (socket.is_open() && may_pass(errno)) return {Descriptor(), {}};
    return {Descriptor(), "cannot connect to " + path + ": " + std::generic_category().message(errno) +
                              "; run as the user that the cache belongs to"};
}

/// One connection: sends the lines and reads as many answers at the same time, so that neither side fills its buffers.
class Conversation {
public:
    Conversation(const Descriptor& socket, std::string_view lines, std::size_t answers)
        : socket_(socket.number()), unsent_(lines), awaited_(answers) {}

    /// Nothing: the connection ended too early, or the deadline passed.
    std::optional<NoticeResult> hold(const Deadline& deadline) {
        while (!deadline.passed()) {
            pollfd event{socket_, static_cast<short>(unsent_.empty() ? POLLIN : POLLIN | POLLOUT), 0};
            if (poll(&event, 1, static_cast<int>(deadline.left().count())) <= 0) continue;
            if ((event.revents & POLLOUT) != 0) send_some();
            if ((event.revents & ~POLLOUT) == 0) continue;
            const bool open = receive_some();
            if (std::optional<NoticeResult> result = take_answers()) return result;
            if (!open) return std::nullopt;
        }
        return std::nullopt;
    }

private:
    void send_some() {
        const ssize_t sent = ::send(socket_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
        if (sent >= 0) {
            unsent_.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno != EAGAIN && errno != EINTR) {
            unsent_ = {};  // who hangs up may have said why: what is there is still read
        }
    }

    bool receive_some() {
        const std::span<char> room = received_.room(kReadBytes);
        const ssize_t bytes = recv(socket_, room.data(), room.size(), 0);
        if (bytes > 0) received_.commit(static_cast<std::size_t>(bytes));
        return bytes > 0 || (bytes < 0 && (errno == EAGAIN || errno == EINTR));
    }

    std::optional<NoticeResult> take_answers() {
        std::string_view line;
        for (; awaited_ > 0; --awaited_) {
            const shm::LineBuffer::Found found = received_.next(line);
            if (found == shm::LineBuffer::Found::nothing) return std::nullopt;
            const std::optional<shm::Answer> answer = shm::parse_answer(line);
            if (found == shm::LineBuffer::Found::too_long || !answer)
                return NoticeResult{false, 0, "what listens there does not answer as larder does; look at the path"};
            if (!answer->ok) return NoticeResult{false, 0, answer->text, !is_full(answer->text)};
            notice_ = answer->notice;
        }
        return NoticeResult{true, notice_, {}};
    }

    int socket_;
    std::string_view unsent_;
    std::size_t awaited_;
    std::uint64_t notice_ = 0;
    shm::LineBuffer received_{shm::kMaxLineBytes};
};

NoticeResult failed(std::string error) { return {false, 0, std::move(error)}; }

Message one_line(Verb verb, std::span<const std::string_view> args = {}) {
    if (std::string refusal = shm::refusal_of(verb, args); !refusal.empty()) return {{}, 0, std::move(refusal)};
    return {shm::request_line(verb, args) + '\n', 1, {}};
}

Message lines_of_keys(std::span<const std::string_view> keys) {
    Message message{{}, 0, shm::refusal_of(Verb::invalidate, keys)};
    std::size_t line_bytes = shm::kMaxLineBytes;  // no line begun yet
    for (const std::string_view key : keys) {
        const std::string arg = ' ' + shm::encode_argument(key);
        if (line_bytes + arg.size() > shm::kMaxLineBytes) {
            if (message.number++ > 0) message.lines += '\n';
            message.lines += name_of(Verb::invalidate);
            line_bytes = name_of(Verb::invalidate).size();
        }
        message.lines += arg;
        line_bytes += arg.size();
    }
    message.lines += '\n';
    return message;
}

}  // namespace

Notifier::Notifier(std::string socket_path, std::chrono::milliseconds deadline)
    : socket_path_(std::move(socket_path)), deadline_(deadline) {}

Notifier Notifier::for_cache(std::string_view name, const std::string& directory, std::chrono::milliseconds deadline) {
    const char* configured = std::getenv("LARDER_CACHE");  // NOLINT(concurrency-mt-unsafe): reads only
    if (name.empty()) name = configured != nullptr && *configured != '\0' ? configured : "default";
    try {
        return Notifier(shm::locate(directory, std::string(name), false).socket_path(), deadline);
    } catch (const OpenError& problem) {
        Notifier notifier({}, deadline);
        notifier.problem_ = problem.reason + "; " + problem.remedy;
        return notifier;
    }
}

NoticeResult Notifier::send(const Message& message) const {
    if (!problem_.empty()) return failed(problem_);
    if (!message.refusal.empty()) return failed(message.refusal);
    const Deadline deadline(deadline_);
    const std::string within = " within " + std::to_string(deadline_.count()) + " ms; ";
    std::string problem;
    do {
        const Connected connected = connect_to(socket_path_);
        if (!connected.problem.empty()) return failed(connected.problem);
        if (connected.socket.is_open()) {
            Conversation conversation(connected.socket, message.lines, message.number);
            if (std::optional<NoticeResult> result = conversation.hold(deadline)) {
                if (!is_full(result->error)) return *result;
                problem = result->error;
            } else {
                problem = "no answer from " + socket_path_ + within +
                          "its listener is stopped or busy: let it go on, then announce again";
            }
        } else {
            problem = "nobody listens on " + socket_path_ + within +
                      "start `larder listen`, or open the cache with listen = true";
        }
        deadline.pause();
    } while (!deadline.passed());
    return failed(problem);
}

NoticeResult Notifier::invalidate(std::span<const std::string_view> keys) const { return send(lines_of_keys(keys)); }

NoticeResult Notifier::invalidate(std::string_view key) const { return invalidate({key}); }

NoticeResult Notifier::invalidate(std::initializer_list<std::string_view> keys) const {
    return invalidate(std::span<const std::string_view>(keys.begin(), keys.size()));
}

NoticeResult Notifier::invalidate_tag(std::string_view tag) const {
    return send(one_line(Verb::invalidate_tag, {&tag, 1}));
}

NoticeResult Notifier::invalidate_namespace(std::string_view name) const {
    return send(one_line(Verb::invalidate_namespace, {&name, 1}));
}

NoticeResult Notifier::invalidate_all() const { return send(one_line(Verb::invalidate_all)); }

NoticeResult Notifier::ping() const { return send(one_line(Verb::ping)); }

}  // namespace larder
