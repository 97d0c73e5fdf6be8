#include "core/warm_queue.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <numeric>
#include <thread>

#include "core/submission_source.hpp"
#include "core/warm_runner.hpp"
#include "tests/core/stats_cache_fixture.hpp"

using namespace larder;
using namespace std::chrono_literals;
using test::School;

namespace {

constexpr std::int64_t me = 1, another = 2;

std::vector<AssignmentId> ids(AssignmentId first, AssignmentId last) {
    std::vector<AssignmentId> result(static_cast<std::size_t>(last - first + 1));
    std::iota(result.begin(), result.end(), first);
    return result;
}

struct Queue : School {
    WarmQueue queue{path(), "/here.seg"};
    WarmJobId push(AssignmentId first, AssignmentId last, std::size_t batch_size = 10) {
        const auto job = queue.push(ids(first, last), batch_size);
        REQUIRE(job);
        return *job;
    }
    void forget_the_runner() { sql("UPDATE warm_jobs SET heartbeat_ms = heartbeat_ms - 11000"); }
};

}  // namespace

TEST_CASE("a job waits, runs a batch at a time, and ends with its counts") {
    Queue school;
    const WarmJobId job = school.push(1, 15);
    CHECK(school.queue.find(job)->state == WarmJob::State::queued);
    CHECK(school.queue.find(job)->total == 15);

    auto turn = school.queue.take_turn(me);
    REQUIRE(turn);
    CHECK(turn->ids == ids(1, 10));
    CHECK(school.queue.find(job)->state == WarmJob::State::running);
    CHECK(school.queue.report(*turn, me, 4));
    CHECK(school.queue.find(job)->done == 4);
    CHECK(school.queue.finish_turn(*turn, me, 9, 1));
    CHECK(school.queue.find(job)->done == 10);

    turn = school.queue.take_turn(me);
    REQUIRE(turn);
    CHECK(turn->ids == ids(11, 15));
    CHECK(school.queue.finish_turn(*turn, me, 5, 0));
    const auto ended = school.queue.find(job);
    CHECK(ended->state == WarmJob::State::done);
    CHECK(ended->warmed == 14);
    CHECK(ended->failed == 1);
    CHECK(school.number("SELECT count(*) FROM warm_job_ids") == 0);
    CHECK_FALSE(school.queue.take_turn(me));
}

TEST_CASE("jobs of the queue take turns of a batch") {
    Queue school;
    const WarmJobId longer = school.push(1, 30), shorter = school.push(101, 105);
    std::vector<WarmJobId> order;
    while (const auto turn = school.queue.take_turn(me)) {
        order.push_back(turn->job);
        school.queue.finish_turn(*turn, me, turn->ids.size(), 0);
    }
    CHECK(order == std::vector<WarmJobId>{longer, shorter, longer, longer});
}

TEST_CASE("a turn belongs to one runner until that one is not heard of any more") {
    Queue school;
    const WarmJobId job = school.push(1, 20);
    const auto mine = school.queue.take_turn(me);
    REQUIRE(mine);
    CHECK_FALSE(school.queue.take_turn(another));

    school.forget_the_runner();
    const auto taken = school.queue.take_turn(another);
    REQUIRE(taken);
    CHECK(taken->ids == mine->ids);
    CHECK_FALSE(school.queue.report(*mine, me, 3));
    CHECK_FALSE(school.queue.finish_turn(*mine, me, 10, 0));
    CHECK(school.queue.finish_turn(*taken, another, 10, 0));
    CHECK(school.queue.find(job)->warmed == 10);
}

TEST_CASE("a turn that is given back is anybody's") {
    Queue school;
    school.push(1, 5);
    const auto turn = school.queue.take_turn(me);
    school.queue.give_back(*turn, another);
    CHECK_FALSE(school.queue.take_turn(another));
    school.queue.give_back(*turn, me);
    CHECK(school.queue.take_turn(another)->ids == ids(1, 5));
}

TEST_CASE("a clock that was set back makes no job wait for ever") {
    Queue school;
    school.push(1, 5);
    REQUIRE(school.queue.take_turn(me));
    school.sql("UPDATE warm_jobs SET heartbeat_ms = heartbeat_ms + 3600000");
    CHECK(school.queue.take_turn(another));
}

TEST_CASE("a full queue takes no job") {
    Queue school;
    for (std::size_t i = 0; i < WarmQueue::max_open_jobs; ++i) school.push(1, 2);
    CHECK_FALSE(school.queue.push(ids(1, 2), 10));
    const auto turn = school.queue.take_turn(me);
    school.queue.finish_turn(*turn, me, 2, 0);
    CHECK(school.queue.push(ids(1, 2), 10));
    CHECK_FALSE(Queue().queue.push(std::vector<AssignmentId>(WarmQueue::max_open_ids + 1, 1), 10));
}

TEST_CASE("a job is its cache's, whoever shares the database") {
    Queue school;
    WarmQueue elsewhere(school.path(), "/there.seg");
    const WarmJobId job = school.push(1, 5);
    CHECK_FALSE(elsewhere.take_turn(another));
    CHECK_FALSE(elsewhere.find(job));
    CHECK(elsewhere.recent(10).empty());
    CHECK(elsewhere.push(ids(6, 7), 10));
    CHECK(elsewhere.take_turn(another)->ids == ids(6, 7));
    CHECK(school.queue.take_turn(me)->ids == ids(1, 5));
    CHECK(school.queue.recent(10).size() == 1);
}

TEST_CASE("one cache's jobs fill no other's queue, and those that nobody works at for a month are forgotten") {
    Queue school;
    const WarmJobId job = school.push(1, 2);
    for (std::size_t i = 1; i < WarmQueue::max_open_jobs; ++i) school.push(1, 2);
    WarmQueue elsewhere(school.path(), "/there.seg");
    CHECK(elsewhere.push(ids(1, 2), 10));
    CHECK(school.queue.find(job));
    school.sql("UPDATE warm_jobs SET created_ms = created_ms - 31 * 24 * 3600000 WHERE cache = '/here.seg'");
    CHECK(elsewhere.push(ids(1, 2), 10));
    CHECK_FALSE(school.queue.find(job));
    CHECK(school.number("SELECT count(*) FROM warm_job_ids") == 4);
}

TEST_CASE("a queue from before jobs had a cache goes on, and its jobs are everybody's") {
    Queue school;
    school.sql("ALTER TABLE warm_jobs DROP COLUMN cache");
    school.sql("INSERT INTO warm_jobs(batch_size, total, created_ms) VALUES (10, 2, 1e15)");
    school.sql("INSERT INTO warm_job_ids VALUES (1, 0, 1), (1, 1, 2)");
    CHECK(school.queue.find(1)->total == 2);
    const WarmJobId job = school.push(3, 4);
    WarmQueue elsewhere(school.path(), "/there.seg");
    CHECK(elsewhere.take_turn(another)->ids == ids(1, 2));
    CHECK_FALSE(elsewhere.take_turn(another));
    CHECK(school.queue.take_turn(me)->job == job);
}

TEST_CASE("who looks at the queue waits for no writer of the database") {
    Queue school;
    const WarmJobId job = school.push(1, 5);
    school.sql("BEGIN IMMEDIATE");
    std::atomic<bool> refused{false};
    std::jthread waiting([&] {
        try {
            school.queue.push(ids(6, 7), 10);
        } catch (const SourceError&) {
            refused = true;
        }
    });
    for (int look = 0; look < 1'000; ++look) {
        REQUIRE(school.queue.find(job));
        REQUIRE(school.queue.recent(10).size() == 1);
    }
    CHECK_FALSE(refused);
    school.sql("COMMIT");
    waiting.join();
    CHECK(school.queue.recent(10).size() == 2);
}

TEST_CASE("the newest jobs come first, and those that ended long ago are forgotten") {
    Queue school;
    const WarmJobId first = school.push(1, 1);
    school.queue.finish_turn(*school.queue.take_turn(me), me, 1, 0);
    const WarmJobId second = school.push(1, 1);
    const auto jobs = school.queue.recent(10);
    REQUIRE(jobs.size() == 2);
    CHECK(jobs[0].id == second);
    CHECK(jobs[1].id == first);
    school.sql("UPDATE sqlite_sequence SET seq = seq + 1000 WHERE name = 'warm_jobs'");
    school.push(1, 1);
    CHECK_FALSE(school.queue.find(first));
    CHECK(school.queue.find(second));  // it has not ended
}

TEST_CASE("a queue that cannot be used says what to do") {
    const test::ScopedDirectory directory;
    WarmQueue nowhere(directory.file("absent.db"), "/here.seg");
    CHECK_THROWS_AS(nowhere.find(1), SourceError);
    CHECK_THROWS_WITH(nowhere.push(ids(1, 2), 1), Catch::Contains("check that the database may be written"));
}

TEST_CASE("a queue goes on in the file that has taken its own's place") {
    Queue school;
    school.push(1, 5);
    School other;
    other.sql("VACUUM INTO '" + other.path() + ".whole'");
    for (const char* end : {"-wal", "-shm"}) std::filesystem::remove(school.path() + end);
    std::filesystem::rename(other.path() + ".whole", school.path());
    CHECK(school.queue.recent(10).empty());
    CHECK(school.push(1, 5) == 1);
}

TEST_CASE("a runner warms all of a job, and one that fails stops no other", "[tsan]") {
    Queue school;
    const WarmJobId job = school.push(1, 25);
    test::LogBook book;
    std::atomic<int> at_work{0}, most{0};
    WarmRunner runner(
        school.queue,
        [&](AssignmentId id) {
            const int now = ++at_work;
            for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {}
            std::this_thread::yield();
            --at_work;
            if (id == 7) throw std::runtime_error("burnt");
            return id != 8;
        },
        book.log(), 3);
    while (runner.step()) {}
    CHECK(school.queue.find(job)->state == WarmJob::State::done);
    CHECK(school.queue.find(job)->warmed == 23);
    CHECK(school.queue.find(job)->failed == 2);
    CHECK(most <= 3);
    const auto lines = book.take();
    CHECK(std::count(lines.begin(), lines.end(), "ERROR Warming assignment 7 failed: burnt") == 1);
    CHECK(lines.back() == "INFO Async cache warming complete: 23 warmed, 2 failed");
}

TEST_CASE("a runner says at a job's end how little of it the cache has kept") {
    Queue school;
    test::LogBook book;
    const auto warm_all = [&](AssignmentId last_kept) {
        school.push(1, 30);
        WarmRunner runner(
            school.queue, [](AssignmentId) { return true; }, book.log(), 2,
            [&](AssignmentId id) { return id <= last_kept; });
        while (runner.step()) {}
        return book.take();
    };
    CHECK(warm_all(28) == std::vector<std::string>{"INFO Async cache warming complete: 30 warmed, 0 failed"});
    const auto lines = warm_all(26);
    REQUIRE(lines.size() == 2);
    CHECK_THAT(lines[1],
               Catch::StartsWith("WARNING Warming job 2: of the 30 assignments warmed only 26 are in the cache"));
}

TEST_CASE("a runner that is stopped gives its turn back", "[tsan]") {
    Queue school;
    const WarmJobId job = school.push(1, 10);
    std::stop_source stop;
    WarmRunner runner(
        school.queue,
        [&](AssignmentId id) {
            if (id == 3) stop.request_stop();
            return true;
        },
        {}, 1);
    CHECK(runner.step(stop.get_token()));
    CHECK(school.queue.find(job)->done == 0);
    CHECK(school.queue.take_turn(another)->ids.size() == 10);
}

TEST_CASE("warming that takes long goes to the queue, and its runner fills the cache with spread lifetimes") {
    test::CachedSchool plain;
    for (AssignmentId id = 3; id <= 12; ++id) plain.add_assignment(id);
    plain.relay();
    WarmQueue queue(plain.path(), plain.cache.segment_path());
    AssignmentStatsCache stats(plain.cache, [&] { return open_source(plain.path()); }, {.warm_queue = &queue});
    const WarmResult result = stats.warm(ids(1, 13));
    CHECK(result.async_scheduled);
    REQUIRE(result.job_id);
    CHECK(to_json(result).find("\"job_id\":1") != std::string::npos);
    CHECK_FALSE(plain.cache.contains("assignment_stats:1"));

    WarmRunner runner(queue, [&](AssignmentId id) { return stats.warm_one(id); }, {});
    while (runner.step()) {}
    CHECK(queue.find(*result.job_id)->warmed == 12);
    CHECK(queue.find(*result.job_id)->failed == 1);
    for (AssignmentId id = 1; id <= 12; ++id) CHECK(plain.cache.contains("assignment_stats:" + std::to_string(id)));
    CHECK(plain.cache.key_use("assignment_stats:1").misses == 0);
    const auto job = boost::json::parse(to_json(*queue.find(*result.job_id))).as_object();
    CHECK(job.at("state").as_string() == "done");
    CHECK(job.at("done").as_int64() == 13);

    plain.clock->advance(285s);
    int left = 0;
    for (AssignmentId id = 1; id <= 12; ++id) left += plain.cache.contains("assignment_stats:" + std::to_string(id));
    CHECK(left > 0);
    CHECK(left < 12);
}

TEST_CASE("active assignments were asked for, or have a recent submission") {
    test::CachedSchool school;
    for (AssignmentId id = 3; id <= 5; ++id) school.add_assignment(id);
    school.relay();
    school.sql("UPDATE submissions SET submitted_at = '2001-01-01T00:00:00Z'");
    school.sql(
        "UPDATE submissions SET graded_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-2 days') "
        "WHERE submission_id = 20");
    CHECK(school.stats.active_ids(std::chrono::hours(24)).empty());
    CHECK(school.stats.active_ids(std::chrono::hours(24 * 7)) == std::vector<AssignmentId>{2});
    school.relay();
    school.stats.get_or_calculate(4);
    CHECK(school.stats.active_ids(std::chrono::hours(24 * 7)) == std::vector<AssignmentId>{2, 4});
}

TEST_CASE("a cache has its jobs by whatever path") {
    Queue school;
    const std::string place = school.directory().file("place"), link = school.directory().file("link");
    std::filesystem::create_directory(place);
    std::filesystem::create_symlink(place, link);
    WarmQueue one(school.path(), place + "/c.seg"), same(school.path(), link + "/../link/c.seg");
    const auto job = one.push(ids(1, 5), 10);
    REQUIRE(job);
    CHECK(same.find(*job));
    CHECK(same.take_turn(another));
}
