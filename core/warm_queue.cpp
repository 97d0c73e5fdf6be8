#include "core/warm_queue.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "core/file_identity.hpp"
#include "core/json_writer.hpp"
#include "core/schema.hpp"
#include "core/submission_source.hpp"

namespace larder {
namespace {

constexpr int busy_timeout_ms = 5'000;

// Wall-clock time, which another boot and another process share. A jump of it makes a runner look dead, no more.
std::int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

SQLite::Database open_to_write(const std::string& path) {
    SQLite::Database database(path, SQLite::OPEN_READWRITE, busy_timeout_ms);
    check_warm_queue(database, path);
    database.exec("PRAGMA synchronous = NORMAL");  // what a power cut takes back is warmed once more
    return database;
}

/// Runs a statement of parameters ?1, ?2, ... to its end; returns how many rows it changed.
template <class... Values>
int change(SQLite::Database& database, const char* sql, Values... values) {
    SQLite::Statement statement(database, sql);
    int at = 0;
    (statement.bind(++at, static_cast<std::int64_t>(values)), ...);
    return statement.exec();
}

constexpr const char* columns = "job_id, total, position + in_turn, warmed, failed, started_ms, finished_ms";

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
    job.duration = std::chrono::milliseconds(std::max<std::int64_t>(0, end - row.getColumn(5).getInt64()));
    return job;
}

bool has_room(SQLite::Database& database, std::size_t ids) {
    SQLite::Statement open(database,
                           "SELECT count(*), coalesce(sum(total), 0) FROM warm_jobs WHERE finished_ms IS NULL");
    open.executeStep();
    return static_cast<std::size_t>(open.getColumn(0).getInt64()) < WarmQueue::max_open_jobs &&
           static_cast<std::size_t>(open.getColumn(1).getInt64()) + ids <= WarmQueue::max_open_ids;
}

void forget_old_jobs(SQLite::Database& database) {
    change(database,
           "DELETE FROM warm_jobs WHERE finished_ms IS NOT NULL AND job_id <= (SELECT max(job_id) FROM warm_jobs) - ?1",
           WarmQueue::kept_jobs);
}

std::vector<AssignmentId> ids_of_turn(SQLite::Database& database, WarmJobId job, std::int64_t position,
                                      std::int64_t batch_size) {
    SQLite::Statement rows(database,
                           "SELECT assignment_id FROM warm_job_ids WHERE job_id = ?1 AND position >= ?2 AND "
                           "position < ?2 + ?3 ORDER BY position");
    rows.bind(1, job);
    rows.bind(2, position);
    rows.bind(3, batch_size);
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
    explicit Connection(const std::string& path)
        : owner_pid(::getpid()), file(file_identity(path)), database(open_to_write(path)) {}

    int owner_pid;
    std::string file;
    SQLite::Database database;
};

WarmQueue::WarmQueue(std::string database_path) : path_(std::move(database_path)) {}

WarmQueue::~WarmQueue() {
    // What was inherited must be neither used nor closed.
    if (connection_ && connection_->owner_pid != ::getpid()) static_cast<void>(connection_.release());
}

template <class Work>
auto WarmQueue::with_connection(Work work) {
    const std::lock_guard lock(mutex_);
    if (connection_ && connection_->owner_pid != ::getpid()) static_cast<void>(connection_.release());
    try {
        if (!connection_ || connection_->file != file_identity(path_)) {
            connection_ = nullptr;
            connection_ = std::make_unique<Connection>(path_);
        }
        return work(connection_->database);
    } catch (const SQLite::Exception& error) {
        connection_ = nullptr;
        throw SourceError("the queue of warming jobs in " + path_ + " cannot be used (" + error.what() +
                          "): check that the database may be written and is not locked for long");
    }
}

std::optional<WarmJobId> WarmQueue::push(std::span<const AssignmentId> ids, std::size_t batch_size) {
    return with_connection([&](SQLite::Database& database) -> std::optional<WarmJobId> {
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        if (!has_room(database, ids.size())) return std::nullopt;
        change(database, "INSERT INTO warm_jobs(batch_size, total, created_ms) VALUES (?1, ?2, ?3)",
               std::max<std::size_t>(batch_size, 1), ids.size(), now_ms());
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
    return with_connection([&](SQLite::Database& database) -> std::optional<WarmJob> {
        SQLite::Statement row(database, std::string("SELECT ") + columns + " FROM warm_jobs WHERE job_id = ?1");
        row.bind(1, id);
        return row.executeStep() ? std::optional(job_of(row)) : std::nullopt;
    });
}

std::vector<WarmJob> WarmQueue::recent(std::size_t limit) {
    return with_connection([&](SQLite::Database& database) {
        SQLite::Statement rows(database,
                               std::string("SELECT ") + columns + " FROM warm_jobs ORDER BY job_id DESC LIMIT ?1");
        rows.bind(1, static_cast<std::int64_t>(limit));
        std::vector<WarmJob> jobs;
        while (rows.executeStep()) jobs.push_back(job_of(rows));
        return jobs;
    });
}

std::optional<WarmTurn> WarmQueue::take_turn(std::int64_t runner) {
    return with_connection([&](SQLite::Database& database) -> std::optional<WarmTurn> {
        constexpr const char* free_job =
            "SELECT job_id, position, batch_size, total FROM warm_jobs WHERE finished_ms IS NULL AND "
            "(runner IS NULL OR abs(?1 - heartbeat_ms) > ?2) ORDER BY turns, job_id LIMIT 1";
        const std::int64_t now = now_ms();
        SQLite::Statement job(database, free_job);
        job.bind(1, now);
        job.bind(2, static_cast<std::int64_t>(std::chrono::milliseconds(runner_patience).count()));
        if (!job.executeStep()) return std::nullopt;  // without the write lock: most looks find nothing
        job.reset();

        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        if (!job.executeStep()) return std::nullopt;
        WarmTurn turn;
        turn.job = job.getColumn(0).getInt64();
        turn.position = static_cast<std::size_t>(job.getColumn(1).getInt64());
        turn.ids = ids_of_turn(database, turn.job, job.getColumn(1).getInt64(), job.getColumn(2).getInt64());
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
    return with_connection([&](SQLite::Database& database) {
        return change(database,
                      "UPDATE warm_jobs SET in_turn = ?1, heartbeat_ms = ?2 WHERE job_id = ?3 AND position = ?4 AND "
                      "runner = ?5",
                      done, now_ms(), turn.job, turn.position, runner) == 1;
    });
}

bool WarmQueue::finish_turn(const WarmTurn& turn, std::int64_t runner, std::size_t warmed, std::size_t failed) {
    return with_connection([&](SQLite::Database& database) {
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        const std::size_t position = turn.position + turn.ids.size();
        const int changed = change(database,
                                   "UPDATE warm_jobs SET position = ?1, in_turn = 0, warmed = warmed + ?2, "
                                   "failed = failed + ?3, runner = NULL WHERE job_id = ?4 AND position = ?5 AND "
                                   "runner = ?6",
                                   position, warmed, failed, turn.job, turn.position, runner);
        if (changed == 0) return false;
        if (position >= turn.total) {
            change(database, "UPDATE warm_jobs SET finished_ms = ?1 WHERE job_id = ?2", now_ms(), turn.job);
            change(database, "DELETE FROM warm_job_ids WHERE job_id = ?1", turn.job);
        }
        transaction.commit();
        return true;
    });
}

void WarmQueue::give_back(const WarmTurn& turn, std::int64_t runner) {
    with_connection([&](SQLite::Database& database) {
        return change(database,
                      "UPDATE warm_jobs SET runner = NULL, in_turn = 0 WHERE job_id = ?1 AND position = ?2 AND "
                      "runner = ?3",
                      turn.job, turn.position, runner);
    });
}

}  // namespace larder
