#include "bench/scoped_cache.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "bench/workload.hpp"

namespace larder::bench {

namespace {

std::string& parent_of_directories() {
    static std::string parent(::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return parent;
}

}  // namespace

void make_directories_in(const std::string& parent) { parent_of_directories() = parent; }

std::string make_directory() {
    std::string path = parent_of_directories() + "/larder-bench-XXXXXX";
    require(::mkdtemp(path.data()) != nullptr, "no directory can be made");
    return path;
}

Options ScopedCache::in_own_directory(Options options) {
    options.directory = make_directory();
    return options;
}

ScopedCache::ScopedCache(Options options)
    : options_(in_own_directory(std::move(options))), owner_(::getpid()), cache_(Cache::open(options_)) {}

ScopedCache::~ScopedCache() {
    if (::getpid() != owner_) return;
    std::error_code ignored;
    std::filesystem::remove_all(options_.directory, ignored);
}

Options roomy(std::uint64_t entries, std::size_t value_bytes) {
    constexpr std::uint64_t kEntryBytes = 512;  // record, key, index node, directory, and some room
    constexpr std::uint64_t kTrackedKeyBytes = 256;
    Options options;
    options.role = "bench";
    options.ttl = std::chrono::hours(1);
    options.expected_entries = entries;
    options.tracked_keys = 2 * entries;
    options.size_bytes = (32ULL << 20) + entries * (value_bytes + kEntryBytes + 2 * kTrackedKeyBytes) * 5 / 4;
    return options;
}

void fill(Cache& cache, std::uint32_t keys, std::size_t value_bytes, const EntryOptions& options) {
    for (std::uint32_t number = 0; number < keys; ++number)
        require(cache.put(key_of(number).text(), value_of(number, value_bytes), options) == PutResult::stored,
                "a put was refused");
    for (std::uint32_t number = 0; number < keys; ++number)
        require(cache.get(key_of(number).text()).value() == value_of(number, value_bytes), "a value came back changed");
    require(cache.key_use(key_of(0).text()).tracked, "the key table is too small for the benchmark");
}

}  // namespace larder::bench
