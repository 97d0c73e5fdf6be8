#include "core/outbox_relay.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "core/schema.hpp"
#include "core/submission_source.hpp"

namespace larder {
namespace {

constexpr int busy_timeout_ms = 5;
constexpr int steps_between_sweeps = 16;  // while a writer keeps the lock
constexpr int max_batches_at_once = 10'000;

/// The file, whatever its path: device, inode, and when it was made, since inodes are used again.
std::string file_identity(const std::string& path) {
    struct statx status {};
    if (::statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &status) != 0) return "unknown";
    return std::to_string(status.stx_dev_major) + "." + std::to_string(status.stx_dev_minor) + "." +
           std::to_string(status.stx_ino) + "." + std::to_string(status.stx_btime.tv_sec) + "." +
           std::to_string(status.stx_btime.tv_nsec);
}

bool is_busy(const SQLite::Exception& error) {
    return error.getErrorCode() == SQLITE_BUSY || error.getErrorCode() == SQLITE_LOCKED;
}

SourceError unreadable(const std::string& path, const SQLite::Exception& error) {
    return SourceError("cannot read the outbox of " + path + " (" + error.what() +
                       "): check that it is a Larder database");
}

}  // namespace

struct OutboxRelay::Batch {
    std::vector<AssignmentId> ids;  // each once
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
          rows(database, "SELECT seq, assignment_id FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?"),
          last(database, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'"),
          sweep(database, "DELETE FROM outbox WHERE seq <= ?") {}

    static bool check(SQLite::Database& database, const std::string& path) {
        check_schema(database, path);
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

    Batch read_after(std::int64_t told);

    SQLite::Database database;
    bool checked;  // before the statements below are prepared
    SQLite::Statement version, rows, last, sweep;
};

/// Rows and highest number as of one snapshot.
OutboxRelay::Batch OutboxRelay::Connection::read_after(std::int64_t told) {
    SQLite::Transaction snapshot(database, SQLite::TransactionBehavior::DEFERRED);
    Batch batch;
    batch.last = told;
    rows.reset();
    rows.bind(1, told);
    rows.bind(2, batch_rows);
    while (rows.executeStep()) {
        const std::int64_t seq = rows.getColumn(0).getInt64();
        if (seq != batch.last + 1) batch.gap = true;
        batch.last = seq;
        batch.ids.push_back(rows.getColumn(1).getInt64());
        ++batch.rows;
    }
    rows.reset();
    batch.complete = batch.rows < batch_rows;
    last.reset();
    last.executeStep();
    const std::int64_t highest = last.getColumn(0).getInt64();
    last.reset();
    if (batch.complete && highest != batch.last) batch.gap = true;
    if (batch.gap) {
        // Everything is announced, hence also what comes after this batch.
        batch.last = highest;
        batch.complete = true;
    }
    snapshot.commit();
    std::sort(batch.ids.begin(), batch.ids.end());
    batch.ids.erase(std::unique(batch.ids.begin(), batch.ids.end()), batch.ids.end());
    return batch;
}

OutboxRelay::OutboxRelay(std::string database_path, NoticeSink& sink, Log log)
    : path_(std::move(database_path)), sink_(sink), log_(std::move(log)) {
    reopen();
}

OutboxRelay::~OutboxRelay() = default;

void OutboxRelay::reopen() {
    try {
        connection_ = nullptr;
        connection_ = std::make_unique<Connection>(path_);
    } catch (const SQLite::Exception& error) {
        throw unreadable(path_, error);
    }
    const OutboxPosition start{0, file_identity(path_)};
    const std::optional<OutboxPosition> remembered = sink_.position();
    told_ = remembered && remembered->database == start.database ? *remembered : start;
    seen_version_ = -1;
    swept_ = false;
}

int OutboxRelay::poll() {
    try {
        if (!connection_) reopen();
        // Before the rows: a commit between the two is read now and looked for once more, never missed.
        const std::int64_t version = connection_->data_version();
        if (version == seen_version_) {
            if (!swept_ && ++steps_since_sweep_ >= steps_between_sweeps) sweep();
            return 0;
        }
        Batch batch = connection_->read_after(told_.seq);
        if (batch.gap && adopt_position()) batch = connection_->read_after(told_.seq);
        const int rows = tell(batch);
        if (batch.complete) seen_version_ = version;
        caught_up_.store(batch.complete, std::memory_order_release);
        return rows;
    } catch (const SQLite::Exception& error) {
        caught_up_.store(false, std::memory_order_release);
        seen_version_ = -1;
        if (is_busy(error)) return 0;
        throw unreadable(path_, error);
    }
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
        sink_.everything_changed();
    else if (!batch.ids.empty())
        sink_.changed(batch.ids);
    if (batch.gap || batch.rows > 0 || first_look) {
        told_.seq = batch.last;
        sink_.remember(told_);
        sweep();
    }
    return batch.rows;
}

void OutboxRelay::sweep() {
    steps_since_sweep_ = 0;
    swept_ = false;
    connection_->sweep.reset();
    connection_->sweep.bind(1, told_.seq);
    const int code = connection_->sweep.tryExecuteStep();
    const bool done = code == SQLITE_DONE;
    connection_->sweep.tryReset();
    if (!done && code != SQLITE_BUSY && code != SQLITE_LOCKED)
        throw SourceError("cannot delete from the outbox of " + path_ + " (" + sqlite3_errstr(code) +
                          "): check that the database may be written and has space");
    swept_ = done;
}

void OutboxRelay::run(std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::string last_error;
    while (!stop.stop_requested()) {
        std::chrono::milliseconds pause = poll_interval;
        try {
            if (poll() == batch_rows) pause = std::chrono::milliseconds{0};
            last_error.clear();
        } catch (const std::exception& error) {
            caught_up_.store(false, std::memory_order_release);
            connection_ = nullptr;
            pause = retry_interval;
            if (last_error != error.what()) log_(LogLevel::error, std::string("Outbox relay: ") + error.what());
            last_error = error.what();
        }
        std::unique_lock lock(mutex);
        stopped.wait_for(lock, stop, pause, [] { return false; });
    }
}

int relay_once(const std::string& database_path, NoticeSink& sink, const Log& log) {
    OutboxRelay relay(database_path, sink, log);
    int rows = 0;
    for (int batch = 0; batch < max_batches_at_once && !relay.caught_up(); ++batch) rows += relay.poll();
    return rows;
}

}  // namespace larder
