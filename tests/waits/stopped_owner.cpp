#include "tests/waits/stopped_owner.hpp"

#include <signal.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <string>

#include "shm/cache.hpp"
#include "shm/hash.hpp"
#include "shm/layout.hpp"
#include "shm/location.hpp"
#include "shm/segment.hpp"
#include "shm/system.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/section.hpp"

namespace larder::waits {
namespace {

constexpr std::uint32_t kShards = 8;
constexpr int kTries = 20'000;  // to meet the writer inside a section, a round
constexpr int kGets = 200, kNotices = 50;
constexpr std::int64_t kLookForNs = 1'000'000;
constexpr std::int64_t kBlockedNs = 1'000'000'000;  // R5: no bounded wait takes so long
constexpr std::int64_t kSlowNs = 5'000'000;

Options options_in(const std::string& directory) {
    Options options;
    options.directory = directory;
    options.size_bytes = 64ULL << 20;
    options.shards = kShards;
    return options;
}

int write_for_ever(const Options& options) {
    Cache cache = Cache::open(options);
    const std::string value(16'000, 'v');
    for (std::uint64_t n = 0;; ++n)
        static_cast<void>(cache.put("writer:" + std::to_string(n % 1000), value));  // nothing is evicted
}

template <class Operation>
std::int64_t time_of(Operation&& operation) {
    const std::int64_t began_ns = shm::system::monotonic_ns();
    operation();
    return shm::system::monotonic_ns() - began_ns;
}

class Scene {
public:
    Scene()
        : options_(options_in(directory_.path())),
          cache_(Cache::open(options_)),
          segment_(shm::Segment::attach_read_only(shm::locate(options_.directory, options_.name, true).segment_path())),
          writer_(test::fork_to([this] { return write_for_ever(options_); })) {
        for (std::uint32_t found = 0, n = 0; found < kShards; ++n) {
            const std::string key = "reader:" + std::to_string(n);
            const std::uint64_t hash = shm::hash_of(key, segment_.view().header().hash_seed);
            std::string& own = key_in_shard_[shm::shard_of(hash, kShards)];
            found += own.empty() ? 1 : 0;
            own = key;
        }
    }
    ~Scene() { test::end(writer_); }

    void round(StoppedOwnerReport& report) {
        for (const std::string& key : key_in_shard_) fill(key);
        const std::uint32_t shard = stop_inside();
        look_around(shard, report);
        ++report.rounds;
        ::kill(writer_, SIGCONT);
    }

private:
    /// While the writer works, a put may find its shard busy.
    void fill(const std::string& key) {
        for (int i = 0; i < kTries; ++i)
            if (cache_.put(key, key) == PutResult::stored) return;
        throw std::runtime_error("a key cannot be stored");
    }

    /// The shard whose section it is in now.
    std::uint32_t stop_inside() {
        for (int i = 0; i < kTries; ++i) {
            const std::int64_t until_ns = shm::system::monotonic_ns() + kLookForNs;
            while (!test::section_of(segment_.view(), writer_) && shm::system::monotonic_ns() < until_ns) {}
            test::stop(writer_);
            if (test::is_dead(writer_)) throw std::runtime_error("the writer ended by itself");
            if (const auto inside = test::section_of(segment_.view(), writer_)) return inside->shard;
            ::kill(writer_, SIGCONT);
        }
        throw std::runtime_error("the writer was never met inside a section");
    }

    void look_up(const std::string& key, StoppedOwnerReport& report) {
        bool hit = false;
        const std::int64_t took_ns = time_of([&] { hit = bool(cache_.get(key)); });
        report.gets_ns.push_back(took_ns);
        report.slow_gets += took_ns > kSlowNs ? 1 : 0;
        report.missed += hit ? 0 : 1;
    }

    void look_around(std::uint32_t shard, StoppedOwnerReport& report) {
        const std::string &here = key_in_shard_[shard], &elsewhere = key_in_shard_[(shard + 1) % kShards];
        const std::uint64_t slow = report.slow_gets;
        for (int i = 0; i < kGets; ++i) look_up(here, report);
        report.slow_rounds += report.slow_gets != slow ? 1 : 0;
        const auto time = [&](std::vector<std::int64_t>& times_ns, auto&& operation) {
            times_ns.push_back(time_of(operation));
            report.blocked += times_ns.back() > kBlockedNs ? 1 : 0;
        };
        const auto put = [&](std::vector<std::int64_t>& times_ns, const std::string& key, PutResult wanted) {
            time(times_ns, [&] { report.astonishing += cache_.put(key, key) == wanted ? 0 : 1; });
        };
        put(report.puts_ns, here, PutResult::busy);
        put(report.elsewhere_ns, elsewhere, PutResult::stored);
        for (int i = 0; i < kNotices; ++i) time(report.notices_ns, [&] { cache_.invalidate(here); });
    }

    test::ScopedDirectory directory_;
    Options options_;
    Cache cache_;
    shm::Segment segment_;
    pid_t writer_;
    std::array<std::string, kShards> key_in_shard_;
};

}  // namespace

/// Who waits for the writer waits longer than kSlowNs in every round: as long as a put (15 ms), or until it goes on.
/// Who is merely off the processor for so long is so in few of them, since the gets of a round take microseconds
/// together.
std::uint64_t StoppedOwnerReport::waited() const {
    return slow_rounds > std::max<std::uint64_t>(2, rounds / 10) ? slow_gets : 0;
}

StoppedOwnerReport stop_owners(std::uint64_t rounds) {
    StoppedOwnerReport report;
    Scene scene;
    while (report.rounds < rounds) scene.round(report);
    return report;
}

}  // namespace larder::waits
