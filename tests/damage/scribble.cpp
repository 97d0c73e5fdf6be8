#include "tests/damage/scribble.hpp"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <random>

#include "shm/location.hpp"
#include "shm/record.hpp"
#include "shm/segment.hpp"
#include "shm/system.hpp"
#include "tests/damage/reader.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shared_object.hpp"

namespace larder::damage {
namespace {

/// What a reader may take for granted.
enum class Way : std::uint32_t { plain, verified, verified_copies };
constexpr const char* kWays[] = {"without checksums", "with checksums", "copies with checksums"};
constexpr std::uint32_t kWayCount = 3;
constexpr std::uint64_t kReadsAtATime = 512;

/// Shared with the readers.
struct Scene {
    std::atomic<bool> stop{false};
    struct Told {
        std::uint64_t hits, misses, wrong_bytes;
        char failure[200];
    } told[kWayCount]{};
};

int live(const Specimen& specimen, const std::string& directory, Way way, std::uint64_t seed, Scene& scene,
         test::Channel& parent) {
    Options options;
    options.name = kCacheName;
    options.directory = directory;
    options.create = false;
    options.verify_checksums = way != Way::plain;
    Cache cache = Cache::open(options);
    Reader reader(cache, specimen, cache.segment_path(), seed);
    parent.tell('r');
    do way == Way::verified_copies ? reader.read_copies(kReadsAtATime) : reader.read(kReadsAtATime);
    while (!scene.stop && reader.failure().empty());
    Scene::Told& told = scene.told[static_cast<std::size_t>(way)];
    told.hits = reader.tally().hits;
    told.misses = reader.tally().misses;
    told.wrong_bytes = reader.tally().wrong_bytes;
    std::snprintf(told.failure, sizeof told.failure, "%s", reader.failure().c_str());
    return 0;
}

/// Writes over the segment in one place at a time, and soon puts back what was there, so that there is something to
/// read.
class Scribbler {
public:
    Scribbler(const Specimen& specimen, const shm::SegmentView& view, std::uint64_t seed)
        : specimen_(specimen), view_(view), random_(seed) {}

    /// Some places are damaged at any time; the one that has been for longest is put right.
    void scribble(bool values) {
        std::uint64_t& oldest = damaged_[next_++ % damaged_.size()];
        if (oldest != 0) word(oldest).store(right(oldest), std::memory_order_relaxed);
        oldest = place(values);
        const std::uint32_t was = right(oldest);
        const std::uint32_t odd[] = {0, ~0U, was + 1, was ^ 1U << below(32), static_cast<std::uint32_t>(random_())};
        for (std::uint64_t n = 1 + below(64); n > 0; --n) {
            word(oldest).store(odd[below(std::size(odd))], std::memory_order_relaxed);
            word(oldest).store(was, std::memory_order_relaxed);
        }
        word(oldest).store(odd[below(std::size(odd))], std::memory_order_relaxed);
    }

private:
    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    shm::Word32& word(std::uint64_t at) const { return *view_.at<shm::Word32>(at); }
    std::uint32_t right(std::uint64_t at) const { return specimen_.view().at<shm::Word32>(at)->load(); }

    std::uint64_t place(bool values) {
        const shm::Geometry& geometry = *specimen_.view().geometry;
        if (below(4) == 0)
            return geometry.directories_at + below(std::uint64_t{geometry.shards} * geometry.directory_slots * 2) * 4;
        const std::uint64_t at = specimen_.records()[below(specimen_.records().size())];
        const shm::Record& record = *specimen_.view().at<shm::Record>(at);
        if (values && record.value_bytes >= 4 && below(2) == 0)
            return at + record.value_at + below(record.value_bytes / 4) * 4;
        if (below(2) == 0) return at + offsetof(shm::Record, value_at) + below(4) * 4;  // the lengths
        return at + below(record.value_at / 4) * 4;
    }

    const Specimen& specimen_;
    const shm::SegmentView view_;
    std::mt19937_64 random_;
    std::array<std::uint64_t, 32> damaged_{};  // 0: none
    std::size_t next_ = 0;
};

void scribble_on(const Specimen& specimen, std::uint64_t seed, std::int64_t for_ns, bool values, Scribbled& scribbled) {
    const test::ScopedDirectory directory;
    const shm::Location location = shm::locate(directory.path(), kCacheName, false);
    specimen.write(location.segment_path(), {}, specimen.bytes());
    const test::SharedObject<Scene> scene;
    std::vector<test::ChildProcess> readers;
    for (std::uint32_t way = 0; way < kWayCount; ++way)
        readers.push_back(test::ChildProcess::start([&](test::Channel& parent) {
            return live(specimen, directory.path(), Way{way}, seed + way, *scene, parent);
        }));
    for (test::ChildProcess& reader : readers)
        if (reader.hear() != 'r') scribbled.broken.push_back("a reader does not start");
    {
        const auto segment = shm::Segment::attach(location);
        Scribbler scribbler(specimen, segment->view(), seed);
        for (const std::int64_t until_ns = shm::system::monotonic_ns() + for_ns;
             shm::system::monotonic_ns() < until_ns;)
            for (int n = 0; n < 64; ++n) scribbler.scribble(values);
    }
    scene->stop = true;
    const std::string what = std::string("`") + specimen.shape().name + (values ? "`, values too, " : "`, structure, ");
    for (std::uint32_t way = 0; way < kWayCount; ++way) {
        const auto fail = [&](std::vector<std::string>& failures, const std::string& how) {
            failures.push_back(what + kWays[way] + ": " + how);
        };
        const auto ending = readers[way].wait();
        const Scene::Told& told = scene->told[way];
        if (!ending.in_time)
            fail(scribbled.broken, "HUNG");
        else if (!ending.exited_with(0))
            fail(scribbled.broken, "CRASHED, status " + std::to_string(ending.status));
        if (told.failure[0] != '\0') fail(scribbled.wrong_bytes, told.failure);
        if (told.hits == 0) fail(scribbled.broken, "not one hit, which proves nothing");
        // A pinned value may change after it was verified; a copy may not.
        const bool excused = Way{way} == Way::plain || (values && Way{way} == Way::verified);
        if (told.wrong_bytes != 0 && !excused)
            fail(scribbled.wrong_bytes, std::to_string(told.wrong_bytes) + " values with wrong bytes");
        std::printf("%-34s %-22s %9lu hits %9lu misses %7lu wrong\n", what.c_str(), kWays[way], told.hits, told.misses,
                    told.wrong_bytes);
    }
}

}  // namespace

Scribbled scribble(const std::vector<Specimen>& specimens, std::uint64_t seed, std::uint64_t seconds) {
    Scribbled scribbled;
    const std::int64_t each_ns =
        static_cast<std::int64_t>(seconds * 1'000'000'000 / (2 * std::max<std::size_t>(specimens.size(), 1)));
    for (const bool values : {false, true})
        for (const Specimen& specimen : specimens) scribble_on(specimen, seed, each_ns, values, scribbled);
    return scribbled;
}

}  // namespace larder::damage
