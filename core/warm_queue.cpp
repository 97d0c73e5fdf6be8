#include "core/warm_queue.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <concepts>

#include "core/database.hpp"
#include "core/file_identity.hpp"
#include "core/json_writer.hpp"
#include "core/schema.hpp"
#include "core/submission_source.hpp"

namespace larder {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

// Wall-clock time, which another boot and another process share. A jump of it makes a runner look dead, no more.
std::int64_t now_ms() {
    return std::chrono::duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

int ms_until(system_clock::time_point deadline) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - system_clock::now());
    return static_cast<int>(std::max<milliseconds::rep>(0, left.count()));
}

SQLite::Database open_to_write(const std::string& path, int busy_timeout_ms) {
    SQLite::Database database(path, SQLite::OPEN_READWRITE, busy_timeout_ms);
    check_warm_queue(database, path);
    database.exec("PRAGMA synchronous = NORMAL");  // what a power cut takes back is warmed once more
    return database;
}

void bind(SQLite::Statement& statement, int at, const std::string& text) { statement.bind(at, text); }
void bind(SQLite::Statement& statement, int at, std::integral auto number) {
    statement.bind(at, static_cast<std::int64_t>(number));
}

/// A statement of parameters ?1, ?2, ...
template <class... Values>
SQLite::Statement prepared(SQLite::Database& database, const std::string& sql, const Values&... values) {
    SQLite::Statement statement(database, sql);
    int at = 0;
    (bind(statement, ++at, values), ...);
    return statement;
}

/// Runs it to its end; returns how many rows it changed.
template <class... Values>
int change(SQLite::Database& database, const char* sql, const Values&... values) {
    return prepared(database, sql, values...).exec();
}

/// As job_of reads them; the cache is ?1.
std::string select_jobs(const char* rest) {
    return std::string(
               "SELECT job_id, total, position + in_turn, warmed, failed, started_ms, finished_ms "
               "FROM warm_jobs WHERE cache IN (?1, '') ") +
           rest;
}

WarmJob job_of(SQLite::Statement& row) {
    const auto count = [&row](int column) { return static_cast<std::size_t>(row.getColumn(column).getInt64()); };
    WarmJob job;
    job.id = row.getColumn(0).getInt64();
    job.total = count(1);
    job.done = count(2);
    job.warmed = count(3);
    job.failed = count(4);
    const bool ended = !row.getColumn(6).isNull();
    if (row.getColumn(5).isNull()) return job;
    job.state = ended ? WarmJob::State::done : WarmJob::State::running;
    const std::int64_t end = ended ? row.getColumn(6).getInt64() : now_ms();
    job.duration = milliseconds(std::max<std::int64_t>(0, end - row.getColumn(5).getInt64()));
    return job;
}

bool has_room(SQLite::Database& database, const std::string& cache, std::size_t ids) {
    SQLite::Statement open = prepared(database,
                                      "SELECT count(*), coalesce(sum(total), 0) FROM warm_jobs "
                                      "WHERE finished_ms IS NULL AND cache IN (?1, '')",
                                      cache);
    open.executeStep();
    return static_cast<std::size_t>(open.getColumn(0).getInt64()) < WarmQueue::max_open_jobs &&
           static_cast<std::size_t>(open.getColumn(1).getInt64()) + ids <= WarmQueue::max_open_ids;
}

/// Those that ended long ago, of whichever cache, and what was left for a cache that nobody uses any more.
void forget_old_jobs(SQLite::Database& database) {
    change(database,
           "DELETE FROM warm_jobs WHERE finished_ms IS NOT NULL AND job_id <= (SELECT max(job_id) FROM warm_jobs) - ?1",
           WarmQueue::kept_jobs);
    const std::int64_t before = now_ms() - milliseconds(WarmQueue::abandoned_after).count();
    change(database,
           "DELETE FROM warm_job_ids WHERE job_id IN (SELECT job_id FROM warm_jobs WHERE finished_ms IS NULL AND "
           "max(created_ms, heartbeat_ms) < ?1)",
           before);
    change(database, "DELETE FROM warm_jobs WHERE finished_ms IS NULL AND max(created_ms, heartbeat_ms) < ?1", before);
}

std::vector<AssignmentId> ids_from(SQLite::Database& database, WarmJobId job, std::int64_t position,
                                   std::int64_t count) {
    SQLite::Statement rows = prepared(database,
                                      "SELECT assignment_id FROM warm_job_ids WHERE job_id = ?1 AND position >= ?2 "
                                      "ORDER BY position LIMIT ?3",
                                      job, position, count);
    std::vector<AssignmentId> ids;
    while (rows.executeStep()) ids.push_back(rows.getColumn(0).getInt64());
    return ids;
}

}  // namespace

std::string_view name_of(WarmJob::State state) {
    constexpr std::array<std::string_view, 3> names{"queued", "running", "done"};
    return names[static_cast<std::size_t>(state)];
}

std::string to_json(const WarmJob& job) {
    JsonWriter json;
    json.begin_object();
    json.field("job_id", job.id).field("state", name_of(job.state));
    json.field("total", static_cast<std::int64_t>(job.total)).field("done", static_cast<std::int64_t>(job.done));
    json.field("warmed", static_cast<std::int64_t>(job.warmed)).field("failed", static_cast<std::int64_t>(job.failed));
    json.key("async_scheduled").boolean(true);
    json.field("duration_seconds", Hundredths{round_half_even(job.duration.count(), 10)});
    json.end_object();
    return json.take();
}

struct WarmQueue::Connection {
    Connection(const std::string& path, int busy_timeout_ms)
        : owner_pid(::getpid()), file(file_identity(path)), database(open_to_write(path, busy_timeout_ms)) {}

    int owner_pid;
    std::string file;
    SQLite::Database database;
};

WarmQueue::Access::Access(milliseconds longest_wait) : limit(longest_wait) {}

WarmQueue::Access::~Access() {
    // What was inherited must be neither used nor closed.
    if (connection && connection->owner_pid != ::getpid()) static_cast<void>(connection.release());
}

WarmQueue::WarmQueue(std::string file, std::string cache)
    : path_(std::move(file)), cache_(std::filesystem::weakly_canonical(cache).string()) {}

WarmQueue::~WarmQueue() = default;

template <class Work>
auto WarmQueue::with(Access& access, Work work) {
    const auto unusable = [this](const std::string& why) {
        return SourceError("the queue of warming jobs in " + path_ + " cannot be used (" + why +
                           "): check that the database may be written and is not locked for long");
    };
    // By the wall clock: of the two timed locks of pthreads the one that the thread sanitizer knows.
    const auto deadline = system_clock::now() + access.limit;
    const std::unique_lock lock(access.mutex, deadline);
    if (!lock) throw unusable("others wait for the database's lock already");
    std::unique_ptr<Connection>& connection = access.connection;
    if (connection && connection->owner_pid != ::getpid()) static_cast<void>(connection.release());
    try {
        if (!connection || connection->file != file_identity(path_)) {
            connection = nullptr;
            connection = std::make_unique<Connection>(path_, ms_until(deadline));
        }
        connection->database.setBusyTimeout(ms_until(deadline));
        return work(connection->database);
    } catch (const SQLite::Exception& error) {
        connection = nullptr;
        throw unusable(error.what());
    }
}

std::optional<WarmJobId> WarmQueue::push(std::span<const AssignmentId> ids, std::size_t batch_size) {
    return with(changing_, [&](SQLite::Database& database) -> std::optional<WarmJobId> {
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        if (!has_room(database, cache_, ids.size())) return std::nullopt;
        change(database, "INSERT INTO warm_jobs(cache, batch_size, total, created_ms) VALUES (?1, ?2, ?3, ?4)", cache_,
               std::clamp<std::size_t>(batch_size, 1, max_batch_size), ids.size(), now_ms());
        const WarmJobId job = database.getLastInsertRowid();
        SQLite::Statement row(database, "INSERT INTO warm_job_ids VALUES (?1, ?2, ?3)");
        for (std::size_t position = 0; position < ids.size(); ++position) {
            row.bind(1, job);
            row.bind(2, static_cast<std::int64_t>(position));
            row.bind(3, ids[position]);
            row.exec();
            row.reset();
        }
        forget_old_jobs(database);
        transaction.commit();
        return job;
    });
}

std::optional<WarmJob> WarmQueue::find(WarmJobId id) {
    return with(looking_, [&](SQLite::Database& database) -> std::optional<WarmJob> {
        SQLite::Statement row = prepared(database, select_jobs("AND job_id = ?2"), cache_, id);
        return row.executeStep() ? std::optional(job_of(row)) : std::nullopt;
    });
}

std::vector<WarmJob> WarmQueue::recent(std::size_t limit) {
    return with(looking_, [&](SQLite::Database& database) {
        SQLite::Statement rows = prepared(database, select_jobs("ORDER BY job_id DESC LIMIT ?2"), cache_, limit);
        std::vector<WarmJob> jobs;
        while (rows.executeStep()) jobs.push_back(job_of(rows));
        return jobs;
    });
}

std::vector<AssignmentId> WarmQueue::ids_of(WarmJobId job) {
    return with(looking_, [&](SQLite::Database& database) { return ids_from(database, job, 0, max_open_ids); });
}

std::optional<WarmTurn> WarmQueue::take_turn(std::int64_t runner) {
    return with(changing_, [&](SQLite::Database& database) -> std::optional<WarmTurn> {
        constexpr const char* free_job =
            "SELECT job_id, position, batch_size, total FROM warm_jobs WHERE finished_ms IS NULL AND "
            "cache IN (?1, '') AND (runner IS NULL OR abs(?2 - heartbeat_ms) > ?3) ORDER BY turns, job_id LIMIT 1";
        const std::int64_t now = now_ms();
        SQLite::Statement job = prepared(database, free_job, cache_, now, milliseconds(runner_patience).count());
        if (!job.executeStep()) return std::nullopt;  // without the write lock: most looks find nothing
        job.reset();

        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        if (!job.executeStep()) return std::nullopt;
        WarmTurn turn;
        turn.job = job.getColumn(0).getInt64();
        turn.position = static_cast<std::size_t>(job.getColumn(1).getInt64());
        turn.ids = ids_from(database, turn.job, job.getColumn(1).getInt64(), job.getColumn(2).getInt64());
        turn.total = static_cast<std::size_t>(job.getColumn(3).getInt64());
        job.reset();
        change(database,
               "UPDATE warm_jobs SET runner = ?1, heartbeat_ms = ?2, turns = turns + 1, in_turn = 0, "
               "started_ms = coalesce(started_ms, ?2) WHERE job_id = ?3",
               runner, now, turn.job);
        transaction.commit();
        return turn;
    });
}

bool WarmQueue::report(const WarmTurn& turn, std::int64_t runner, std::size_t done) {
    return with(changing_, [&](SQLite::Database& database) {
        return change(database,
                      "UPDATE warm_jobs SET in_turn = ?1, heartbeat_ms = ?2 WHERE job_id = ?3 AND position = ?4 AND "
                      "runner = ?5",
                      done, now_ms(), turn.job, turn.position, runner) == 1;
    });
}

bool WarmQueue::finish_turn(const WarmTurn& turn, std::int64_t runner, std::size_t warmed, std::size_t failed) {
    return with(changing_, [&](SQLite::Database& database) {
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        const std::size_t position = turn.position + turn.ids.size();
        const int changed = change(database,
                                   "UPDATE warm_jobs SET position = ?1, in_turn = 0, warmed = warmed + ?2, "
                                   "failed = failed + ?3, runner = NULL WHERE job_id = ?4 AND position = ?5 AND "
                                   "runner = ?6",
                                   position, warmed, failed, turn.job, turn.position, runner);
        if (changed == 0) return false;
        if (turn.is_last()) {
            change(database, "UPDATE warm_jobs SET finished_ms = ?1 WHERE job_id = ?2", now_ms(), turn.job);
            change(database, "DELETE FROM warm_job_ids WHERE job_id = ?1", turn.job);
        }
        transaction.commit();
        return true;
    });
}

void WarmQueue::give_back(const WarmTurn& turn, std::int64_t runner) {
    with(changing_, [&](SQLite::Database& database) {
        return change(database,
                      "UPDATE warm_jobs SET runner = NULL, in_turn = 0 WHERE job_id = ?1 AND position = ?2 AND "
                      "runner = ?3",
                      turn.job, turn.position, runner);
    });
}

std::string warm_queue_file(const Database& database, const std::string& segment_path) {
    if (!database.is_remote()) return database.file();
    const std::string path = segment_path + warm_queue_suffix;
    try {
        constexpr int patience_ms = std::chrono::duration_cast<milliseconds>(WarmQueue::change_limit).count();
        SQLite::Database file(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, patience_ms);
        if (missing_service_tables(file).empty()) return path;
        file.exec("PRAGMA journal_mode = WAL");
        file.exec(service_tables_sql(file));
        return path;
    } catch (const SQLite::Exception& error) {
        throw SourceError("the queue of warming jobs in " + path + " cannot be made (" + error.what() +
                          "): check that its directory may be written and has space");
    }
}

}  // namespace larder
