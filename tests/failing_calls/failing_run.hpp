// Runs of the program `larder` in which a call fails, and what must be true behind them.
#pragma once

#include <errno.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "shm/cache.hpp"
#include "shm/segment.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/watchdog.hpp"

namespace larder::test {

/// A name, and the errors that the kernel may give it.
struct FailingCall {
    std::string name;
    std::vector<int> errors;
};

struct Failure {
    std::string name;
    int error = 0;
    std::uint64_t n = 1;
    bool sticky = false;

    std::string text() const {
        return name + " number " + std::to_string(n) + (sticky ? " and all later ones fail: " : " fails: ") +
               std::generic_category().message(error);
    }
    /// Of the process in which it happens; `mark` is there afterwards if it did.
    std::vector<std::pair<std::string, std::string>> environment(const std::string& mark) const {
        return {{"LD_PRELOAD", LARDER_FAILING_CALLS}, {"FAIL_CALL", name},
                {"FAIL_AT", std::to_string(n)},       {"FAIL_ERROR", std::to_string(error)},
                {"FAIL_STICKY", sticky ? "1" : "0"},  {"FAIL_MARK", mark}};
    }
};

/// How much of the loops is run.
struct Extent {
    bool all_errors = true, sticky = true;
    std::uint64_t most = 200;  // the last n
    bool to_the_end = false;   // before it there must be a run without failure
};

/// Calls run(failure), which says whether it came to the failure, for n = 1.. until it does not. The names that did
/// fail go to `failed`. A watchdog is around each run.
template <class Run>
void loop(const std::vector<FailingCall>& calls, const Extent& extent, std::set<std::string>& failed, Run&& run) {
    for (const FailingCall& call : calls) {
        for (const int error : call.errors) {
            for (const bool sticky : {false, true}) {
                if (sticky && !extent.sticky) continue;
                std::uint64_t n = 1;
                for (; n <= extent.most; ++n) {
                    const Watchdog watchdog;
                    if (!run(Failure{call.name, error, n, sticky})) break;
                    failed.insert(call.name);
                }
                INFO(call.name << " still fails at number " << extent.most);
                if (extent.to_the_end) CHECK(n <= extent.most);
            }
            if (!extent.all_errors) break;
        }
    }
}

/// A name that never failed was not tried.
inline void check_all_failed(const std::vector<FailingCall>& calls, const std::set<std::string>& failed) {
    for (const FailingCall& call : calls) {
        INFO("never made: " << call.name);
        CHECK(failed.count(call.name) == 1);
    }
}

/// A directory for one run, and its mark.
class FailingScene {
public:
    std::string path() const { return directory_.file("cache"); }
    std::string mark() const { return directory_.file("mark"); }
    std::string file(const std::string& name) const { return directory_.file(name); }
    bool has_failed() const { return std::filesystem::exists(mark()); }

    /// Ended by itself, within its time, and said why if it failed.
    static void check_ending(const CommandResult& result) {
        INFO(result.out << result.err);
        CHECK(result.code >= 0);
        CHECK(result.code <= 3);
        if (result.code >= 2) CHECK_FALSE(result.err.empty());
    }
    /// Others, whose calls do not fail, can use the cache, and a doctor finds nothing.
    void check_cache() const {
        const auto use = [this](Channel& parent) {
            Options options;
            options.directory = path();
            options.size_bytes = 16ULL << 20;
            Cache cache = Cache::open(options);
            std::string wrong;
            if (!eventually([&] { return works(cache); }, kHang)) wrong = "it does not work";
            cache.tend();
            const shm::Segment segment = shm::Segment::attach_read_only(cache.segment_path());
            if (wrong.empty()) wrong = first_violation(segment.view());
            if (wrong.empty()) wrong = first_finding(segment.view());
            parent.tell_bytes(wrong.data(), wrong.size());
            return 0;
        };
        ChildProcess user = ChildProcess::start(use);
        std::string wrong;
        while (const char byte = user.hear()) wrong += byte;
        CHECK(wrong == "");
        CHECK(user.wait().exited_with(0));
    }
    void check_doctor() const {
        const CommandResult doctor = run_larder(path(), {"doctor"});
        INFO(doctor.out << doctor.err);
        CHECK(doctor.code == 0);
    }

private:
    ScopedDirectory directory_;
};

}  // namespace larder::test
