// PostgresRelay: what the triggers of a PostgreSQL database wrote into its outbox, turned into notices.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/postgres/relay_lock.hpp"
#include "core/relay.hpp"

namespace larder::postgres {

class Connection;

/// No commit is missed:
///  1. A transaction that is not visible yet, when the outbox is read, may have begun, and numbered its rows, before
///     others that are. So each look asks for all rows of transactions from the last look's xmin on that were not
///     visible to that look; what was told may be told twice, after a restart, and never left out.
///  2. After each connect it listens for the doorbell first and reads then.
///  3. Where it does not know how far it had come, where this is another server or another of its histories (system
///     identifier, timeline, and each crash begins one), where a watched table, its triggers or views over it became
///     others, or where rows may have been removed that it has not read, everything is announced.
/// Every host's relay reads by itself. One of them, which has the advisory lock, looks every `bell_interval`, rings for
/// the others by NOTIFY when there was something, and removes rows that all have had `kept` to read; the others look
/// when the bell rings, and each `heartbeat`, and end its session when it has asked nothing for two seconds. Threads:
/// one, but for caught_up.
class PostgresRelay final : public Relay {
public:
    static constexpr std::chrono::milliseconds bell_interval{10};
    static constexpr std::chrono::milliseconds heartbeat{500};
    static constexpr std::chrono::milliseconds patience{2'000};  ///< for an answer
    static constexpr std::chrono::minutes kept{10};
    static constexpr int most_named = 100'000;  ///< of one look; more are all announced together

    /// always: every host's relay looks. when_elected: only the one that has the advisory lock, since the others are
    /// told by it in another way; it goes on where the sink says that the last one came to.
    enum class Looks : std::uint8_t { always, when_elected };

    struct RelayRole {
        Looks looks = Looks::always;
        std::int32_t lock = outbox_lock;  ///< which advisory lock; relays that tell the same hosts have the same
        /// What of what is read is not watched, a sentence each. Asked before a history is followed that is not known:
        /// while there is any nothing is told, which is said as an error. Empty: not asked. Called by the relay's
        /// thread.
        std::function<std::vector<std::string>()> unwatched{};
    };

    /// Throws SourceError when the database cannot be read. The sink outlives the relay.
    PostgresRelay(std::string url, NoticeSink& sink, Log log, RelayRole role);
    PostgresRelay(std::string url, NoticeSink& sink, Log log)
        : PostgresRelay(std::move(url), sink, std::move(log), RelayRole()) {}
    ~PostgresRelay() override;

    int poll() override;
    void run(std::stop_token stop) override;
    bool caught_up() const override;

    /// It rings for the others.
    bool is_ringer() const { return is_ringer_; }

private:
    using Clock = std::chrono::steady_clock;
    struct Changes;
    class NotWatched;
    void connect();
    void adopt(const std::string& history);
    void check_watched(const std::string& history);
    void forget(const std::string& history);
    bool has_looks() const { return role_.looks == Looks::always || is_ringer_; }
    bool look_is_mine();
    int look();
    void tell(const Changes& changes);
    void remember();
    void beat();
    void remove_old();

    const std::string url_;
    NoticeSink& sink_;
    const Log log_;
    const RelayRole role_;
    std::unique_ptr<Connection> connection_;
    std::string database_;          // which history of which server
    std::string snapshot_;          // of the last look, as PostgreSQL writes it; empty: the cursor means nothing
    std::int64_t cursor_ = 0;       // its xmin
    std::int64_t remembered_ = -1;  // by the sink
    std::string why_lost_;          // where it means nothing
    std::vector<std::string> unwatched_;
    std::string checked_;    // the history of which that was asked
    std::string forgotten_;  // a history that is not followed, and was announced
    std::string removal_;    // which was the last one when it looked
    bool is_ringer_ = false, is_adopted_ = false;
    Clock::time_point beat_at_{}, removed_at_{}, checked_at_{};
    std::deque<std::pair<Clock::time_point, std::int64_t>> seen_;  // xmin of looks, a minute apart
    std::atomic<Clock::rep> looked_at_{0};                         // when the last look that found all began
};

/// The history that a connection leads to, for OutboxPosition. Throws SourceError.
std::string history_of(Connection& connection);

}  // namespace larder::postgres
