#include "tests/damage/specimen.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>

#include "shm/directory.hpp"
#include "shm/hash.hpp"
#include "shm/location.hpp"
#include "shm/record_copy.hpp"
#include "shm/segment.hpp"
#include "shm/system.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/proving_value.hpp"
#include "tests/support/scoped_directory.hpp"

namespace larder::damage {
namespace {

using namespace std::chrono_literals;

constexpr Shape kShapes[] = {
    {"small values", 1, 400, 40, 300},
    {"large values", 1, 40, 4'000, 40'000},
    {"eight shards", 8, 600, 40, 1'000},
    {"strict recency", 1, 300, 40, 1'000, Options::Recency::strict},
    {"after crashes", 8, 400, 40, 1'000, Options::Recency::clock, "half_edited", true},
};
constexpr std::uint32_t kCondemnedShard = 3, kHalfEditedShard = 5;

Options options_of(const Shape& shape, const std::string& directory) {
    Options options;
    options.name = kCacheName;
    options.directory = directory;
    options.shards = shape.shards;
    options.expected_entries = shape.keys;
    options.size_bytes = (shape.shards == 1 ? 12ULL : 44ULL) << 20;
    options.tracked_keys = 2048;
    options.recency = shape.recency;
    options.identity = "specimen.db";
    options.random_seed = 1;
    return options;
}

/// What becomes of the n-th key.
EntryOptions entry_options(std::uint32_t n) {
    EntryOptions entry;
    entry.ttl = 24h;
    for (std::uint32_t tag = 0; tag < n % 4; ++tag) entry.tags.push_back("tag:" + std::to_string((n + tag) % 7));
    entry.negative = n % 10 == 0;
    if (n % 10 == 1) entry.soft_ttl = 1ms;
    if (n % 10 == 2) {
        entry.ttl = 1ms;
        entry.stale_if_error = 24h;
    }
    entry.tracked = n % 10 != 5;
    return entry;
}

class Maker {
public:
    Maker(const Specimen& specimen, const std::string& directory)
        : specimen_(specimen),
          shape_(specimen.shape()),
          cache_(Cache::open(options_of(shape_, directory))),
          segment_(shm::Segment::attach(shm::locate(directory, kCacheName, false))) {}

    int live(test::Channel& parent) {
        for (std::uint32_t n = 0; n < shape_.keys; ++n) put(n);
        for (std::uint32_t n = 0; n < shape_.keys; ++n) cache_.get(specimen_.key(n));
        for (std::uint32_t n = 4; n < shape_.keys; n += 10) cache_.invalidate(specimen_.key(n));
        cache_.invalidate_tag("tag:6");
        cache_.invalidate_namespace("nobody");
        if (shape_.crashed) crash();
        std::vector<Lease> leases;
        for (std::uint32_t n = 0; n < 6; ++n)
            if (Begun begun = cache_.begin("lease:" + std::to_string(n)); std::holds_alternative<Lease>(begun))
                leases.push_back(std::move(std::get<Lease>(begun)));
        const Pinned held = cache_.get(specimen_.key(7));
        parent.tell('r');
        parent.hear();  // killed here
        return 0;
    }

private:
    void put(std::uint32_t n) {
        if (n % 10 == 3) return;
        const std::string key = specimen_.key(n);
        const std::size_t bytes = shape_.least_bytes + n * 7919ULL % (shape_.most_bytes - shape_.least_bytes);
        cache_.put(key, n % 10 == 0 ? std::string() : test::proving_value(key, n, bytes), entry_options(n));
    }

    std::uint32_t shard_of(std::uint32_t n) const {
        return shm::shard_of(shm::hash_of(specimen_.key(n), segment_->view().header().hash_seed), shape_.shards);
    }

    /// A writer seems to have died inside a section: the next one empties that shard, and condemns its arena, in which
    /// a pin is left.
    void crash() {
        for (std::uint32_t n = 0; n < shape_.keys && !pinned_; ++n)
            if (shard_of(n) == kCondemnedShard) pinned_ = cache_.get(specimen_.key(n));
        segment_->view().shard(kCondemnedShard).mutating.store(1);
        for (std::uint32_t n = 0; n < shape_.keys; ++n)
            if (shard_of(n) == kCondemnedShard) put(n);
        segment_->view().shard(kHalfEditedShard).mutating.store(1);
    }

    const Specimen& specimen_;
    const Shape& shape_;
    Cache cache_;
    std::unique_ptr<shm::Segment> segment_;
    Pinned pinned_;
};

bool is_zero(const std::byte* page) {
    return page[0] == std::byte{0} && std::memcmp(page, page + 1, shm::kPageBytes - 1) == 0;
}

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

}  // namespace

void Unmap::operator()(std::byte* memory) const { ::munmap(memory, bytes); }

Specimen::Specimen(const Shape& shape) : shape_(shape) {
    const test::ScopedDirectory directory;
    // Where it is there already, nobody looks through all of /proc for who had an earlier one: that takes its time
    // here.
    std::ofstream(shm::locate(directory.path(), kCacheName, true).lock_path());
    std::filesystem::permissions(shm::locate(directory.path(), kCacheName, true).lock_path(),
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    auto maker =
        test::ChildProcess::start([&](test::Channel& parent) { return Maker(*this, directory.path()).live(parent); });
    if (maker.hear() != 'r') throw std::runtime_error(std::string("cannot make the specimen ") + shape.name);
    maker.kill(SIGKILL);
    maker.wait();
    read(shm::locate(directory.path(), kCacheName, false).segment_path());
    find_records();
}

void Specimen::read(const std::string& path) {
    const shm::system::Descriptor file = shm::system::open_file(path, O_RDONLY);
    struct stat status {};
    if (!file.is_open() || ::fstat(file.number(), &status) != 0) fail(path);
    bytes_ = static_cast<std::uint64_t>(status.st_size);
    void* const memory =
        ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    memory_ = {static_cast<std::byte*>(memory), Unmap{bytes_}};
    alignas(8) std::byte page[shm::kPageBytes];
    for (std::uint64_t at = 0; at < bytes_; at += sizeof page) {
        if (::pread(file.number(), page, sizeof page, static_cast<off_t>(at)) != sizeof page) fail("pread");
        if (is_zero(page)) continue;
        pages_.push_back(at);
        std::memcpy(memory_.get() + at, page, sizeof page);
    }
}

void Specimen::find_records() {
    const shm::Geometry& geometry = *view().geometry;
    for (std::uint32_t i = 0; i < geometry.shards * geometry.directory_slots; ++i)
        if (const std::uint64_t word = view().directory(0)[i].load(); word != 0)
            records_.push_back(shm::slot_units(word) * shm::kUnitBytes);
}

bool Specimen::is_half_edited(std::uint32_t n) const {
    const std::uint64_t hash = shm::hash_of(key(n), view_header().hash_seed);
    return view().shard(shm::shard_of(hash, shape_.shards)).mutating != 0;
}

void Specimen::write(const std::string& path, const std::vector<Edit>& edits, std::uint64_t file_bytes) const {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 || ::fchmod(file, 0600) != 0 || ::ftruncate(file, static_cast<off_t>(bytes_)) != 0) fail(path);
    const auto put = [file](std::uint64_t at, const void* bytes, std::size_t size) {
        if (::pwrite(file, bytes, size, static_cast<off_t>(at)) != static_cast<ssize_t>(size)) fail("pwrite");
    };
    for (std::size_t first = 0, next = 1; first < pages_.size(); first = next++) {
        while (next < pages_.size() && pages_[next] == pages_[next - 1] + shm::kPageBytes) ++next;
        put(pages_[first], memory_.get() + pages_[first], (next - first) * shm::kPageBytes);
    }
    for (const Edit& edit : edits) put(edit.at, edit.bytes.data(), edit.bytes.size());
    if (::ftruncate(file, static_cast<off_t>(file_bytes)) != 0) fail(path);
    ::close(file);
}

std::vector<Specimen> make_specimens() {
    std::vector<Specimen> specimens;
    for (const Shape& shape : kShapes) specimens.emplace_back(shape);
    return specimens;
}

}  // namespace larder::damage
