// The outbox of a PostgreSQL database: no commit is missed, whatever the order in which transactions end.
#include "core/postgres/postgres_relay.hpp"

#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "tests/postgres/postgres_server.hpp"

using namespace larder;
using namespace larder::test;
using postgres::Connection;
using postgres::PostgresRelay;
using Told = std::multiset<AssignmentId>;

namespace {

/// A cache that only remembers what it was told. Outlives relays, as a segment does.
class Sink final : public NoticeSink {
public:
    void changed(std::span<const AssignmentId> ids) override {
        const std::lock_guard lock(mutex);
        told.insert(ids.begin(), ids.end());
    }
    void published(std::span<const AssignmentId> ids) override { published_ids.insert(ids.begin(), ids.end()); }
    void everything_changed(std::string_view) override { ++flushes; }
    std::optional<OutboxPosition> position() override { return known; }
    void remember(const OutboxPosition& position) override { known = position; }
    void look_ended(std::uint64_t position) override { looked_at = position; }
    Told take() {
        const std::lock_guard lock(mutex);
        return std::exchange(told, {});
    }
    int take_flushes() { return std::exchange(flushes, 0); }

    std::mutex mutex;
    Told told, published_ids;
    int flushes = 0;
    std::uint64_t looked_at = 0;
    std::optional<OutboxPosition> known;
};

/// What a relay logs. Threads: safe.
class Lines {
public:
    Log log() {
        return {LogLevel::info, [this](LogLevel, std::string_view line) {
                    const std::lock_guard lock(mutex_);
                    lines_.emplace_back(line);
                }};
    }
    std::size_t count() const {
        const std::lock_guard lock(mutex_);
        return lines_.size();
    }
    bool last_is(std::string_view start) const {
        const std::lock_guard lock(mutex_);
        return !lines_.empty() && lines_.back().starts_with(start);
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
};

struct Office : PostgresSchool {
    Office() {
        for (const int id : {1, 2, 3}) add_assignment(id);
        for (const int id : {1, 2, 3}) add_score(10 * id, id, "90");
        relay.poll();
        sink.take();
        sink.take_flushes();
    }
    void change(int id) { sql("UPDATE submissions SET score = score - 1 WHERE assignment_id = " + std::to_string(id)); }
    Sink sink;
    PostgresRelay relay{url, sink, {}};
};

}  // namespace

TEST_CASE("a commit is told once, whatever changed and by which statement", "[postgres]") {
    Office office;
    office.change(1);
    CHECK(office.relay.poll() == 1);
    CHECK(office.sink.take() == Told{1});
    CHECK(office.relay.poll() == 0);
    office.sql("UPDATE submissions SET assignment_id = 3 WHERE submission_id = 20");
    office.relay.poll();
    CHECK(office.sink.take() == Told{2, 3});
    office.sql(
        "INSERT INTO submissions(submission_id, assignment_id) VALUES (10, 2) ON CONFLICT (submission_id) DO "
        "UPDATE SET assignment_id = excluded.assignment_id");
    office.relay.poll();
    CHECK(office.sink.take() == Told{1, 2});
    office.sql("DELETE FROM submissions WHERE submission_id = 30");
    office.relay.poll();
    CHECK(office.sink.take() == Told{3});
    office.sql("UPDATE assignments SET title = 'x', status = 'published' WHERE assignment_id < 3");
    office.relay.poll();
    CHECK(office.sink.take() == Told{1, 2});
    CHECK(office.sink.published_ids == Told{1, 2});
    CHECK(office.sink.take_flushes() == 0);
    office.sql("TRUNCATE submissions");
    office.relay.poll();
    CHECK(office.sink.take_flushes() == 1);
}

TEST_CASE("a transaction has one row in the outbox for each assignment, however much it does", "[postgres]") {
    Office office;
    office.sql("BEGIN");
    for (int i = 0; i < 50; ++i) office.sql("UPDATE submissions SET score = " + std::to_string(i));
    office.sql("COMMIT");
    CHECK(office.relay.poll() == 3);
    office.sql("BEGIN");
    office.change(1);
    office.sql("ROLLBACK");
    CHECK(office.relay.poll() == 0);
}

TEST_CASE("a transaction that began before others and ends after them is told, which a cursor by number loses",
          "[postgres]") {
    Office office;
    office.sql("ALTER TABLE outbox ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY");  // as readers use elsewhere
    Connection slow(office.options());
    slow.run("BEGIN; UPDATE submissions SET score = 1 WHERE assignment_id = 1");
    office.change(2);
    std::int64_t last_seq = office.number("SELECT max(seq) FROM outbox");
    CHECK(office.relay.poll() == 1);
    CHECK(office.sink.take() == Told{2});
    slow.run("COMMIT");
    CHECK(office.number("SELECT count(*) FROM outbox WHERE seq > " + std::to_string(last_seq)) == 0);  // lost
    CHECK(office.relay.poll() == 1);
    CHECK(office.sink.take() == Told{1});
    CHECK(office.relay.poll() == 0);
}

TEST_CASE("while a long transaction holds the horizon nothing is told over and over", "[postgres]") {
    Office office;
    Connection slow(office.options());
    slow.run("BEGIN; UPDATE submissions SET score = 1 WHERE assignment_id = 1");
    for (int i = 0; i < 20; ++i) {
        office.change(2);
        CHECK(office.relay.poll() == 1);
    }
    CHECK(office.relay.poll() == 0);
    CHECK(office.sink.take().count(2) == 20);
    slow.run("COMMIT");
    CHECK(office.relay.poll() == 1);
}

TEST_CASE("the next relay goes on where the last one came to; twice told is better than never", "[postgres]") {
    Office office;
    office.change(1);
    {
        PostgresRelay next(office.url, office.sink, {});
        CHECK(next.poll() >= 1);
        CHECK(office.sink.take().count(1) >= 1);
        CHECK(office.sink.take_flushes() == 0);
    }
    office.change(2);
    office.sink.known->seq = 0;
    PostgresRelay lost(office.url, office.sink, {});
    lost.poll();
    CHECK(office.sink.take_flushes() == 1);
    office.sink.known->database = "another";
    PostgresRelay elsewhere(office.url, office.sink, {});
    elsewhere.poll();
    CHECK(office.sink.take_flushes() == 1);
    elsewhere.poll();
    CHECK(office.sink.take_flushes() == 0);
}

TEST_CASE("a crash may take back what was told: everything is announced; a restart takes back nothing", "[postgres]") {
    PostgresServer server;
    const std::string url = server.make_database();
    pid_t wal_writer = 0;  // stopped, so that what is not waited for is written by nobody, however long all this takes
    const auto connected = [&] { return Connection({.url = url, .patience = std::chrono::seconds(20)}); };
    Sink sink;
    std::unique_ptr<PostgresRelay> relay;
    {
        Connection writer = connected();
        postgres::create_schema(writer);
        writer.run("INSERT INTO assignments(assignment_id, title) VALUES (1, 'kept'), (2, 'kept'); CHECKPOINT");
        relay = std::make_unique<PostgresRelay>(url, sink, Log{});
        relay->poll();
        sink.take();
        sink.take_flushes();
        wal_writer = static_cast<pid_t>(
            writer.run("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'").integer(0, 0));
        REQUIRE(::kill(wal_writer, SIGSTOP) == 0);
        writer.run("SET synchronous_commit = off; UPDATE assignments SET title = 'undone' WHERE assignment_id = 1");
        relay->poll();
        CHECK(sink.take().count(1) == 1);
    }
    const bool is_crash = GENERATE(true, false);
    const bool is_another = GENERATE(false, true);
    REQUIRE(::kill(wal_writer, is_crash ? SIGKILL : SIGCONT) == 0);
    server.restart(is_crash ? SIGQUIT : SIGINT);
    CHECK((connected().run("SELECT title FROM assignments WHERE assignment_id = 1").text(0, 0) == "kept") == is_crash);
    connected().run("UPDATE assignments SET title = 'x' WHERE assignment_id = 2");
    if (is_another)
        relay = std::make_unique<PostgresRelay>(url, sink, Log{});  // goes on where that one was
    else
        CHECK_THROWS_AS(relay->poll(), SourceError);
    relay->poll();
    CHECK(sink.take_flushes() == (is_crash ? 1 : 0));
    CHECK(sink.take().count(2) == (is_crash ? 0 : 1));
}

TEST_CASE("a replica that has all stands where a look says, at the end of a segment too", "[postgres]") {
    Office office;
    office.change(1);
    office.relay.poll();  // which rings: that is written, too
    office.sql("SELECT pg_switch_wal()");
    office.relay.poll();
    // Nothing is written meanwhile: what has reached the disk is what a replica has.
    CHECK(static_cast<std::int64_t>(office.sink.looked_at) ==
          office.number("SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"));
}

TEST_CASE("rows that were removed before they were read are everything, once", "[postgres]") {
    Office office;
    office.change(1);
    office.sql("DELETE FROM outbox");
    office.relay.poll();
    CHECK(office.sink.take_flushes() == 1);
    office.relay.poll();
    CHECK(office.sink.take_flushes() == 0);
    Connection slow(office.options());  // whose transaction keeps the cursor below what was removed
    slow.run("BEGIN; UPDATE submissions SET score = 1 WHERE assignment_id = 1");
    office.change(2);
    office.sql("DELETE FROM outbox");
    office.relay.poll();
    CHECK(office.sink.take_flushes() == 1);
    for (int i = 0; i < 3; ++i) office.relay.poll();
    CHECK(office.sink.take_flushes() == 0);
    slow.run("COMMIT");
    office.relay.poll();
    CHECK(office.sink.take() == Told{1});
    slow.run("BEGIN; UPDATE submissions SET score = 2 WHERE assignment_id = 1");
    office.change(2);
    office.sql("DELETE FROM outbox");
    office.relay.poll();
    CHECK(office.sink.take_flushes() == 1);
    slow.run("DELETE FROM outbox; COMMIT");  // below what had been removed before
    office.relay.poll();
    CHECK(office.sink.take_flushes() == 1);
    office.sql("TRUNCATE outbox");
    office.relay.poll();
    CHECK(office.sink.take_flushes() == 1);
}

TEST_CASE("what becomes of the watched tables themselves is everything, once", "[postgres]") {
    Office office;
    const char* const trigger =
        "CREATE TRIGGER deleted AFTER DELETE ON submissions REFERENCING OLD TABLE AS before "
        "FOR EACH STATEMENT EXECUTE FUNCTION note_changes('submission')";
    for (const std::string& statements :
         {std::string("BEGIN; ALTER TABLE submissions DISABLE TRIGGER USER; UPDATE submissions SET score = 1; "
                      "ALTER TABLE submissions ENABLE TRIGGER USER; COMMIT"),
          "BEGIN; DROP TRIGGER deleted ON submissions; DELETE FROM submissions; " + std::string(trigger) + "; COMMIT",
          std::string("ALTER TABLE submissions ALTER COLUMN score TYPE numeric USING score / 2"),
          std::string("CREATE VIEW shown AS SELECT assignment_id, score FROM submissions"),
          std::string("CREATE OR REPLACE VIEW shown AS SELECT assignment_id, score + 1 AS score FROM submissions"),
          std::string("CREATE SCHEMA school; ALTER VIEW shown SET SCHEMA school"),
          std::string("ALTER SCHEMA school RENAME TO old_school"),
          std::string("ALTER TABLE submissions ENABLE ROW LEVEL SECURITY"),
          std::string("CREATE POLICY graded ON submissions USING (status = 'graded')"),
          std::string("CREATE TABLE more() INHERITS (submissions)"),
          std::string("CREATE TABLE some_more() INHERITS (submissions)"),
          std::string("ALTER TABLE more NO INHERIT submissions"),
          std::string("ALTER TABLE some_more NO INHERIT submissions; ANALYZE submissions"),
          std::string("REVOKE SELECT ON submissions FROM larder_reader"),
          std::string(
              "CREATE ROLE reporter; GRANT SELECT (assignment_id) ON submissions TO reporter; CREATE VIEW ids AS "
              "SELECT assignment_id FROM submissions; ALTER VIEW ids OWNER TO reporter"),
          std::string("CREATE OR REPLACE VIEW ids AS SELECT assignment_id + 1 AS assignment_id FROM submissions"),
          std::string("CREATE ROLE nobody; CREATE VIEW seen WITH (security_invoker) AS SELECT * FROM submissions; "
                      "ALTER VIEW seen OWNER TO nobody"),
          std::string("DO $$ BEGIN EXECUTE pg_get_functiondef('note_changes'::regproc); END $$"),
          std::string("CREATE MATERIALIZED VIEW report AS SELECT * FROM submissions"),
          std::string("GRANT SELECT ON submissions TO reporter"),
          std::string("ALTER TABLE submissions RENAME TO handed_in")}) {
        INFO(statements);
        office.sql(statements);
        CHECK(eventually([&] { return office.relay.poll(), office.sink.flushes != 0; }));
        eventually([&] { return office.relay.poll(), office.sink.flushes > 1; }, 2 * PostgresRelay::heartbeat);
        CHECK(office.sink.take_flushes() == 1);
    }
    office.sql("CREATE TEMP VIEW mine AS SELECT * FROM handed_in");  // as workers do
    office.sql("ANALYZE handed_in; CREATE INDEX ON handed_in(status)");
    office.sql(  // nor is it of those who may nothing
        "CREATE ROLE mallory; SET ROLE mallory; "
        "CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS '/* larder.outbox */ BEGIN RETURN NULL; END'; "
        "CREATE TEMP TABLE t(i int); "
        "CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION pg_temp.f(); RESET ROLE; "
        "CREATE VIEW unread AS SELECT * FROM handed_in; ALTER VIEW unread OWNER TO mallory");
    office.sql("REFRESH MATERIALIZED VIEW report; GRANT SELECT ON handed_in TO reporter");  // as it is
    eventually([&] { return office.relay.poll(), false; }, 2 * PostgresRelay::heartbeat);
    CHECK(office.sink.take_flushes() == 0);
    office.sql("ALTER TABLE handed_in RENAME TO submissions");
    PostgresRelay next(office.url, office.sink, {});  // nobody looked meanwhile
    next.poll();
    CHECK(office.sink.take_flushes() == 1);
}

TEST_CASE("a connection that is ended by the server is made anew, and nothing is lost", "[postgres]") {
    Office office;
    office.change(1);
    office.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'larder relay' AND "
        "datname = current_database()");
    CHECK_THROWS_AS(office.relay.poll(), SourceError);
    CHECK(office.relay.poll() == 1);
    CHECK(office.sink.take() == Told{1});
    CHECK(office.sink.take_flushes() == 0);
}

TEST_CASE("a running relay says an error once, and when it works again", "[postgres]") {
    Office office;
    Lines lines;
    Sink sink;
    PostgresRelay relay(office.url, sink, lines.log());
    std::jthread running([&](std::stop_token stop) { relay.run(stop); });
    office.sql("ALTER TABLE outbox RENAME TO hidden");
    CHECK(eventually([&] { return lines.count() >= 2; }));  // this connection and the next one say it in two ways
    office.sql("ALTER TABLE hidden RENAME TO outbox");
    CHECK(eventually([&] { return lines.last_is("Outbox relay: works again"); }));
    running = {};
    CHECK(lines.count() == 3);
}

TEST_CASE("who was not elected does not say that he works again", "[postgres]") {
    Office office;
    Lines lines;
    Sink sink;
    PostgresRelay relay(office.url, sink, lines.log(), {.looks = PostgresRelay::Looks::when_elected});
    std::jthread running([&](std::stop_token stop) { relay.run(stop); });
    const auto end_until = [&](const char* said) {
        return eventually([&] {
            office.relay.poll();
            office.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'larder relay' AND "
                "datname = current_database() AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')");
            return lines.last_is(said);
        });
    };
    REQUIRE(end_until("Outbox relay: cannot "));
    for (const auto until = std::chrono::steady_clock::now() + 3 * PostgresRelay::heartbeat;
         std::chrono::steady_clock::now() < until;)
        office.relay.poll();
    CHECK_FALSE(relay.is_ringer());
    CHECK(lines.last_is("Outbox relay: cannot "));
    CHECK(eventually([&] { return lines.last_is("Outbox relay: works again"); }));  // the other one is silent
}

TEST_CASE("nothing is told while what is read is not watched", "[postgres]") {
    Office office;
    std::vector<std::string> unwatched{"the table x is not watched"};
    bool is_away = true;
    Sink sink;
    PostgresRelay relay(office.url, sink, {}, {.unwatched = [&] {
                            if (is_away) throw SourceError("the database is away");
                            return unwatched;
                        }});
    for (int i = 0; i < 3; ++i) CHECK_THROWS_WITH(relay.poll(), "the database is away");
    CHECK(sink.take_flushes() == 1);
    is_away = false;
    for (int i = 0; i < 3; ++i) CHECK_THROWS_WITH(relay.poll(), "the table x is not watched");
    CHECK(sink.take_flushes() == 0);
    CHECK_FALSE(relay.caught_up());
    CHECK(sink.looked_at == 0);
    unwatched.clear();
    CHECK(eventually([&] {
        try {
            return relay.poll(), true;
        } catch (const SourceError&) {
            return false;
        }
    }));
    CHECK(relay.caught_up());
    CHECK(sink.take_flushes() == 1);
    unwatched = {"it is not asked where the history is known"};
    PostgresRelay next(office.url, sink, {}, {.unwatched = [&] { return unwatched; }});
    next.poll();
    CHECK(next.caught_up());
}

TEST_CASE("one relay rings, the others hear it", "[postgres]") {
    Office office;
    Sink other;
    PostgresRelay second(office.url, other, {});
    second.poll();
    CHECK(office.relay.is_ringer());
    CHECK_FALSE(second.is_ringer());
    std::jthread ringer([&](std::stop_token stop) { office.relay.run(stop); });
    std::jthread hearer([&](std::stop_token stop) { second.run(stop); });
    CHECK(eventually([&] { return second.caught_up() && office.relay.caught_up(); }));
    office.change(3);
    CHECK(eventually([&] { return office.sink.take().count(3) > 0; }));
    CHECK(eventually([&] { return other.take().count(3) > 0; }));
}

TEST_CASE("a relay that is stopped loses its place to one that is not", "[postgres]") {
    Office office;
    Sink other;
    PostgresRelay second(office.url, other, {}, {.looks = PostgresRelay::Looks::when_elected});
    office.relay.poll();
    REQUIRE(office.relay.is_ringer());
    const auto second_has_it = [&] {
        second.poll();
        return second.is_ringer();
    };
    CHECK_FALSE(second_has_it());
    CHECK(eventually(second_has_it));
    CHECK_THROWS_AS(office.relay.poll(), SourceError);
    office.change(3);
    CHECK(eventually([&] { return second.poll(), other.take().count(3) > 0; }));
    office.relay.poll();
    CHECK_FALSE(office.relay.is_ringer());
}

TEST_CASE("of many writers whose commits come in any order none is missed", "[postgres]") {
    constexpr int writers = 8, commits = 100;
    Office office;
    std::jthread running([&](std::stop_token stop) { office.relay.run(stop); });
    std::vector<std::jthread> threads;
    for (int writer = 0; writer < writers; ++writer)
        threads.emplace_back([&office, writer] {
            Connection connection(office.options());
            std::minstd_rand random(static_cast<unsigned>(writer) + 1);
            for (int i = 0; i < commits; ++i) {
                const int id = 1'000 * (writer + 1) + i;
                connection.run("BEGIN; INSERT INTO submissions(submission_id, assignment_id) VALUES (" +
                               std::to_string(id) + ", " + std::to_string(id) + ")");
                connection.run("SELECT pg_sleep(0.001 * " + std::to_string(random() % 20) + ")");
                connection.run(random() % 10 == 0 ? "ROLLBACK" : "COMMIT");
            }
        });
    threads.clear();  // all have ended
    std::set<AssignmentId> committed;
    const postgres::Rows rows = office.writer.run("SELECT assignment_id FROM submissions WHERE assignment_id >= 1000");
    for (int row = 0; row < rows.count(); ++row) committed.insert(rows.integer(row, 0));
    CHECK(committed.size() > writers * commits / 2);
    Told told;
    CHECK(eventually([&] {
        told.merge(office.sink.take());
        return std::all_of(committed.begin(), committed.end(), [&](AssignmentId id) { return told.count(id) == 1; });
    }));
    CHECK(std::set<AssignmentId>(told.begin(), told.end()) == committed);  // and nothing else
}

TEST_CASE("an outbox that came with a dump of another server is forgotten: it is told as everything, once",
          "[postgres]") {
    PostgresSchool school;
    school.add_assignment(1);
    school.sql(
        "INSERT INTO outbox(txid, assignment_id, kind) VALUES ('9000000000', 1, 'submission'); "
        "UPDATE outbox_state SET removed_below = 9000000000");
    Sink sink;
    PostgresRelay relay(school.url, sink, {});
    relay.poll();
    CHECK(sink.take_flushes() == 1);
    CHECK(school.number("SELECT count(*) FROM outbox WHERE txid >= '9000000000'") == 0);
    relay.poll();
    relay.poll();
    sink.take_flushes();
    CHECK(relay.poll() == 0);
    CHECK(sink.take_flushes() == 0);
    sink.take();
    school.sql("INSERT INTO outbox(txid, assignment_id, kind) VALUES ('9000000001', 1, 'submission')");
    CHECK(relay.poll() == 0);
    school.sql("UPDATE assignments SET title = 'x'; DELETE FROM outbox");
    relay.poll();
    CHECK(sink.take_flushes() == 1);  // what is removed unread is noticed, as ever
}

TEST_CASE("those who relay to others have a lock of their own", "[postgres]") {
    Office office;
    Sink other;
    PostgresRelay publisher(office.url, other, {}, {.looks = PostgresRelay::Looks::when_elected, .lock = 4711});
    publisher.poll();
    office.relay.poll();
    CHECK(office.relay.is_ringer());
    CHECK(publisher.is_ringer());
}
