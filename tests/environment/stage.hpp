// A process of its own for what a test does to its surroundings: mounts, namespaces, limits, users.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>

#include "shm/cache.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/skipped.hpp"

namespace larder::test {

/// Thrown within a stage: this machine does not let the test make such surroundings.
struct NotHere {};

struct StageResult {
    std::string report;  ///< what was wrong, "" when nothing was
    bool skipped = false;
};

/// Plays `scene`: std::string(), in a child; segments, limits and namespaces end with it. A scene that dies, by SIGBUS
/// for one, or that takes over a minute says so in its report.
template <class Scene>
StageResult on_stage(Scene&& scene) {
    constexpr int kSkipped = 77;
    ChildProcess stage = ChildProcess::start([&](Channel& test) {
        try {
            const std::string report = scene();
            if (!report.empty()) test.tell_bytes(report.data(), report.size());
            return 0;
        } catch (const NotHere&) {
            return kSkipped;
        }
    });
    StageResult result;
    while (const char byte = stage.hear(std::chrono::seconds(200))) result.report += byte;
    const Ending ending = stage.wait();
    result.skipped = ending.exited_with(kSkipped);
    if (result.skipped || ending.exited_with(0)) return result;
    result.report += ending.in_time && WIFSIGNALED(ending.status)
                         ? " (the stage died of signal " + std::to_string(WTERMSIG(ending.status)) + ")"
                         : " (the stage failed)";
    return result;
}

/// For a scene: the first thing that is wrong ends it.
struct Wrong : std::runtime_error {
    using std::runtime_error::runtime_error;
};
inline void require(bool condition, std::string_view what) {
    if (!condition) throw Wrong(std::string(what));
}

/// A scene of require() calls: what the first failing one says.
template <class Scene>
StageResult play(Scene&& scene) {
    return on_stage([&]() -> std::string {
        try {
            scene();
            return {};
        } catch (const std::exception& wrong) {
            return wrong.what();
        }
    });
}

/// The stage could not be set here, and the test case says so.
inline bool is_skipped(const StageResult& result) {
    if (result.skipped) WARN(kNeedsRoot);
    return result.skipped;
}

/// Puts, also into a new segment: one whose making took long is closed at first (shm/mapping.cpp), as if it replaced
/// another.
inline bool is_stored(Cache& cache, std::string_view key, std::string_view value, const EntryOptions& options = {}) {
    return eventually([&] { return cache.put(key, value, options) == PutResult::stored; });
}

}  // namespace larder::test
