#include "core/outbox_relay.hpp"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include "core/csv_import.hpp"
#include "core/file_identity.hpp"
#include "core/sqlite_database.hpp"
#include "core/submission_source.hpp"
#include "tests/core/school.hpp"
#include "tests/support/eventually.hpp"

using namespace larder;
using larder::test::School;

namespace {

/// A cache that only remembers what it was told. Outlives relays, as a segment does.
class Listener final : public NoticeSink {
public:
    void changed(std::span<const AssignmentId> ids) override {
        if (before_notice) before_notice();
        const std::lock_guard lock(mutex_);
        told_.insert(ids.begin(), ids.end());
        notified_.notify_all();
    }
    void published(std::span<const AssignmentId> ids) override {
        published_before_change = published_before_change || told_.empty();
        published_ids.insert(published_ids.end(), ids.begin(), ids.end());
    }
    void everything_changed(std::string_view) override {
        const std::lock_guard lock(mutex_);
        ++flushes_;
        notified_.notify_all();
    }
    std::optional<OutboxPosition> position() override { return position_; }
    void remember(const OutboxPosition& position) override { position_ = position; }

    std::multiset<AssignmentId> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(told_, {});
    }
    int take_flushes() { return std::exchange(flushes_, 0); }
    bool wait_for(AssignmentId id) {
        std::unique_lock lock(mutex_);
        return notified_.wait_for(lock, std::chrono::seconds{10}, [&] { return told_.count(id) > 0; });
    }
    void forget_position() { position_.reset(); }

    std::vector<AssignmentId> published_ids;
    bool published_before_change = false;

    std::function<void()> before_notice;

private:
    std::mutex mutex_;
    std::condition_variable notified_;
    std::multiset<AssignmentId> told_;
    int flushes_ = 0;
    std::optional<OutboxPosition> position_;
};

using Told = std::multiset<AssignmentId>;

struct Office : School {
    Office() {
        for (const int id : {1, 2, 3}) add_assignment(id);
        add_score(10, 1, "90");
        add_score(20, 2, "90");
        add_score(30, 3, "90");
    }
    void change(int submission_id) {
        sql("UPDATE submissions SET score = score - 1 WHERE submission_id = " + std::to_string(submission_id));
    }
    std::int64_t outbox_rows() { return number("SELECT count(*) FROM outbox"); }
    OutboxRelay relay() { return OutboxRelay(path(), listener, {}); }
    Listener listener;
};

/// An office whose outbox was relayed to its end.
struct QuietOffice : Office {
    QuietOffice() {
        relay_once(SqliteDatabase(path()), listener, {});
        listener.take();
        listener.take_flushes();
    }
};

/// The other school's database, as a whole, under the office's path.
void put_in_place_of(Office& office, School& other) {
    const std::string whole = other.path() + ".whole";
    other.sql("VACUUM INTO '" + whole + "'");
    for (const char* end : {"-wal", "-shm"}) std::filesystem::remove(office.path() + end);
    std::filesystem::rename(whole, office.path());
}

bool everything_changes(Office& office, OutboxRelay& relay) {
    return larder::test::eventually([&] {
        try {
            relay.poll();
        } catch (const SourceError&) {
            return false;  // what is open is half of one file and half of another
        }
        return office.listener.take_flushes() > 0;
    });
}

}  // namespace

TEST_CASE("a relay tells each changed assignment once and empties the outbox") {
    Office office;
    office.listener.remember({0, file_identity(office.path())});
    OutboxRelay relay(office.path(), office.listener, {});
    CHECK_FALSE(relay.caught_up());
    CHECK(relay.poll() == 6);
    CHECK(office.listener.take() == Told{1, 2, 3});
    CHECK(office.outbox_rows() == 0);
    CHECK(relay.caught_up());
    CHECK(relay.poll() == 0);
    CHECK(office.listener.take().empty());
    CHECK(office.listener.take_flushes() == 0);
}

TEST_CASE("a change is told after its commit, not before, and not when it is rolled back") {
    QuietOffice office;
    OutboxRelay relay(office.path(), office.listener, {});
    office.sql("BEGIN");
    office.change(10);
    CHECK(relay.poll() == 0);
    office.sql("ROLLBACK; BEGIN");
    office.change(20);
    CHECK(relay.poll() == 0);
    office.sql("COMMIT");
    CHECK(relay.poll() == 1);
    CHECK(office.listener.take() == Told{2});
}

TEST_CASE("an assignment that was published is told so, after its change") {
    QuietOffice office;
    OutboxRelay relay(office.path(), office.listener, {});
    office.sql("UPDATE assignments SET status = 'published' WHERE assignment_id IN (1, 3)");
    office.change(20);
    CHECK(relay.poll() == 5);
    CHECK(office.listener.published_ids == std::vector<AssignmentId>{1, 3});
    CHECK_FALSE(office.listener.published_before_change);

    office.listener.published_ids.clear();
    office.sql(
        "UPDATE assignments SET status = 'published' WHERE assignment_id = 2; DELETE FROM outbox WHERE kind = "
        "'assignment'");
    CHECK(everything_changes(office, relay));
    CHECK(office.listener.published_ids.empty());  // not where changes were missed
    CHECK(office.listener.take() == Told{1, 2, 3});
}

TEST_CASE("whoever relays once waits for a writer a while") {
    QuietOffice office;
    office.sql("PRAGMA journal_mode = DELETE");
    office.change(10);
    office.sql("BEGIN EXCLUSIVE");
    std::jthread writer([&office] {
        // Longer than one attempt takes.
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
        larder::test::eventually([end] { return std::chrono::steady_clock::now() >= end; });
        office.sql("COMMIT");
    });
    CHECK(relay_once(SqliteDatabase(office.path()), office.listener, {}) == 1);
    writer.join();
    CHECK(office.listener.take() == Told{1});
}

TEST_CASE("rows that were written while no relay ran are told by the next one") {
    QuietOffice office;
    office.change(10);
    office.change(30);
    OutboxRelay relay(office.path(), office.listener, {});
    CHECK(relay.poll() == 2);
    CHECK(office.listener.take() == Told{1, 3});
    CHECK(office.listener.take_flushes() == 0);
}

TEST_CASE("a relay that ends before its notices are applied leaves its rows to the next one") {
    QuietOffice office;
    office.change(10);
    {
        OutboxRelay relay(office.path(), office.listener, {});
        office.listener.before_notice = [] { throw SourceError("killed"); };
        CHECK_THROWS_AS(relay.poll(), SourceError);
        CHECK_FALSE(relay.caught_up());
    }
    office.listener.before_notice = {};
    CHECK(office.outbox_rows() == 1);
    OutboxRelay next(office.path(), office.listener, {});
    CHECK(next.poll() == 1);
    CHECK(office.listener.take() == Told{1});
}

TEST_CASE("rows are still there while their notices are applied") {
    QuietOffice office;
    office.change(10);
    OutboxRelay relay(office.path(), office.listener, {});
    std::int64_t rows_at_notice = -1;
    office.listener.before_notice = [&] { rows_at_notice = office.outbox_rows(); };
    relay.poll();
    CHECK(rows_at_notice == 1);
    CHECK(office.outbox_rows() == 0);
}

TEST_CASE("while a writer holds the lock notices go on, and rows are deleted later") {
    QuietOffice office;
    OutboxRelay relay(office.path(), office.listener, {});
    office.change(10);
    SQLite::Database other(office.path(), SQLite::OPEN_READWRITE);
    other.exec("BEGIN IMMEDIATE");
    CHECK(relay.poll() == 1);
    CHECK(office.listener.take() == Told{1});
    CHECK(relay.caught_up());
    CHECK(office.outbox_rows() == 1);
    other.exec("UPDATE submissions SET score = 1 WHERE submission_id = 20; COMMIT");
    CHECK(relay.poll() == 1);
    CHECK(office.listener.take() == Told{2});
    CHECK(office.outbox_rows() == 0);
}

TEST_CASE("rows that could not be deleted go without another change") {
    QuietOffice office;
    OutboxRelay relay(office.path(), office.listener, {});
    relay.poll();
    office.change(10);
    office.sql("BEGIN IMMEDIATE");
    relay.poll();
    office.sql("ROLLBACK");
    CHECK(office.outbox_rows() == 1);
    for (int step = 0; step < 100 && office.outbox_rows() > 0; ++step) CHECK(relay.poll() == 0);
    CHECK(office.outbox_rows() == 0);
}

TEST_CASE("a long outbox is told in batches, and caught up only at its end") {
    QuietOffice office;
    office.sql(
        "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 100 + 2499) "
        "INSERT INTO assignments(assignment_id) SELECT i FROM n");
    OutboxRelay relay(office.path(), office.listener, {}, 1'000);
    CHECK(relay.poll() == 1'000);
    CHECK_FALSE(relay.caught_up());
    CHECK(relay.poll() == 1'000);
    CHECK(relay.poll() == 500);
    CHECK(relay.caught_up());
    CHECK(office.listener.take().size() == 2'500);
    for (int step = 0; step < 100 && office.outbox_rows() > 0; ++step) CHECK(relay.poll() == 0);
    CHECK(office.outbox_rows() == 0);
}

TEST_CASE("many changes of one assignment are told once, and their rows go in steps") {
    QuietOffice office;
    OutboxRelay relay(office.path(), office.listener, {});
    relay.poll();
    office.listener.take();
    office.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) "
        "INSERT INTO outbox(kind, assignment_id) SELECT 'submission', 10 FROM n");
    CHECK(relay.poll() == 2'500);
    CHECK(office.listener.take() == Told{10});
    CHECK(relay.caught_up());
    CHECK(office.outbox_rows() == 1'500);
    for (int step = 0; step < 5; ++step) CHECK(relay.poll() == 0);
    CHECK(office.outbox_rows() == 0);
}

TEST_CASE("a database that another took the place of is followed, and everything changes") {
    QuietOffice office, other;
    OutboxRelay relay(office.path(), office.listener, {});
    relay.poll();
    office.listener.take_flushes();
    put_in_place_of(office, other);
    CHECK(everything_changes(office, relay));
}

TEST_CASE("rows that another cache's relay took away make everything change") {
    QuietOffice office;
    Listener other;
    office.change(10);
    relay_once(SqliteDatabase(office.path()), other, {});
    office.change(20);
    OutboxRelay relay(office.path(), office.listener, {});
    relay.poll();
    CHECK(office.listener.take_flushes() == 1);
    CHECK(relay.caught_up());
    office.change(30);
    CHECK(relay.poll() == 1);
    CHECK(office.listener.take() == Told{3});
    CHECK(office.listener.take_flushes() == 0);
}

TEST_CASE("rows that the same cache's other relay took away change nothing more") {
    QuietOffice office;
    OutboxRelay first(office.path(), office.listener, {});
    OutboxRelay second(office.path(), office.listener, {});
    first.poll();
    second.poll();
    office.change(10);
    first.poll();
    office.change(20);
    second.poll();
    CHECK(office.listener.take() == Told{1, 2});
    CHECK(office.listener.take_flushes() == 0);
}

TEST_CASE("a cache that has lost its position is told that everything changed") {
    for (const bool has_rows : {false, true}) {
        QuietOffice office;
        if (has_rows) office.change(10);
        office.listener.forget_position();
        OutboxRelay relay(office.path(), office.listener, {});
        relay.poll();
        CHECK(office.listener.take_flushes() == 1);
        CHECK(relay.caught_up());
        office.change(20);
        CHECK(relay.poll() == 1);
        CHECK(office.listener.take() == Told{2});
    }
}

TEST_CASE("a gap longer than a batch is a gap") {
    QuietOffice office;
    OutboxRelay relay(office.path(), office.listener, {}, 1'000);
    relay.poll();
    office.sql("UPDATE sqlite_sequence SET seq = seq + 5000 WHERE name = 'outbox'");
    office.change(10);
    for (int step = 0; step < 3; ++step) relay.poll();
    CHECK(office.listener.take_flushes() == 1);
    CHECK(relay.caught_up());
    office.change(20);
    CHECK(relay.poll() == 1);
    CHECK(office.listener.take() == Told{2});
}

TEST_CASE("an empty database that takes the place of another changes everything, also where the position is lost") {
    QuietOffice office;
    School empty;
    OutboxRelay relay(office.path(), office.listener, {});
    relay.poll();
    office.listener.take_flushes();
    office.listener.forget_position();
    put_in_place_of(office, empty);
    CHECK(everything_changes(office, relay));
}

TEST_CASE("a database made anew at the same path is another one") {
    QuietOffice office;
    Office another;
    put_in_place_of(office, another);
    OutboxRelay relay(office.path(), office.listener, {});
    relay.poll();
    CHECK(office.listener.take_flushes() == 1);
    CHECK(office.outbox_rows() == 0);
}

TEST_CASE("an import is told as the assignments that it touched") {
    QuietOffice office;
    OutboxRelay relay(office.path(), office.listener, {});
    relay.poll();
    const std::string rows = test::write_file(
        office.directory(), "s.csv",
        "submission_id,assignment_id,student_id,status,score,max_score,is_late,submitted_at,graded_at\n"
        "10,2,1,graded,5,100,0,,\n11,2,1,graded,5,100,0,,\n");
    import_csv(office.path(), {"", rows});
    CHECK(relay.poll() == 2);
    CHECK(office.listener.take() == Told{1, 2});
    CHECK(office.listener.take_flushes() == 0);
}

TEST_CASE("no change of concurrent writers is lost", "[tsan]") {
    QuietOffice office;
    constexpr int writers = 3, changes = 60;
    std::vector<std::thread> threads;
    for (int writer = 0; writer < writers; ++writer)
        threads.emplace_back([&office, writer] {
            SQLite::Database database(office.path(), SQLite::OPEN_READWRITE, 20'000);
            for (int i = 0; i < changes; ++i)
                database.exec("INSERT INTO assignments(assignment_id) VALUES (" +
                              std::to_string(1'000 * (writer + 1) + i) + ")");
        });
    std::jthread runner([&office](std::stop_token stop) { OutboxRelay(office.path(), office.listener, {}).run(stop); });
    for (std::thread& thread : threads) thread.join();
    for (int writer = 0; writer < writers; ++writer)
        for (int i = 0; i < changes; ++i) CHECK(office.listener.wait_for(1'000 * (writer + 1) + i));
    runner.request_stop();
    runner.join();
    CHECK(office.listener.take_flushes() == 0);
}

TEST_CASE("a running relay tells changes by itself and ends when asked", "[tsan]") {
    QuietOffice office;
    std::jthread runner([&office](std::stop_token stop) { OutboxRelay(office.path(), office.listener, {}).run(stop); });
    office.change(20);
    CHECK(office.listener.wait_for(2));
    office.change(30);
    CHECK(office.listener.wait_for(3));
}

TEST_CASE("a running relay says an error once, and goes on when it is gone") {
    QuietOffice office;
    std::mutex mutex;
    std::condition_variable logged;
    int errors = 0, ends = 0;
    const Log log{LogLevel::info, [&](LogLevel level, std::string_view line) {
                      const std::lock_guard lock(mutex);
                      if (level == LogLevel::error) ++errors;
                      if (line == "Outbox relay: works again") ++ends;
                      logged.notify_all();
                  }};
    OutboxRelay relay(office.path(), office.listener, log);
    office.sql("ALTER TABLE outbox RENAME TO hidden");
    std::jthread runner([&](std::stop_token stop) { relay.run(stop); });
    {
        std::unique_lock lock(mutex);
        // The connection that was there, and the next one, say it in two ways.
        CHECK(logged.wait_for(lock, std::chrono::seconds{10}, [&] { return errors > 1; }));
    }
    CHECK_FALSE(relay.caught_up());
    office.sql("ALTER TABLE hidden RENAME TO outbox");
    office.change(20);
    CHECK(office.listener.wait_for(2));
    std::unique_lock lock(mutex);
    CHECK(logged.wait_for(lock, std::chrono::seconds{10}, [&] { return ends > 0; }));
    CHECK(errors == 2);
    CHECK(ends == 1);
}

TEST_CASE("a relay cannot be opened on what is no Larder database") {
    Listener listener;
    CHECK_THROWS_AS(OutboxRelay("/nonexistent/school.db", listener, {}), SourceError);
    CHECK_THROWS_AS(relay_once(SqliteDatabase("/nonexistent/school.db"), listener, {}), SourceError);
}

TEST_CASE("figures: a change reaches the notice", "[.bench]") {
    QuietOffice office;
    std::jthread runner([&office](std::stop_token stop) { OutboxRelay(office.path(), office.listener, {}).run(stop); });
    double longest_ms = 0;
    for (int i = 0; i < 200; ++i) {
        office.change(10);
        const auto committed = std::chrono::steady_clock::now();
        REQUIRE(office.listener.wait_for(1));
        longest_ms =
            std::max(longest_ms,
                     std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - committed).count());
        office.listener.take();
    }
    WARN("longest of 200: " << longest_ms << " ms from commit to notice");
}
