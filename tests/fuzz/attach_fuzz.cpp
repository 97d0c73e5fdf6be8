// A damaged segment, or one that a peer scribbles over: bytes laid over the control data and records of a real one.
//
//     PATCH... = { part: u8, offset: u16, size: u8, bytes[size] }
//
// Whoever looks at it or reads from it gets an error, a miss or a right answer; where checksums are verified, never a
// wrong value.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include "shm/cache.hpp"
#include "shm/counters.hpp"
#include "shm/doctor.hpp"
#include "shm/entry_cursor.hpp"
#include "shm/geometry.hpp"
#include "shm/hash.hpp"
#include "shm/histogram.hpp"
#include "shm/inspector.hpp"
#include "shm/lock_file.hpp"
#include "shm/lookup.hpp"
#include "shm/process.hpp"
#include "shm/registry.hpp"
#include "shm/segment.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/proving_value.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/segment_snapshot.hpp"

using namespace larder;
using namespace larder::fuzz;
using namespace larder::shm;

namespace {

constexpr std::uint32_t kKeys = 8;

std::string key_of(std::uint32_t n) { return (n % 2 == 0 ? "page:" : "user:") + std::to_string(n); }
std::string value_of_key(std::uint32_t n) { return test::proving_value(key_of(n), n, 40 + 60 * n); }

struct Part {
    std::uint64_t at = 0, bytes = 0;
};
struct Patch {
    std::uint64_t at = 0;
    std::string_view bytes;
};

/// All bytes of a value, which lie in mapped memory.
std::uint64_t touched(std::string_view value) { return checksum_of(value); }

/// The segment: a live one, which is put back after each run, and a copy as a file.
class Scene {
public:
    Scene()
        : clock_(std::make_shared<test::ManualClock>()),
          cache_(Cache::open(options(false))),
          verifying_(Cache::open(options(true))),
          snapshot_((fill(), cache_.segment_path())),
          damaged_(locate(directory_.path(), "damaged", true)) {
        const std::string_view all(reinterpret_cast<const char*>(view().base), view().bytes);
        original_ = all;
        file_ = ::open(damaged_.segment_path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        require(file_ >= 0 && ::ftruncate(file_, static_cast<off_t>(view().bytes)) == 0, "a file can be made");
        list_parts();
        put_file_back();
    }

    void run(Bytes input) {
        lay(input);
        look_at_file();
        attach_to_file();
        put_file_back();
        read_live();
        snapshot_.restore();
    }

private:
    Options options(bool verifies) const {
        Options options;
        options.directory = directory_.path();
        options.shards = 1;
        options.expected_entries = 100;
        options.tracked_keys = 64;
        options.random_seed = 1;
        options.clock = clock_;
        options.verify_checksums = verifies;
        options.size_bytes = required_bytes(options);
        return options;
    }
    const SegmentView& view() const { return snapshot_.view(); }

    void fill() {
        for (std::uint32_t n = 0; n < kKeys; ++n) {
            EntryOptions options;
            options.tags = {"tag " + std::to_string(n % 3)};
            if (n == 1) options.soft_ttl = std::chrono::milliseconds(1);
            if (n == 2) options.negative = true;
            if (n == 3) options.ttl = std::chrono::milliseconds(1);
            cache_.put(key_of(n), value_of_key(n), options);
        }
        clock_->advance(std::chrono::seconds(1));
        cache_.invalidate(key_of(4));
        cache_.get(key_of(0));
        cache_.peek(key_of(5));
    }

    void list_parts() {
        const Geometry& geometry = *view().geometry;
        const std::uint64_t header = offsetof(SegmentHeader, geometry);
        parts_ = {{0, header},
                  {header, sizeof(Geometry)},
                  {header + sizeof(Geometry), sizeof(SegmentHeader) - header - sizeof(Geometry)},
                  {geometry.registry_at, sizeof(ProcessSlot) * kProcesses},
                  {geometry.threads_at, sizeof(ThreadBlock) * kThreadBlocks * 2},
                  {geometry.fences_at, 4096},
                  {geometry.leases_at, sizeof(LeaseGroup)},
                  {geometry.keys_at, sizeof(KeyEntry) * geometry.tracked_keys},
                  {geometry.key_hits_at, sizeof(Word64) * kHitStripes * geometry.tracked_keys},
                  {geometry.shards_at, sizeof(Shard)},
                  {geometry.arena_states_at, sizeof(ArenaState)},
                  {geometry.directories_at, sizeof(Word64) * geometry.directory_slots},
                  {geometry.arenas_at, 16 << 10}};
        for (std::uint32_t n = 0; n < kKeys; ++n) {
            const auto entry = find_entry(view(), key_of(n), true, clock_->now_ns());
            require(entry.has_value(), "what was put is there");
            parts_.push_back({entry->arena_offset, sizeof(Record) + 128});
            // The slot that leads to it.
            const std::uint64_t slot = hash_of(key_of(n), view().header().hash_seed) & (geometry.directory_slots - 1);
            parts_.push_back({geometry.directories_at + slot * sizeof(Word64), 2 * sizeof(Word64)});
        }
    }

    void lay(Bytes& input) {
        patches_.clear();
        file_bytes_ = view().bytes;
        while (!input.empty()) {
            const std::size_t part = input.byte() % (parts_.size() + 1);
            const std::uint64_t offset = input.number(2);
            const std::string_view bytes = input.take(input.byte());
            if (part == parts_.size()) {
                file_bytes_ = view().bytes * offset >> 16;
                continue;
            }
            const std::uint64_t at = offset % parts_[part].bytes;
            patches_.push_back({parts_[part].at + at, bytes.substr(0, parts_[part].bytes - at)});
        }
        for (const Patch& patch : patches_) write_file(patch.at, patch.bytes);
        if (file_bytes_ != view().bytes) static_cast<void>(!::ftruncate(file_, static_cast<off_t>(file_bytes_)));
    }

    void write_file(std::uint64_t at, std::string_view bytes) const {
        static_cast<void>(!::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(at)));
    }
    void put_file_back() const {
        static_cast<void>(!::ftruncate(file_, static_cast<off_t>(view().bytes)));
        for (const Part& part : parts_) write_file(part.at, original_.substr(part.at, part.bytes));
    }

    void look_at_file() const {
        try {
            const Segment segment = Segment::attach_read_only(damaged_.segment_path());
            inspect(segment.view());
        } catch (const OpenError&) {
            return;
        }
    }

    void inspect(const SegmentView& damaged) const {
        read_processes(damaged);
        read_leases(damaged);
        read_shard(damaged, 0);
        read_gauges(damaged);
        read_arenas(damaged);
        read_notices(damaged);
        read_identity(damaged);
        read_totals(damaged);
        snapshot(damaged.header().compute_us).mean();
        for (std::uint32_t counter = 0; counter <= kThreadCounters; ++counter) read_label(damaged, counter);
        EntryCursor cursor(damaged, {.prefix = "", .values = true, .dead = true});
        while (!cursor.next(100, clock_->now_ns()).empty()) {}
        for (std::uint32_t n = 0; n <= kKeys; ++n) find_entry(damaged, key_of(n), true, clock_->now_ns());
        Examination examination;
        examination.checksums = true;
        examination.now_ns = clock_->now_ns();
        examine(damaged, examination);
    }

    /// What an opening process does, and its lookups, but for the mapping that it keeps.
    void attach_to_file() const {
        try {
            const std::unique_ptr<Segment> segment = Segment::attach(damaged_);
            if (segment == nullptr || segment->is_abandoned()) return;
            claim_identity(segment->view(), "fuzz");
            const process::Lock lock(std::chrono::milliseconds(1'000));
            LockFile* const lock_file = LockFile::open(damaged_.lock_path());
            Registry registry(segment->view(), lock_file);
            std::uint32_t cursor = 0;
            registry.reap_some(cursor, kProcesses);
            const auto registration = registry.claim("fuzz");
            PinScan(segment->view(), registry).any_between(0, 1);
            if (!registration) return;
            look_up(segment->view(), segment->view().threads(registration->slot));
            lock_file->drop(registration->slot);
        } catch (const OpenError&) {
            return;
        }
    }

    void look_up(const SegmentView& damaged, ThreadBlock* block) const {
        const Lookup lookup(damaged);
        for (std::uint32_t n = 0; n <= kKeys; ++n) {
            const std::string key = key_of(n);
            Look look = lookup.find({hash_of(key, damaged.header().hash_seed), key}, block, clock_->now_ns());
            if (look.record != nullptr) touched(value_of(*look.record));
            release(look);
        }
    }

    /// In place: this process is attached already, with the geometry that it checked then.
    void read_live() {
        for (const Patch& patch : patches_) std::memcpy(view().base + patch.at, patch.bytes.data(), patch.bytes.size());
        if (is_closed_for_good(view())) return;  // then it would be opened anew
        read(cache_, false);
        read(verifying_, true);
    }

    void read(Cache& cache, bool verifies) const {
        std::array<std::string, kKeys + 1> keys;
        for (std::uint32_t n = 0; n <= kKeys; ++n) keys[n] = key_of(n);
        for (std::uint32_t n = 0; n <= kKeys; ++n) {
            const Pinned got = cache.get(keys[n]), peeked = cache.peek(keys[n]);
            for (const Pinned* pinned : {&got, &peeked}) {
                touched(pinned->value());
                require(!verifies || !*pinned || pinned->value() == value_of_key(n),
                        "no wrong value where it is checked");
            }
            cache.contains(keys[n]);
            cache.key_use(keys[n]);
        }
        const std::array<std::string_view, 3> some{keys[0], keys[4], keys[5]};
        for (const Pinned& pinned : cache.get_many(some)) touched(pinned.value());
        cache.mean_compute_time();
        cache.stamp();
    }

    const test::ScopedDirectory directory_{scratch_parent()};
    const std::shared_ptr<test::ManualClock> clock_;
    Cache cache_, verifying_;
    const test::SegmentSnapshot snapshot_;
    const Location damaged_;
    std::string original_;
    std::vector<Part> parts_;
    std::vector<Patch> patches_;
    std::uint64_t file_bytes_ = 0;
    int file_ = -1;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Scene scene;
    scene.run(Bytes(data, size));
    return 0;
}
