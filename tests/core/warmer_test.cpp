#include "core/warmer.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>
#include <stdexcept>

#include "core/submission_source.hpp"

using namespace larder;

namespace {

using namespace std::chrono_literals;

/// Counts what was warmed; ids above 1000 do not exist, id 13 throws, 2000 finds no source; can be held at a gate.
class Kitchen {
public:
    bool warm(AssignmentId id) {
        std::unique_lock lock(mutex_);
        order_.push_back(id);
        changed_.notify_all();
        changed_.wait(lock, [this] { return open_; });
        now_ += cooking_time;
        if (id == 2'000) throw SourceUnavailable("no gas");
        if (id == 13) throw std::runtime_error("burnt");
        return id <= 1'000;
    }
    void close() { set_open(false); }
    void open() { set_open(true); }
    bool wait_for_first() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, 10s, [this] { return !order_.empty(); });
    }
    std::vector<AssignmentId> order() {
        const std::lock_guard lock(mutex_);
        return order_;
    }
    Log log() {
        Log log;
        log.write = [this](LogLevel, std::string_view line) {
            const std::lock_guard lock(mutex_);
            lines_.emplace_back(line);
        };
        return log;
    }
    bool said(const std::string& line) {
        const std::lock_guard lock(mutex_);
        return std::find(lines_.begin(), lines_.end(), line) != lines_.end();
    }

    std::optional<std::chrono::nanoseconds> estimate;
    std::chrono::milliseconds cooking_time{0};  // by the kitchen's clock

private:
    Warmer::Time now() {
        const std::lock_guard lock(mutex_);
        return now_;
    }
    void set_open(bool open) {
        const std::lock_guard lock(mutex_);
        open_ = open;
        changed_.notify_all();
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = true;
    Warmer::Time now_{};
    std::vector<AssignmentId> order_;
    std::vector<std::string> lines_;

public:
    // Last: its thread uses all of the above until it ends.
    Warmer warmer{[this](AssignmentId id) { return warm(id); }, [this] { return estimate; }, log(), nullptr,
                  [this] { return now(); }};
};

std::vector<AssignmentId> ids(AssignmentId first, AssignmentId last) {
    std::vector<AssignmentId> result;
    for (; first <= last; ++first) result.push_back(first);
    return result;
}

}  // namespace

TEST_CASE("four assignments are warmed at once by the first estimate, five in the background") {
    Kitchen kitchen;
    CHECK(kitchen.warmer.at_once(4));
    CHECK_FALSE(kitchen.warmer.at_once(5));
    kitchen.estimate = 1ms;
    CHECK(kitchen.warmer.at_once(2'000));
    CHECK_FALSE(kitchen.warmer.at_once(2'001));
}

TEST_CASE("warming at once says how many were warmed, and one that fails stops no other") {
    Kitchen kitchen;
    const WarmResult result = kitchen.warmer.warm({13, 1, 5'000, 2});
    CHECK(result.total == 4);
    CHECK(result.warmed == 2);
    CHECK(result.failed == 2);
    CHECK_FALSE(result.async_scheduled);
    CHECK(kitchen.order() == std::vector<AssignmentId>{13, 1, 5'000, 2});
    CHECK(kitchen.said("Warming assignment 13 failed: burnt"));
}

TEST_CASE("what takes longer at once than was estimated becomes a job from there on") {
    Kitchen kitchen;
    kitchen.estimate = 1ms;
    kitchen.cooking_time = 800ms;
    const WarmResult result = kitchen.warmer.warm(ids(101, 120));
    CHECK(result.total == 20);
    CHECK(result.warmed == 3);
    CHECK(result.failed == 0);
    CHECK(result.async_scheduled);
    CHECK(kitchen.warmer.wait_until_idle(10s));
    CHECK(kitchen.order() == ids(101, 120));
    CHECK(kitchen.said("Async cache warming complete: 17 warmed, 0 failed"));
}

TEST_CASE("of a source that is not to be had no more is asked") {
    Kitchen kitchen;
    kitchen.estimate = 1ms;
    const WarmResult result = kitchen.warmer.warm({1, 13, 2'000, 2, 3});
    CHECK(result.warmed == 1);
    CHECK(result.failed == 4);
    CHECK_FALSE(result.async_scheduled);
    CHECK(kitchen.order() == std::vector<AssignmentId>{1, 13, 2'000});
}

TEST_CASE("warming in the background returns at once and logs its end", "[tsan]") {
    Kitchen kitchen;
    kitchen.close();
    const WarmResult result = kitchen.warmer.warm(ids(11, 20));
    CHECK(result.async_scheduled);
    CHECK(result.total == 10);
    CHECK(result.warmed == 0);
    CHECK(result.failed == 0);
    kitchen.open();
    CHECK(kitchen.warmer.wait_until_idle(10s));
    CHECK(kitchen.order() == ids(11, 20));
    CHECK(kitchen.said("Async cache warming complete: 9 warmed, 1 failed"));
}

TEST_CASE("jobs in the background take turns of a batch", "[tsan]") {
    Kitchen kitchen;
    kitchen.close();
    kitchen.warmer.warm(ids(101, 106), 2);
    REQUIRE(kitchen.wait_for_first());
    kitchen.warmer.warm(ids(201, 205), 4);
    kitchen.open();
    CHECK(kitchen.warmer.wait_until_idle(10s));
    const std::vector<AssignmentId> order = kitchen.order();
    REQUIRE(order.size() == 11);
    CHECK(std::vector<AssignmentId>(order.begin(), order.begin() + 8) ==
          std::vector<AssignmentId>{101, 102, 201, 202, 203, 204, 103, 104});
}

TEST_CASE("a job that the full queue has no room for fails as a whole") {
    Kitchen kitchen;
    kitchen.close();
    kitchen.warmer.warm(ids(1, 5));
    REQUIRE(kitchen.wait_for_first());
    for (std::size_t i = 0; i < Warmer::max_queued_jobs; ++i) CHECK(kitchen.warmer.warm(ids(1, 5)).async_scheduled);
    const WarmResult refused = kitchen.warmer.warm(ids(1, 5));
    CHECK_FALSE(refused.async_scheduled);
    CHECK(refused.failed == 5);
    kitchen.open();
}

TEST_CASE("the end of a warmer drops what is queued", "[tsan]") {
    std::vector<AssignmentId> order;
    {
        Kitchen kitchen;
        kitchen.close();
        kitchen.warmer.warm(ids(1, 900));
        REQUIRE(kitchen.wait_for_first());
        kitchen.warmer.warm(ids(1, 900));
        kitchen.open();
    }
    SUCCEED("it ended");
}

TEST_CASE("a forked child ends without the thread of its parent, and may warm by itself") {
    Kitchen kitchen;
    kitchen.warmer.warm(ids(21, 30));
    REQUIRE(kitchen.warmer.wait_until_idle(10s));
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        int code = kitchen.warmer.warm(ids(31, 40)).async_scheduled ? 0 : 1;
        if (!kitchen.warmer.wait_until_idle(10s) || kitchen.order().size() != 20) code = 2;
        kitchen.warmer.~Warmer();
        ::_exit(code);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
}
