// StreamRelay: the notices of a stream, told to this host.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/log.hpp"
#include "core/nats/connection.hpp"
#include "core/nats/stream.hpp"
#include "core/relay.hpp"

namespace larder::nats {

/// Each host's listener. No notice is missed:
///  1. Messages are applied in the order of their sequences, each from the one after the last that was applied.
///     What was sent and did not arrive (a connection that broke, more than may wait here) is asked for again.
///  2. Where the one after is not in the stream (it aged, was purged, was pushed out by newer ones), where the
///     stream is another, where nobody knows how far this host had come, or where the message at that place is not
///     the one that was applied (the stream had lost it, and gave its number again), everything is announced, and
///     what comes after the last message that there was before the announcement is applied.
///  3. A message that it cannot read is `everything`.
/// The position that the sink remembers, after each batch and before the next one is applied, is a sequence of the
/// stream, and the stream's identity with the time of that message behind an `@`.
///
/// Each `heartbeat` it asks who relays how far it must read, for all that is committed by now to have been told. The
/// answer comes after a look at the database that began after the question came; it names a sequence. When that is
/// applied, sink.look_ended says so. No clocks are compared. Where no answer comes within `answer_patience`, nothing is
/// said, and it asks again.
/// Threads: one, but for caught_up. Fork: see Connection.
class StreamRelay final : public Relay {
public:
    static constexpr std::chrono::milliseconds default_heartbeat{500};
    static constexpr std::chrono::milliseconds patience{1'000};         ///< for an answer of the servers
    static constexpr std::chrono::milliseconds answer_patience{1'000};  ///< for who relays, and for what it names
    static constexpr std::chrono::milliseconds silence{1'000};          ///< the stream says at least that it lives
    static constexpr std::chrono::milliseconds doubt{5'000};            ///< so long it may lack what was applied
    static constexpr int max_waiting = 65'536;                          ///< messages here that are not applied yet

    /// Connects at the first step. `database`: see StreamNames. The sink outlives the relay.
    StreamRelay(ConnectionOptions options, std::string_view database, NoticeSink& sink, Log log,
                std::chrono::milliseconds heartbeat = default_heartbeat);
    ~StreamRelay() override;

    /// Applies what has come; waits for nothing but the servers' answers where it has to connect.
    int poll() override;
    void run(std::stop_token stop) override;
    bool caught_up() const override;

    /// Sequence of the last message applied.
    std::uint64_t applied() const { return applied_; }

private:
    using Clock = std::chrono::steady_clock;
    struct Delivery;
    int step(std::chrono::milliseconds wait);
    void drop();
    void subscribe();
    void adopt(const StreamState& state);
    std::string why_lost(const StreamState& state);
    void consume();
    void take(const Message& message);
    void take_status(const Message& message, std::string_view status);
    void take_answer(std::string_view data);
    void apply(const Delivery& delivery, std::string_view data);
    void ask();
    void end_round();
    void try_to_end_round();
    void remember();
    OutboxPosition place(std::uint64_t sequence, std::int64_t time_ns) const;

    const ConnectionOptions options_;
    const StreamNames names_;
    NoticeSink& sink_;
    const Log log_;
    const std::chrono::milliseconds heartbeat_;

    std::unique_ptr<Connection> connection_;
    std::string inbox_;  // where the stream and who relays write to this host
    Subscription incoming_;
    bool is_behind_ = false;             // something was sent that did not arrive
    std::uint64_t consumed_ = 0;         // of what was sent since the last subscribe
    std::uint64_t subscribed_from_ = 0;  // applied then
    Clock::time_point heard_at_{};

    std::string identity_;  // of the stream; empty: how far this host has come is not known here
    std::uint64_t applied_ = 0;
    std::int64_t applied_time_ns_ = 0;              // of that message
    std::optional<Clock::time_point> short_since_;  // the stream lacks what was applied

    std::uint64_t round_ = 0;
    bool is_asking_ = false;
    Clock::time_point asked_at_{};
    std::optional<std::uint64_t> target_;  // what must be applied for this round's end
    std::uint64_t target_position_ = 0;
    std::atomic<Clock::rep> looked_at_{0};  // when the last round that ended well began
};

}  // namespace larder::nats
