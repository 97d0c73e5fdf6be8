#include "core/postgres/outbox_links.hpp"

#include <cstdint>
#include <string>

#include "core/postgres/connection.hpp"
#include "core/postgres/postgres_relay.hpp"
#include "core/postgres/relay_lock.hpp"
#include "core/postgres/wal_position.hpp"
#include "core/second_look.hpp"

namespace larder::postgres {
namespace {

using shm::Finding;
using shm::Severity;

constexpr std::int64_t silent_ms = 2'000;
constexpr std::int64_t long_transaction_s = 60;
constexpr std::int64_t old_rows_s = 1'800;  // three times as long as a relay keeps them

constexpr const char* start_relay = "Start `larder serve` or `larder listen` where none runs; else see its log.";

std::string number(std::int64_t value) { return std::to_string(value); }

std::string select_holder(std::int32_t lock) {
    return std::string(
               "SELECT pid, coalesce(host(client_addr), 'a local socket'), CASE WHEN state = 'idle' THEN "
               "(extract(epoch FROM clock_timestamp() - state_change) * 1000)::bigint ELSE 0 END, usename, "
               "coalesce(has_table_privilege(usesysid, to_regclass('larder.outbox'), 'DELETE'), true)") +
           from_relay_lock_holder(lock);
}

// Rows of transactions from the snapshot's xmin on are read again by each look, as long as that is open. Its own age is
// seen where it is of the same role, or pg_read_all_stats is granted; else that of the rows.
constexpr const char* select_rows =
    "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(at))::bigint, 0), count(*) FILTER (WHERE "
    "is_open), coalesce((extract(epoch FROM clock_timestamp() - least(min(at) FILTER (WHERE is_open), (SELECT "
    "min(xact_start) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND datname = current_database()))))::bigint, "
    "0) FROM "
    "(SELECT at, txid >= pg_snapshot_xmin(pg_current_snapshot()) is_open FROM outbox) kept";

void examine_relay(Connection& relay, std::int32_t lock, std::vector<Finding>& findings) {
    std::string holder;
    std::int64_t quiet_ms = 0;
    bool may_relay = true;
    const bool answers = comes_about([&] {
        const Rows rows = relay.run(select_holder(lock));
        if (rows.count() == 0) return false;
        holder = "The relay of " + relay.server() + " is process " + std::string(rows.text(0, 0)) +
                 " of that server, of the role " + std::string(rows.text(0, 3)) + ", asked from " +
                 std::string(rows.text(0, 1));
        may_relay = rows.flag(0, 4);
        quiet_ms = rows.integer(0, 2);
        return quiet_ms < silent_ms;
    });
    if (holder.empty())
        findings.push_back({"nobody_relays", Severity::warning,
                            "No relay has the lock of " + relay.server() +
                                ": nobody rings for other hosts, publishes for them, or removes what is old.",
                            start_relay});
    else if (!may_relay)
        findings.push_back({"relay_foreign", Severity::error,
                            holder + ": that role may not relay, and keeps others from it.",
                            "End that session (pg_terminate_backend); REVOKE CONNECT ON DATABASE from PUBLIC."});
    else if (!answers)
        findings.push_back({"relay_silent", Severity::warning,
                            holder + ", and has asked nothing for " + number(quiet_ms) + " ms.",
                            "See whether that process is stopped; relays of the same role end its session."});
    else
        findings.push_back({"relay", Severity::info, holder + ".", "Others wait to be elected."});
}

void examine_rows(Connection& relay, std::vector<Finding>& findings) {
    const Rows rows = relay.run(select_rows);
    const std::string count = number(rows.integer(0, 0)), oldest_s = number(rows.integer(0, 1));
    if (rows.integer(0, 3) >= long_transaction_s)
        findings.push_back({"long_transaction", Severity::warning,
                            "A transaction has been open for more than " + number(rows.integer(0, 3)) +
                                " s: each look at the outbox reads " + number(rows.integer(0, 2)) + " rows again.",
                            "See xact_start in pg_stat_activity; nothing is lost, but what it changed is not told."});
    if (rows.integer(0, 1) >= old_rows_s)
        findings.push_back({"outbox_kept", Severity::warning,
                            "The outbox has " + count + " rows, the oldest of " + oldest_s + " s ago: nobody removes.",
                            "See whether a relay has run for more than ten minutes, and its log."});
    else
        findings.push_back({"outbox", Severity::info,
                            "The outbox has " + count + " rows, the oldest of " + oldest_s + " s ago.",
                            "The relay removes what is older than ten minutes, ten minutes after it was elected."});
}

void examine_lag(Connection& relay, std::string_view who, const ToldPosition& told, std::vector<Finding>& findings) {
    const std::string history = history_of(relay);
    const std::int64_t begun = relay.run("SELECT pg_snapshot_xmin(pg_current_snapshot())").integer(0, 0);
    std::optional<OutboxPosition> position;
    const auto is_known = [&] { return position && position->database == history; };
    if (comes_about([&] {
            position = told();
            return is_known() && position->seq >= begun;
        }))
        return findings.push_back({"outbox_position", Severity::info,
                                   std::string(who) + " knows all transactions below " + number(position->seq) + ".",
                                   "It is as far as the database is."});
    const std::string lag = !position     ? " does not say how far the outbox was read."
                            : !is_known() ? " was told of another server, or of another history of it."
                                          : " knows the transactions below " + number(position->seq) +
                                                ", and those below " + number(begun) + " were over two seconds ago.";
    findings.push_back({"outbox_lag", Severity::warning, std::string(who) + lag, start_relay});
}

}  // namespace

void examine_outbox(Connection& relay, std::int32_t lock, std::string_view who, const ToldPosition& told,
                    std::vector<Finding>& findings) {
    examine_relay(relay, lock, findings);
    examine_rows(relay, findings);
    if (told) examine_lag(relay, who, told, findings);
}

void examine_replica(Connection& workers, Connection& relay, std::vector<Finding>& findings) {
    if (!workers.run("SELECT pg_is_in_recovery()").flag(0, 0)) return;
    const std::int64_t primary = relay.run(std::string("SELECT ") + select_log_end).integer(0, 0);
    std::int64_t replica = 0;
    const bool follows = comes_about([&] {
        replica = workers.run("SELECT coalesce((pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint, 0)").integer(0, 0);
        return replica >= primary;
    });
    const std::string which = "Workers read the replica " + workers.server();
    if (follows)
        findings.push_back({"replica", Severity::info, which + ", which follows.", "It asks for nothing."});
    else
        findings.push_back(
            {"replica_lag", Severity::warning,
             which + ", which is " + number(primary - replica) + " bytes behind, for over two seconds.",
             "See pg_stat_replication; what it does not contain yet is waited for, two seconds at most."});
}

}  // namespace larder::postgres
