// The same 20,000 values of one size in the cache, in the floor's table and in the peer's, for lookups side by side.
#pragma once

#include <cstddef>
#include <memory>

#include "bench/flat_table.hpp"
#include "bench/locked_cache.hpp"
#include "bench/scoped_cache.hpp"

namespace larder::bench {

/// Each part is made when it is first asked for, and kept.
class Stage {
public:
    explicit Stage(std::size_t value_bytes) : value_bytes_(value_bytes) {}

    std::size_t value_bytes() const { return value_bytes_; }
    ScopedCache& scoped();
    Cache& cache() { return *scoped(); }
    FlatTable& table();
    LockedCache& locked();

private:
    const std::size_t value_bytes_;
    std::unique_ptr<ScopedCache> cache_;
    std::unique_ptr<FlatTable> table_;
    std::unique_ptr<LockedCache> locked_;
};

/// This process's stage for values of that size; the one for another size is given up for it.
Stage& stage(std::size_t value_bytes);

}  // namespace larder::bench
