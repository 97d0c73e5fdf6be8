// A cache in a directory of its own, on tmpfs where there is one; its files are gone at the end of the scope.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "shm/cache.hpp"

namespace larder::bench {

/// A new one, on tmpfs where there is one. Throws std::runtime_error.
std::string make_directory();
/// From now on in this one, which is removed with all that is in it whatever becomes of this process.
void make_directories_in(const std::string& parent);

class ScopedCache {
public:
    /// `options` without a directory. Throws OpenError.
    explicit ScopedCache(Options options);
    ~ScopedCache();
    ScopedCache(const ScopedCache&) = delete;
    ScopedCache& operator=(const ScopedCache&) = delete;

    Cache& operator*() { return cache_; }
    Cache* operator->() { return &cache_; }
    const Cache* operator->() const { return &cache_; }
    /// To open it once more, here or in another process.
    const Options& options() const { return options_; }

private:
    static Options in_own_directory(Options options);
    const Options options_;
    const pid_t owner_;
    Cache cache_;
};

/// Options of a cache that holds so many entries of one value size and never evicts: all of their keys are tracked.
Options roomy(std::uint64_t entries, std::size_t value_bytes);

/// Stores the workload's keys and reads every byte back.
void fill(Cache& cache, std::uint32_t keys, std::size_t value_bytes, const EntryOptions& options = {});

}  // namespace larder::bench
