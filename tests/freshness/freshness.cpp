// Freshness from outside: a version goes up in the database, again and again. Once the relay has acknowledged it, no
// answer of any worker shows an older one.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/promise.hpp"
#include "shm/system.hpp"
#include "tests/freshness/crew.hpp"
#include "tests/freshness/served_school.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/harness.hpp"

namespace larder::freshness {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kBetweenKills = 2500ms;  // five deaths in ten seconds, and the service waits before it starts another
constexpr auto kPatience = 10s;

struct Settings {
    std::uint64_t versions = 500, seed = 1, readers = 3;
    bool kills = true;
    std::string promises;

    std::string command() const {
        return "build/release/tests/larder_freshness --versions " + std::to_string(versions) + " --seed " +
               std::to_string(seed) + " --readers " + std::to_string(readers) + (kills ? "" : " --no-kills");
    }
};

/// What was seen, by all threads.
class Report {
public:
    /// `least`: acknowledged before the question; `most`: being committed after the answer.
    void note(pid_t worker, const test::HttpAnswer& answer, std::uint64_t least,
              const std::atomic<std::uint64_t>& most) {
        const std::uint64_t version = answer.status == 200 ? version_on(answer.body) : kNoVersion;
        const std::uint64_t newest = most.load();
        const std::lock_guard lock(mutex_);
        ++answers;
        hits += answer.header("X-Cache") == "hit" ? 1 : 0;
        workers.insert(worker);
        if (version == kNoVersion)
            return fail("worker " + std::to_string(worker) + " answered " + std::to_string(answer.status) + " with " +
                        answer.body.substr(0, 200));
        if (version >= least && version <= newest) return;
        ++violations;
        fail("worker " + std::to_string(worker) + " showed version " + std::to_string(version) + " as " +
             answer.header("X-Cache") + ", while " + std::to_string(least) + " was acknowledged and " +
             std::to_string(newest) + " the newest");
    }
    void fail_at(const std::string& what) {
        const std::lock_guard lock(mutex_);
        fail(what);
    }
    void note_silent(std::uint64_t times) {
        const std::lock_guard lock(mutex_);
        if (times != 0) fail("a worker that lived did not answer, " + std::to_string(times) + " times");
    }
    bool has_failed() {
        const std::lock_guard lock(mutex_);
        return !failure.empty();
    }

    // Once all threads have ended.
    std::uint64_t answers = 0, hits = 0, violations = 0, killed = 0, stopped = 0;
    std::set<pid_t> workers;
    std::chrono::duration<double, std::milli> slowest_notice{0};
    std::string failure;

private:
    void fail(const std::string& what) {
        if (failure.empty()) failure = what;
    }
    std::mutex mutex_;
};

class Run {
public:
    explicit Run(const Settings& settings) : settings_(settings) {}

    Report& go() {
        std::vector<std::thread> readers;
        for (std::uint64_t n = 0; n < settings_.readers; ++n) readers.emplace_back([this] { read(); });
        try {
            write();
        } catch (const std::exception& error) {
            report_.fail_at(error.what());
        }
        done_ = true;
        for (std::thread& reader : readers) reader.join();
        return report_;
    }

private:
    void read() {
        Crew crew(school_.port(), ServedSchool::kWorkers);
        while (!done_) {
            // Asked for each worker: the answer of the one before took its time.
            std::uint64_t least = acknowledged_;
            crew.ask_all(kPage, [&](pid_t worker, const test::HttpAnswer& answer) {
                report_.note(worker, answer, least, newest_);
                least = acknowledged_;
            });
        }
        report_.note_silent(crew.silent());
    }

    /// Every second version is committed while the one before is being computed, with a worker stopped at it.
    void write() {
        Crew crew(school_.port(), ServedSchool::kWorkers);
        Clock::time_point killed_at = Clock::now();
        for (std::uint64_t version = 1; version <= settings_.versions && !report_.has_failed(); ++version) {
            const bool hurries = version % 2 == 0;
            const pid_t stopped = hurries ? stop_one() : 0;
            newest_ = version;
            const Clock::time_point committed_at = Clock::now();
            const std::int64_t row = school_.commit(version);
            if (settings_.kills && stopped == 0 && Clock::now() - killed_at > kBetweenKills) {
                kill_one();
                killed_at = Clock::now();
            }
            const bool told = test::eventually([&] { return school_.is_acknowledged(row); }, kPatience);
            if (stopped != 0) ::kill(stopped, SIGCONT);
            if (!told) return report_.fail_at("version " + std::to_string(version) + " was not acknowledged");
            report_.slowest_notice =
                std::max<decltype(report_.slowest_notice)>(report_.slowest_notice, Clock::now() - committed_at);
            acknowledged_ = version;
            if (!hurries && version > 1) continue;
            workers_.clear();
            crew.ask_all(kPage, [&](pid_t worker, const test::HttpAnswer& answer) {
                workers_.push_back(worker);
                report_.note(worker, answer, version, newest_);
            });
        }
        report_.note_silent(crew.silent());
    }

    /// A moment after the last notice, when the readers have just missed.
    pid_t stop_one() {
        if (workers_.empty()) return 0;
        shm::system::sleep_ns(static_cast<std::int64_t>(random_() % 4'000) * 1'000);
        const pid_t worker = workers_[random_() % workers_.size()];
        if (::kill(worker, SIGSTOP) != 0) return 0;
        ++report_.stopped;
        return worker;
    }

    void kill_one() {
        if (workers_.empty()) return;
        if (::kill(workers_[random_() % workers_.size()], SIGKILL) == 0) ++report_.killed;
        workers_.clear();
    }

    const Settings& settings_;
    ServedSchool school_;
    std::atomic<std::uint64_t> newest_{0};        // set before its commit
    std::atomic<std::uint64_t> acknowledged_{0};  // set after the relay's word
    std::atomic<bool> done_{false};
    std::vector<pid_t> workers_;  // that answered last
    std::mt19937_64 random_{settings_.seed};
    Report report_;
};

int run(const Settings& settings) {
    Run run(settings);
    Report& report = run.go();
    std::printf(
        "%lu versions, %lu answers of %zu workers (%lu hits), %lu killed, %lu stopped: %lu older than acknowledged\n",
        settings.versions, report.answers, report.workers.size(), report.hits, report.killed, report.stopped,
        report.violations);
    std::printf("slowest notice %.1f ms after its commit\n", report.slowest_notice.count());
    if (report.failure.empty() && (report.hits == 0 || report.workers.size() < ServedSchool::kWorkers))
        report.failure = "not all workers answered, or none from the cache";
    if (!settings.promises.empty())
        append_promise(settings.promises, {"R11",
                                           "violations",
                                           {"==", 0},
                                           static_cast<double>(report.violations),
                                           report.answers,
                                           {static_cast<double>(report.violations)},
                                           settings.command()});
    if (report.failure.empty()) return 0;
    std::printf("FAILED: %s\nagain: %s\n", report.failure.c_str(), settings.command().c_str());
    return 1;
}

}  // namespace
}  // namespace larder::freshness

int main(int argc, char** argv) {
    CLI::App program(
        "Raises a version in the database, and checks that no worker shows an acknowledged one's forerunner");
    larder::freshness::Settings settings;
    program.add_option("--versions", settings.versions, "How often")->capture_default_str();
    program.add_option("--seed", settings.seed, "Of who is stopped and killed, and when")->capture_default_str();
    program.add_option("--readers", settings.readers, "Threads that read all the time")->capture_default_str();
    program.add_flag("--kills,!--no-kills", settings.kills, "Kill a worker now and then");
    program.add_option("--promises", settings.promises, "A file to append the figure to, one JSON object a line");
    CLI11_PARSE(program, argc, argv);
    return larder::test::run_harness(settings.command(), [&] { return larder::freshness::run(settings); });
}
