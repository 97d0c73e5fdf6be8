// StreamPublisher: what one relay tells, put into a stream for all hosts.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/log.hpp"
#include "core/nats/connection.hpp"
#include "core/nats/stream.hpp"
#include "core/notice_sink.hpp"

namespace larder::nats {

/// The sink of the relay that was elected. From the return of a member on the notice is in the stream, on most of its
/// servers; hosts are told by their StreamRelay. Every member throws SourceError: then the relay has not told, and
/// tells again; that some of it may be in the stream all the same harms nobody, nor does anything said twice.
///
/// Several at once, such as one that was paused and does not know that another was elected, harm nobody:
///  1. A notice says no more than that something was committed before it was sent. So notices may come in any order and
///     number, by whomever; none takes back another.
///  2. A position P in the stream says: the notices of all commits before P are in the stream before this message. Its
///     publisher began at such a position, or with `everything`, and sent all notices since, each acknowledged, before
///     it sent P. A late one of an older publisher is still true, and makes the next relay tell more than it had to.
///  3. Who answers a host has looked at the database itself, in a look that began after the host had asked, and
///     has told all that it saw, up to the sequence that it answers with. Where it had begun at a position, that
///     lies in the stream below the last sequence that it asked the stream for.
/// Where the stream has lost messages that were acknowledged (a single server and a power cut; deleted and made anew),
/// sequences go back: then everything is announced.
/// When the server dies that leads the stream, NATS 2.9 takes 4 to 12 s to choose another: for so long every member
/// throws, and no host can say that it knows all.
/// Threads: one. Fork: see Connection.
class StreamPublisher final : public NoticeSink {
public:
    static constexpr std::chrono::milliseconds patience{1'000};         ///< for an acknowledgement
    static constexpr std::chrono::milliseconds check_interval{1'000};   ///< of the stream, while hosts ask
    static constexpr std::chrono::milliseconds position_interval{100};  ///< between two positions in the stream
    /// The last one is said again: it must not age, and a message of known time lets hosts take each other's documents
    /// again, after notices that one of them alone was given.
    static constexpr std::chrono::seconds position_refresh{5};
    static constexpr std::chrono::milliseconds doubt{5'000};  ///< so long it may lack what was acknowledged
    static constexpr int max_requests = 10'000;               ///< of hosts, in one look; more are dropped

    /// `database`: see StreamNames. Makes the stream where it is absent. Throws SourceError.
    StreamPublisher(ConnectionOptions options, std::string_view database, Log log);

    void changed(std::span<const AssignmentId> ids) override;
    void published(std::span<const AssignmentId> ids) override;
    void everything_changed(std::string_view why) override;
    /// The last one in the stream, whoever sent it.
    std::optional<OutboxPosition> position() override;
    /// Sent at once, or by a later look_ended where the last one was sent just now.
    void remember(const OutboxPosition& position) override;
    /// Takes what hosts have asked so far.
    void look_begins() override;
    /// Answers them.
    void look_ended(std::uint64_t position) override;

    const StreamNames& names() const { return names_; }
    /// Sequence of the last message that is known to be in the stream.
    std::uint64_t last_sequence() const { return last_; }

private:
    using Clock = std::chrono::steady_clock;
    std::uint64_t send(const std::string& subject, const std::string& line);
    void publish(const std::string& subject, const std::string& line);
    void announce_loss();
    void send_position();
    void connect();
    bool check_stream();

    const ConnectionOptions options_;
    const StreamNames names_;
    const Log log_;
    std::unique_ptr<Connection> connection_;
    Subscription requests_;
    struct Question {
        std::string host;  // where it waits
        std::uint64_t number = 0;
    };
    std::vector<Question> asked_;  // before the look began
    std::string identity_;         // of the stream, as last looked at; empty: not known
    std::uint64_t last_ = 0;
    bool is_stream_there_ = true;
    std::optional<OutboxPosition> position_;
    bool is_position_sent_ = true;
    Clock::time_point position_sent_at_{}, checked_at_{};
    std::optional<Clock::time_point> short_since_;  // the stream lacks what was acknowledged
    std::uint64_t checked_reconnects_ = 0;
};

}  // namespace larder::nats
