#include "core/outbox_relay.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "core/file_identity.hpp"
#include "core/repeated_error.hpp"
#include "core/schema.hpp"
#include "core/submission_source.hpp"

namespace larder {
namespace {

constexpr int busy_timeout_ms = 5;
constexpr int sweep_rows = 1'000;         // of one step: a writer of the database waits for it
constexpr int steps_between_sweeps = 16;  // while a writer keeps the lock
constexpr std::chrono::seconds file_interval{1};
constexpr const char* highest_number = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'";

bool is_busy(const SQLite::Exception& error) {
    return error.getErrorCode() == SQLITE_BUSY || error.getErrorCode() == SQLITE_LOCKED;
}

[[noreturn]] void throw_unreadable(const std::string& path, const SQLite::Exception& error) {
    const std::string what = "cannot read the outbox of " + path + " (" + error.what() + "): ";
    if (is_busy(error)) throw SourceUnavailable(what + "a writer keeps it locked; try again when it is done");
    throw SourceError(what + "check that it is a Larder database");
}

}  // namespace

struct OutboxRelay::Batch {
    std::vector<AssignmentId> ids;  // each once
    std::vector<AssignmentId> published;
    int rows = 0;
    std::int64_t last = 0;  // number up to which the sink knows all, once it was told
    bool gap = false;
    bool complete = false;  // to the end of the outbox
};

struct OutboxRelay::Connection {
    explicit Connection(const std::string& path)
        : database(path, SQLite::OPEN_READWRITE, busy_timeout_ms),
          checked(check(database, path)),
          version(database, "PRAGMA data_version"),
          ids(database, "SELECT DISTINCT assignment_id FROM outbox WHERE seq > ?1 AND seq <= ?2"),
          published(database,
                    "SELECT DISTINCT assignment_id FROM outbox WHERE seq > ?1 AND seq <= ?2 AND kind = 'published'"),
          rows(database, "SELECT count(*), coalesce(max(seq), ?1) FROM outbox WHERE seq > ?1 AND seq <= ?2"),
          last(database, highest_number),
          sweep(database,
                "DELETE FROM outbox WHERE seq <= ?1 AND seq IN (SELECT seq FROM outbox ORDER BY seq LIMIT ?2)") {}

    static bool check(SQLite::Database& database, const std::string& path) {
        check_outbox(database, path);
        // What a power cut may bring back is told a second time, no more.
        database.exec("PRAGMA synchronous = NORMAL");
        return true;
    }

    std::int64_t data_version() {
        version.reset();
        version.executeStep();
        const std::int64_t value = version.getColumn(0).getInt64();
        version.reset();
        return value;
    }

    Batch read_after(std::int64_t told, int batch_rows, bool all_lost);

    SQLite::Database database;
    bool checked;  // before the statements below are prepared
    SQLite::Statement version, ids, published, rows, last, sweep;
};

/// Who changed, how many rows say so and their highest number, as of one snapshot. `all_lost`: `told` means nothing.
OutboxRelay::Batch OutboxRelay::Connection::read_after(std::int64_t told, int batch_rows, bool all_lost) {
    SQLite::Transaction snapshot(database, SQLite::TransactionBehavior::DEFERRED);
    Batch batch;
    for (SQLite::Statement* const statement : {&ids, &published, &rows}) {
        statement->reset();
        statement->bind(1, told);
        statement->bind(2, told + batch_rows);
    }
    while (ids.executeStep()) batch.ids.push_back(ids.getColumn(0).getInt64());
    ids.reset();
    while (published.executeStep()) batch.published.push_back(published.getColumn(0).getInt64());
    published.reset();
    rows.executeStep();
    batch.rows = rows.getColumn(0).getInt();
    batch.last = rows.getColumn(1).getInt64();
    rows.reset();
    last.reset();
    last.executeStep();
    const std::int64_t highest = last.getColumn(0).getInt64();
    last.reset();
    batch.complete = highest <= told + batch_rows;
    batch.gap = all_lost || batch.rows != std::min(highest, told + batch_rows) - told;
    if (batch.gap) {
        // Everything is announced, hence also what comes after this batch.
        batch.last = highest;
        batch.complete = true;
    }
    snapshot.commit();
    return batch;
}

OutboxRelay::OutboxRelay(std::string database_path, NoticeSink& sink, Log log, int batch_rows)
    : path_(std::move(database_path)), sink_(sink), log_(std::move(log)), batch_rows_(batch_rows) {
    reopen();
}

OutboxRelay::~OutboxRelay() = default;

void OutboxRelay::reopen() {
    try {
        connection_ = nullptr;
        // Before it is opened: a file that takes its place in between is another one at the next look.
        told_ = {0, file_identity(path_)};
        connection_ = std::make_unique<Connection>(path_);
    } catch (const SQLite::Exception& error) {
        throw_unreadable(path_, error);
    }
    const std::optional<OutboxPosition> remembered = sink_.position();
    lost_ = !remembered || remembered->database != told_.database;
    if (!lost_) told_ = *remembered;
    file_looked_at_ = std::chrono::steady_clock::now();
    seen_version_ = -1;
    swept_ = false;
}

int OutboxRelay::poll() {
    try {
        if (!connection_ || was_replaced()) reopen();
        // Before the rows: a commit between the two is read now and looked for once more, never missed.
        const std::int64_t version = connection_->data_version();
        if (version == seen_version_) {
            if (!swept_ && ++steps_since_sweep_ >= steps_between_sweeps) sweep();
            return 0;
        }
        Batch batch = connection_->read_after(told_.seq, batch_rows_, lost_);
        if (batch.gap && !lost_ && adopt_position()) batch = connection_->read_after(told_.seq, batch_rows_, false);
        const int rows = tell(batch);
        lost_ = false;
        if (batch.complete) seen_version_ = version;
        caught_up_.store(batch.complete, std::memory_order_release);
        return rows;
    } catch (const SQLite::Exception& error) {
        caught_up_.store(false, std::memory_order_release);
        seen_version_ = -1;
        if (is_busy(error)) return 0;
        connection_ = nullptr;  // opened anew by the next step
        throw_unreadable(path_, error);
    }
}

/// The path leads to another file, or to none: what is open here is a database that nobody else will find.
bool OutboxRelay::was_replaced() {
    const auto now = std::chrono::steady_clock::now();
    if (now - file_looked_at_ < file_interval) return false;
    file_looked_at_ = now;
    return file_identity(path_) != told_.database;
}

/// True: another relay has told the same sink more than this one, and took those rows.
bool OutboxRelay::adopt_position() {
    const std::optional<OutboxPosition> remembered = sink_.position();
    if (!remembered || remembered->database != told_.database || remembered->seq <= told_.seq) return false;
    told_ = *remembered;
    return true;
}

int OutboxRelay::tell(const Batch& batch) {
    const bool first_look = seen_version_ < 0;
    if (batch.gap)
        sink_.everything_changed(lost_ ? "what it was told of this database is not known"
                                       : "the outbox has a gap since the last look");
    else if (!batch.ids.empty())
        sink_.changed(batch.ids);
    if (!batch.gap && !batch.published.empty()) sink_.published(batch.published);
    if (batch.gap || batch.rows > 0 || first_look) {
        told_.seq = batch.last;
        sink_.remember(told_);
        swept_ = false;
        if (batch.complete) sweep();
    }
    return batch.rows;
}

/// The oldest rows of which the sink knows. What a writer's lock or the limit leaves goes with a later step.
void OutboxRelay::sweep() {
    steps_since_sweep_ = 0;
    swept_ = false;
    connection_->sweep.reset();
    connection_->sweep.bind(1, told_.seq);
    connection_->sweep.bind(2, sweep_rows);
    const int code = connection_->sweep.tryExecuteStep();
    const bool done = code == SQLITE_DONE;
    const int deleted = connection_->database.getChanges();
    connection_->sweep.tryReset();
    if (!done && code != SQLITE_BUSY && code != SQLITE_LOCKED)
        throw SourceError("cannot delete from the outbox of " + path_ + " (" + sqlite3_errstr(code) +
                          "): check that the database may be written and has space");
    swept_ = done && deleted < sweep_rows;
    if (done && !swept_) steps_since_sweep_ = steps_between_sweeps;  // more at the next step
}

void OutboxRelay::run(std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    RepeatedError repeated;
    while (!stop.stop_requested()) {
        std::chrono::milliseconds pause = poll_interval;
        try {
            if (poll() == batch_rows_) pause = std::chrono::milliseconds{0};
            if (repeated.is_over()) log_(LogLevel::info, "Outbox relay: works again");
        } catch (const std::exception& error) {
            caught_up_.store(false, std::memory_order_release);
            connection_ = nullptr;
            pause = retry_interval;
            if (repeated.is_news(error.what())) log_(LogLevel::error, std::string("Outbox relay: ") + error.what());
        }
        std::unique_lock lock(mutex);
        stopped.wait_for(lock, stop, pause, [] { return false; });
    }
}

bool is_told(const std::string& database_path, NoticeSink& sink) {
    const std::string file = file_identity(database_path);
    try {
        const SQLite::Database database(database_path, SQLite::OPEN_READONLY, busy_timeout_ms);
        SQLite::Statement last(database, highest_number);
        last.executeStep();
        const std::optional<OutboxPosition> told = sink.position();
        return told && told->database == file && told->seq >= last.getColumn(0).getInt64();
    } catch (const SQLite::Exception& error) {
        throw_unreadable(database_path, error);
    }
}

}  // namespace larder
