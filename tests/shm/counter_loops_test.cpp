// Counter loops over what a cache does: the n-th allocation or system call of an operation fails, n = 1.. until the
// operation makes none so late, once and from then on. Whatever it says is true, nothing leaks, and the next one works.
#include <catch2/catch.hpp>
#include <chrono>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "shm/doctor.hpp"
#include "shm/inspector.hpp"
#include "shm/mapping.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/fault.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/process_usage.hpp"
#include "tests/support/proving_value.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/waiters.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kMostEntries = 12;

/// One shard, in which one operation after another meets a failure.
class Scene {
public:
    Scene() : scoped(options()), cache(scoped.cache), mapping(*shm::Mapping::open(scoped.options, nullptr)) {
        cache.put("warm", "up");
        cache.erase("warm");
        for (int i = 0; i < 3; ++i) cache.tend();
        fresh_bytes_ = scoped.used_bytes();
        descriptors_ = open_descriptors();
    }

    std::string key = "a:key";
    std::string value(std::uint64_t version) const { return proving_value(key, version, 600); }
    PutResult put(std::uint64_t version, EntryOptions given = {}) { return cache.put(key, value(version), given); }
    void fill_up() {
        for (std::uint32_t n = 0; n < kMostEntries; ++n) cache.put("filler:" + std::to_string(n), "value");
    }
    /// What is served of the key now: 0: nothing.
    std::uint64_t version() const {
        const Pinned got = cache.peek(key);
        if (!got) return 0;
        return proven_version(key, got.value()).value_or(~std::uint64_t{0});
    }
    /// A child does this and is killed.
    template <class Doing>
    void die_at(Doing&& doing) {
        ChildProcess child = ChildProcess::start([&](Channel& parent) {
            const auto held = doing();
            parent.tell('d');
            parent.hear();
            return 0;
        });
        child.hear();
        child.kill(SIGKILL);
        child.wait();
    }
    /// The next call looks at the name, and gives back what the dead held.
    void make_everything_due() {
        mapping.look_again();
        mapping.view().header().tend_due_ns.store(0);
    }

    /// Everything is erased, and all of it is back. Else says what is not.
    std::string clean_up() {
        // A shard that found no arena is opened by the next put.
        if (const PutResult first = cache.put("filler:0", "value"); first != PutResult::stored)
            return "the next put said \"" + std::string(name_of(first)) + '"';
        cache.erase(key);
        for (std::uint32_t n = 0; n < kMostEntries; ++n) cache.erase("filler:" + std::to_string(n));
        for (int i = 0; i < 3; ++i) cache.tend();
        if (scoped.entries() != 0) return std::to_string(scoped.entries()) + " entries are left";
        if (scoped.used_bytes() != fresh_bytes_)
            return std::to_string(scoped.used_bytes() - fresh_bytes_) + " bytes leaked";
        if (shm::read_processes(scoped.view()).size() != 1) return "a dead process keeps its slot";
        for (const shm::LeaseFacts& lease : shm::read_leases(scoped.view()))
            if (lease.state == shm::LeaseState::held) return "a lease stays held";
        if (open_descriptors() != descriptors_) return "descriptors leaked";
        for (const shm::ArenaFacts& arena : shm::read_arenas(scoped.view()))
            if (arena.kind == shm::ArenaKind::condemned) return "an arena stays condemned";
        return first_violation(scoped.view());
    }
    std::string diagnosis() const {
        std::vector<shm::Finding> findings;
        const shm::Examination examination{true, shm::system::coarse_ns(), {}, {}};
        shm::examine_control(scoped.view(), examination, findings);
        shm::examine_directories(scoped.view(), examination, findings);
        shm::examine_processes(scoped.view(), examination, findings);
        for (const shm::Finding& finding : findings)
            if (finding.severity != shm::Severity::info) return "the doctor finds " + finding.name;
        return {};
    }

    ScopedCache scoped;
    Cache& cache;
    shm::Mapping& mapping;

private:
    static Options options() {
        Options options;
        options.max_entries = kMostEntries;
        options.tracked_keys = 64;
        options.lock_budget = 2s;  // for a loaded machine
        return options;
    }

    std::uint64_t fresh_bytes_ = 0;
    std::ptrdiff_t descriptors_ = 0;
};

/// What an operation said, by the version that must be served then; 0: none.
struct Said {
    std::string text;
    std::vector<std::uint64_t> may_serve;
};

Said said(PutResult result, std::uint64_t version) {
    const std::string text(name_of(result));
    if (result == PutResult::stored) return {text, {version}};
    if (result == PutResult::no_space || result == PutResult::busy || result == PutResult::rebuilding)
        return {text, {0}};
    return {"an impossible " + text, {}};
}

struct Operation {
    const char* name;
    void (*prepare)(Scene&);
    Said (*run)(Scene&);
    const char* at_best;  // what it says when nothing fails
};

void nothing(Scene&) {}
void put_first(Scene& scene) { scene.put(1); }

Said compute(Scene& scene) {
    const Pinned got =
        scene.cache.get_or_compute(scene.key, [&]() -> std::optional<std::string> { return scene.value(2); });
    const bool is_it = proven_version(scene.key, got.value()) == 2;
    return {is_it ? "a value" : "no value", {0, 2}};
}

Said fill(Scene& scene) {
    Begun begun = scene.cache.begin(scene.key);
    if (!std::holds_alternative<Lease>(begun)) return {"no lease", {}};
    return said(scene.cache.fill(std::move(std::get<Lease>(begun)), scene.value(2)), 2);
}

Said notice(std::uint64_t number) { return number != 0 ? Said{"announced", {0}} : Said{"not announced", {}}; }

/// Another process computes, and is done once somebody waits for it.
Said wait_for_another(Scene& scene) {
    ChildProcess other = ChildProcess::start([&](Channel& parent) {
        Begun begun = scene.cache.begin(scene.key);
        parent.tell('b');
        for (const std::int64_t until_ns = shm::system::monotonic_ns() + 5'000'000'000;
             !somebody_waits(scene.scoped.view()) && shm::system::monotonic_ns() < until_ns;) {}
        Fault::disarm();
        scene.cache.fill(std::move(std::get<Lease>(begun)), scene.value(2));
        return 0;
    });
    if (other.hear() != 'b') return {"no lease", {}};
    const Said answer = compute(scene);
    return other.wait().exited_with(0) ? answer : Said{"the other failed", {}};
}

const Operation operations[] = {
    {"a put of a new key", nothing, [](Scene& scene) { return said(scene.put(2), 2); }, "stored"},
    {"a put of a known key", put_first, [](Scene& scene) { return said(scene.put(2), 2); }, "stored"},
    {"a put with tags", put_first,
     [](Scene& scene) {
         EntryOptions tagged;
         tagged.tags = {"one", "two", "three"};
         return said(scene.put(2, tagged), 2);
     },
     "stored"},
    {"a put without counts", put_first,
     [](Scene& scene) {
         EntryOptions untracked;
         untracked.tracked = false;
         return said(scene.put(2, untracked), 2);
     },
     "stored"},
    {"a put that evicts", [](Scene& scene) { scene.fill_up(); }, [](Scene& scene) { return said(scene.put(2), 2); },
     "stored"},
    {"an erase", put_first,
     [](Scene& scene) {
         return Said{scene.cache.erase(scene.key) ? "true" : "false", {0}};
     },
     "true"},
    {"an invalidation", put_first, [](Scene& scene) { return notice(scene.cache.invalidate(scene.key)); }, "announced"},
    {"an invalidation of a namespace", put_first,
     [](Scene& scene) { return notice(scene.cache.invalidate_namespace("a")); }, "announced"},
    {"a touch", put_first,
     [](Scene& scene) {
         const bool touched = scene.cache.touch(scene.key, 60s);
         return touched ? Said{"true", {1}} : Said{"false", {0, 1}};
     },
     "true"},
    {"a lookup", put_first,
     [](Scene& scene) {
         const Pinned got = scene.cache.get(scene.key);
         return proven_version(scene.key, got.value()) == 1 ? Said{"a hit", {1}} : Said{"a miss", {1}};
     },
     "a hit"},
    {"a computation", nothing, compute, "a value"},
    {"a fill", put_first,
     [](Scene& scene) {
         scene.cache.invalidate(scene.key);
         return fill(scene);
     },
     "stored"},
    {"waiting for another's computation", nothing, wait_for_another, "a value"},
    {"giving back what a dead process held",
     [](Scene& scene) {
         scene.put(1);
         scene.die_at([&] { return scene.cache.get(scene.key); });
         scene.put(2);
     },
     [](Scene& scene) {
         scene.cache.tend();
         return Said{"tended", {2}};
     },
     "tended"},
    {"a computation whose holder is dead",
     [](Scene& scene) { scene.die_at([&] { return scene.cache.begin(scene.key); }); }, compute, "a value"},
    {"a put into a shard that a dead writer left half edited",
     [](Scene& scene) {
         scene.put(1);
         ChildProcess writer = ChildProcess::start([&](Channel&) {
             const Pinned held = scene.cache.get(scene.key);
             shm::testing::arm_crash("put.linking");
             scene.put(1);
             return 0;
         });
         writer.wait();
     },
     [](Scene& scene) { return said(scene.put(2), 2); }, "stored"},
};

/// "": nothing is wrong.
std::string meet(Scene& scene, const Operation& operation, const Fault& fault, std::uint64_t n, bool& reached) {
    operation.prepare(scene);
    scene.make_everything_due();
    fault.arm(n);
    const Said answer = operation.run(scene);
    reached = fault.was_reached(n);
    Fault::disarm();
    const std::uint64_t served = scene.version();
    bool may = false;
    for (const std::uint64_t version : answer.may_serve) may = may || version == served;
    if (!may) return "it said \"" + answer.text + "\", but version " + std::to_string(served) + " is served";
    if (!reached && answer.text != operation.at_best) return "without a failure it said \"" + answer.text + "\"";
    if (std::string wrong = scene.clean_up(); !wrong.empty()) return wrong;
    operation.prepare(scene);
    const Said again = operation.run(scene);
    if (again.text != operation.at_best) return "afterwards it said \"" + again.text + "\"";
    if (std::string wrong = scene.clean_up(); !wrong.empty()) return "afterwards " + wrong;
    return scene.diagnosis();
}

/// All loops over one operation, in a child: a line for each n-th that was reached, and for what was wrong.
std::string run_loops(const Operation& operation, bool all_errors) {
    ChildProcess stage = ChildProcess::start([&](Channel& parent) {
        Scene scene;
        std::uint64_t keys = 0;
        for (const Fault& fault : faults(all_errors)) {
            bool reached = true;
            for (std::uint64_t n = 1; reached; ++n) {
                // What could not be kept of a key is not computed under a lease for a second.
                scene.key = "a:key" + std::to_string(++keys);
                std::string line = meet(scene, operation, fault, n, reached);
                if (n == 100) line = "it never stops making calls";
                line = line.empty() ? "reached " + std::string(fault.what) : fault.name(n) + ": " + line;
                if (reached || line.find("reached ") != 0) parent.tell_bytes((line + "\n").data(), line.size() + 1);
                if (line.find("reached ") != 0) return 1;
            }
        }
        return 0;
    });
    std::string report;
    while (const char byte = stage.hear(60s)) report += byte;
    return stage.wait().exited_with(0) ? report : report + "and it failed\n";
}

/// All loops over all operations; how many n-th calls were reached, by what failed.
std::map<std::string, int> run_all(bool all_errors) {
    std::map<std::string, int> reached;
    for (const Operation& operation : operations) {
        INFO(operation.name);
        std::istringstream report(run_loops(operation, all_errors));
        for (std::string line; std::getline(report, line);) {
            if (line.find("reached ") == 0)
                ++reached[line.substr(8)];
            else
                FAIL_CHECK(line);
        }
    }
    return reached;
}

}  // namespace

TEST_CASE("Whatever fails in an operation, it says so, nothing leaks, and the next one works", "[cache][fork]") {
    const Watchdog watchdog(600);
    std::map<std::string, int> reached = run_all(false);
    for (const char* const what :
         {"allocation", "status", "lock", "query lock", "read file", "futex wait", "futex wake"}) {
        INFO(what);
        CHECK(reached[what] > 0);
    }
}

TEST_CASE("Whatever fails in an operation, with all errors", "[.all]") { run_all(true); }
