// Operations on a small cache, and on a model of it that must answer alike; the input decides what is drawn.
#include <memory>

#include "shm/counters.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/model_counts.hpp"
#include "tests/support/model_run.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/segment_snapshot.hpp"

using namespace larder;
using namespace larder::fuzz;

namespace {

/// A cache that starts empty in each run.
class Scene {
public:
    explicit Scene(std::uint64_t max_entries)
        : max_entries_(max_entries),
          scoped_(options(max_entries), 0, scratch_parent()),
          snapshot_(registered(scoped_).segment_path()) {}

    void run(Bytes& input) {
        scoped_.clock->set_ns(test::ManualClock::kStartNs);
        const auto draw = [&input](std::uint64_t below) { return input.number(below <= 256 ? 1 : 2) % below; };
        {
            test::ModelRun run(scoped_.cache, *scoped_.clock, draw, max_entries_);
            while (!input.empty()) {
                const std::string wrong = run.step(true);
                require(wrong.empty(), wrong);
            }
            const std::string violation = test::first_violation(snapshot_.view());
            require(violation.empty(), violation);
            const std::string count = test::wrong_count(shm::read_totals(snapshot_.view()), run.model.counts);
            require(count.empty(), count);
        }
        snapshot_.restore();
    }

private:
    static Options options(std::uint64_t max_entries) {
        Options options;
        options.max_entries = max_entries;
        if (max_entries != 0) options.recency = Options::Recency::strict;
        return options;
    }
    /// With a place for its pins, which is part of what is kept.
    static const Cache& registered(const test::ScopedCache& scoped) {
        scoped.cache.peek("none");
        return scoped.cache;
    }

    const std::uint64_t max_entries_;
    test::ScopedCache scoped_;
    const test::SegmentSnapshot snapshot_;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Scene open(0), one(1), seven(7);
    Bytes input(data, size);
    Scene* const scenes[] = {&open, &one, &seven};
    scenes[input.byte() % 3]->run(input);
    return 0;
}
