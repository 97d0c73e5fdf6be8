#include "core/postgres/postgres_relay.hpp"

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "core/postgres/connection.hpp"
#include "core/postgres/foreign_schema.hpp"
#include "core/postgres/wal_position.hpp"
#include "core/repeated_error.hpp"
#include "core/submission_source.hpp"

namespace larder::postgres {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds retry_interval{200};
constexpr milliseconds stop_interval{50};  // how long a stop may go unnoticed
constexpr std::chrono::seconds fresh_enough{2};
constexpr std::chrono::seconds check_interval{2};
constexpr std::chrono::minutes mark_interval{1};

// One that is stopped has its connection, and the lock, for as long as it is stopped. It asks nothing meanwhile. Its
// session is seen by those of its own role, and ended by them; it finds that out, and waits to be elected, as they did.
std::string end_silent_ringer(std::int32_t lock) {
    return "SELECT pg_terminate_backend(pid)" + from_relay_lock_holder(lock) +
           " AND usename = current_user AND state = 'idle' AND clock_timestamp() - state_change > interval '2 seconds'";
}

// A crash is the end of a history, too: it may take back what was committed (synchronous_commit = off) and was told and
// computed, and gives numbers of transactions again that left nothing on disk. It makes the statistics anew.
// So is what becomes of the watched tables, their triggers and the views over them: whether they are put back from a
// dump, renamed, hidden by policies, given or robbed of parts, or disabled for a while, no row of the outbox says. A
// view of whom may not read the table is nothing that anybody reads, nor is a trigger on a table of whom may not write
// to the outbox, by a function of such a one, any that tells.
std::string select_history() {
    return R"(
WITH RECURSIVE telling AS (
    SELECT tgrelid, string_agg(concat_ws(' ', t.oid, t.xmin, p.oid, p.xmin), ' ' ORDER BY t.oid) AS made)" +
           std::string(from_telling_triggers) + R"(
    JOIN pg_class c ON c.oid = tgrelid
    JOIN pg_class outbox ON outbox.relnamespace = to_regnamespace('larder') AND outbox.relname = 'outbox'
    WHERE has_any_column_privilege(p.proowner, outbox.oid, 'INSERT')
        OR has_any_column_privilege(c.relowner, outbox.oid, 'INSERT')
    GROUP BY tgrelid
), watched(oid) AS (
    SELECT tgrelid FROM telling
    UNION
    SELECT ev_class FROM watched JOIN pg_depend d
        ON d.refclassid = 'pg_class'::regclass AND d.refobjid = watched.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = ev_class AND v.relpersistence <> 't'
        AND (has_any_column_privilege(v.relowner, watched.oid, 'SELECT')
            OR array_to_string(v.reloptions, ' ') LIKE '%security_invoker%')
)
SELECT concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
    substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    coalesce((SELECT (extract(epoch FROM stats_reset) * 1000000)::bigint FROM pg_stat_wal), 0),
    (SELECT md5(string_agg(concat_ws(' ', c.oid, nspname, relname, relispartition,
        relrowsecurity, relforcerowsecurity, relacl,
        (SELECT string_agg(a.xmin::text, ' ' ORDER BY attnum) FROM pg_attribute a WHERE attrelid = c.oid
            AND attnum > 0),
        made,
        (SELECT string_agg(i.xmin::text, ' ' ORDER BY inhrelid) FROM pg_inherits i WHERE inhparent = c.oid),
        (SELECT string_agg(p.xmin::text, ' ' ORDER BY p.oid) FROM pg_policy p WHERE polrelid = c.oid),
        (SELECT string_agg(r.xmin::text, ' ' ORDER BY r.oid) FROM pg_rewrite r WHERE ev_class = c.oid)),
        ' ' ORDER BY c.oid))
        FROM watched JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = relnamespace
            LEFT JOIN telling ON tgrelid = c.oid)))";
}

// One row at least. Its state's xmin is another after each removal of rows. What has a number that no transaction has
// had came from another server, with a dump. $1: xmin of the last look, $2: its snapshot. pg_visible_in_snapshot is
// exact for transactions from that xmin on.
std::string select_changes() {
    return std::string(
               "SELECT pg_snapshot_xmin(pg_current_snapshot()), pg_current_snapshot(), state.removed_below, "
               "state.xmin, changed.kind, changed.assignment_id, ") +
           select_log_end +
           " FROM outbox_state state LEFT JOIN (SELECT DISTINCT kind, assignment_id FROM outbox "
           "WHERE txid < pg_snapshot_xmax(pg_current_snapshot()) AND txid >= $1::text::xid8 "
           "AND NOT pg_visible_in_snapshot(txid, $2::pg_snapshot) LIMIT 100001) changed ON true";
}

constexpr const char* delete_old =
    "DELETE FROM outbox WHERE ctid = ANY(ARRAY(SELECT ctid FROM outbox WHERE txid < $1::text::xid8 LIMIT 10000))";

// Else it would be there until this server has come as far, and what is removed below it would go unnoticed.
constexpr const char* forget_other_server =
    "DELETE FROM outbox WHERE txid >= pg_snapshot_xmax(pg_current_snapshot()); "
    "UPDATE outbox_state SET removed_below = pg_snapshot_xmax(pg_current_snapshot())::text::bigint "
    "WHERE removed_below > pg_snapshot_xmax(pg_current_snapshot())::text::bigint";

/// What of it is another. `before`: empty, where that is not known.
std::string why_lost(std::string_view before, std::string_view history) {
    constexpr const char* unknown = "it is not known how far this database was told";
    if (before.empty()) return unknown;
    constexpr std::array<const char*, 5> parts{
        "it is another server", "the server has another timeline", "it is another database",
        "the server crashed, or its WAL statistics were reset", "watched tables, triggers or views were altered"};
    for (const char* const part : parts) {
        const std::size_t end_before = std::min(before.find('/'), before.size()),
                          end = std::min(history.find('/'), history.size());
        if (before.substr(0, end_before) != history.substr(0, end)) return part;
        before.remove_prefix(std::min(end_before + 1, before.size()));
        history.remove_prefix(std::min(end + 1, history.size()));
    }
    return unknown;
}

std::string empty_snapshot_at(std::int64_t xmin) {
    const std::string text = std::to_string(xmin);
    return text + ":" + text + ":";
}

}  // namespace

/// What is read is not watched: that is so by whatever connection, and whoever else is elected finds the same.
class PostgresRelay::NotWatched : public SourceError {
    using SourceError::SourceError;
};

struct PostgresRelay::Changes {
    std::vector<AssignmentId> ids, published;
    std::string why_all;  // empty: not all
    int rows = 0;
};

std::string history_of(Connection& connection) { return std::string(connection.run(select_history()).text(0, 0)); }

PostgresRelay::PostgresRelay(std::string url, NoticeSink& sink, Log log, RelayRole role)
    : url_(std::move(url)), sink_(sink), log_(std::move(log)), role_(std::move(role)) {
    connect();
}

PostgresRelay::~PostgresRelay() = default;

void PostgresRelay::connect() {
    connection_ = nullptr;
    is_ringer_ = false;
    auto fresh = std::make_unique<Connection>(
        ConnectionOptions{.url = url_, .name = "larder relay", .must_write = true, .patience = patience});
    fresh->run("LISTEN larder_outbox");  // before the first look: what is committed after it rings
    fresh->prepare("changes", select_changes());
    fresh->prepare("history", select_history());
    fresh->prepare("remove", delete_old);
    if (role_.looks == Looks::when_elected) is_adopted_ = false;
    connection_ = std::move(fresh);
    beat_at_ = {};
}

void PostgresRelay::adopt(const std::string& history) {
    const std::optional<OutboxPosition> known = sink_.position();
    const bool is_known = known && known->database == history && known->seq > 0;
    is_adopted_ = false;
    why_lost_ = is_known ? std::string() : why_lost(database_.empty() && known ? known->database : database_, history);
    if (!is_known) check_watched(history);
    database_ = history;
    cursor_ = is_known ? known->seq : 0;
    snapshot_ = is_known ? empty_snapshot_at(cursor_) : std::string();
    removal_.clear();
    remembered_ = -1;
    seen_.clear();
    is_adopted_ = true;
}

/// Where a change would not be told nothing is: hosts forget what they have, are degraded, and ask the database.
void PostgresRelay::check_watched(const std::string& history) {
    if (!role_.unwatched) return;
    if (checked_ != history || Clock::now() - checked_at_ >= check_interval) {
        checked_.clear();
        try {
            unwatched_ = role_.unwatched();
        } catch (...) {  // asked again by the next step
            forget(history);
            throw;
        }
        checked_at_ = Clock::now();
        checked_ = history;
    }
    if (unwatched_.empty()) return;
    forget(history);
    throw NotWatched(unwatched_.front());
}

/// Once. What is told is another history's, and it is not followed yet.
void PostgresRelay::forget(const std::string& history) {
    if (forgotten_ != history) sink_.everything_changed(why_lost_);
    forgotten_ = history;
}

bool PostgresRelay::look_is_mine() {
    if (Clock::now() - beat_at_ >= heartbeat) beat();
    return has_looks();
}

int PostgresRelay::poll() {
    try {
        if (!connection_ || !connection_->is_open()) connect();
        if (!look_is_mine()) return 0;
        if (!is_adopted_) throw NotWatched(unwatched_.front());
        return look();
    } catch (const NotWatched&) {
        throw;
    } catch (...) {
        connection_ = nullptr;  // made anew by the next step
        throw;
    }
}

int PostgresRelay::look() {
    const Clock::time_point begin = Clock::now();
    const bool is_lost = snapshot_.empty();
    if (is_lost && is_ringer_) connection_->run(forget_other_server);
    sink_.look_begins();
    const std::string snapshot = is_lost ? empty_snapshot_at(1) : snapshot_;
    const Rows rows = connection_->ask("changes", {std::to_string(cursor_), snapshot});
    if (rows.count() == 0) throw SourceError("the outbox of " + connection_->server() + " has lost its state");
    const std::string_view removal = rows.text(0, 3);
    Changes changes;
    if (is_lost)
        changes.why_all = why_lost_;
    else if (rows.integer(0, 0) < cursor_)
        changes.why_all = "the server is a copy of what it was earlier";
    else if (removal != removal_ && cursor_ < rows.integer(0, 2))
        changes.why_all = "rows of the outbox were removed before they were read";
    else if (rows.count() > most_named)
        changes.why_all = "more has changed than is told one by one";
    for (int row = 0; row < rows.count() && !rows.is_null(row, 4); ++row, ++changes.rows) {
        const std::string_view kind = rows.text(row, 4);
        if (kind == "everything" && changes.why_all.empty())
            changes.why_all = "a table was truncated, or all was announced";
        (kind == "published" ? changes.published : changes.ids).push_back(rows.integer(row, 5));
    }
    tell(changes);
    cursor_ = rows.integer(0, 0);
    snapshot_ = rows.text(0, 1);
    removal_ = removal;
    sink_.look_ended(static_cast<std::uint64_t>(rows.integer(0, 6)));
    looked_at_.store(begin.time_since_epoch().count(), std::memory_order_release);
    if (changes.rows != 0) {
        remember();
        if (is_ringer_) connection_->run("NOTIFY larder_outbox");
    }
    return changes.rows;
}

void PostgresRelay::tell(const Changes& changes) {
    if (!changes.why_all.empty()) {
        sink_.everything_changed(changes.why_all);
        remembered_ = -1;
    } else if (!changes.ids.empty()) {
        sink_.changed(changes.ids);
    }
    if (changes.why_all.empty() && !changes.published.empty()) sink_.published(changes.published);
}

void PostgresRelay::remember() {
    if (remembered_ == cursor_) return;
    sink_.remember({cursor_, database_});
    remembered_ = cursor_;
}

/// What need not be done at every look. Whoever is elected has the lock for as long as it has the connection; others
/// have told meanwhile, and it begins where they ended.
void PostgresRelay::beat() {
    beat_at_ = Clock::now();
    if (!is_ringer_) is_ringer_ = connection_->run(try_relay_lock(role_.lock)).flag(0, 0);
    if (!is_ringer_) connection_->run(end_silent_ringer(role_.lock));
    if (!has_looks()) return;
    const std::string history(connection_->ask("history").text(0, 0));
    if (history != database_ || !is_adopted_) adopt(history);
    if (snapshot_.empty()) return;
    remember();
    if (is_ringer_) remove_old();
}

/// Transactions below an xmin were over when it was seen, and visible to all looks since.
void PostgresRelay::remove_old() {
    const Clock::time_point now = Clock::now();
    if (seen_.empty() || now - seen_.back().first >= mark_interval) seen_.emplace_back(now, cursor_);
    while (seen_.size() > 1 && now - seen_[1].first >= kept) seen_.pop_front();
    if (now - seen_.front().first < kept || now - removed_at_ < heartbeat) return;
    removed_at_ = now;
    connection_->ask("remove", {std::to_string(seen_.front().second)});
}

bool PostgresRelay::caught_up() const {
    const Clock::time_point looked_at{Clock::duration(looked_at_.load(std::memory_order_acquire))};
    return Clock::now() - looked_at < fresh_enough;
}

void PostgresRelay::run(std::stop_token stop) {
    RepeatedError repeated;
    while (!stop.stop_requested()) {
        try {
            const bool is_news = poll() != 0;
            const Clock::time_point looked_at{Clock::duration(looked_at_.load(std::memory_order_relaxed))};
            if (repeated.is_over_at(looked_at)) log_(LogLevel::info, "Outbox relay: works again");
            if (is_news) continue;  // a look of which no row is news says how far the source stood
            if (is_ringer_) {
                connection_->wait_for_notice(milliseconds(0));  // it hears itself, and must not keep that
                std::this_thread::sleep_for(bell_interval);
                continue;
            }
            const Clock::time_point until = Clock::now() + heartbeat;
            while (Clock::now() < until && !stop.stop_requested())
                if (connection_->wait_for_notice(stop_interval)) break;
        } catch (const NotWatched& error) {
            if (repeated.is_news(error.what())) log_(LogLevel::error, std::string("Outbox relay: ") + error.what());
            std::this_thread::sleep_for(retry_interval);
        } catch (const std::exception& error) {
            connection_ = nullptr;
            if (repeated.is_news(error.what())) log_(LogLevel::error, std::string("Outbox relay: ") + error.what());
            std::this_thread::sleep_for(retry_interval);
        }
    }
}

}  // namespace larder::postgres
