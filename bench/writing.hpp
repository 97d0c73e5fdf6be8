// Single puts and notices, timed one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bench/samples.hpp"
#include "shm/cache.hpp"

namespace larder::bench {

/// Puts of keys that are not there, into a cache so full that every put evicts.
Quantiles sample_evicting_puts(std::size_t value_bytes, std::size_t samples);
/// Puts of keys that are there.
Quantiles sample_overwriting_puts(std::size_t value_bytes, std::size_t samples);

enum class Notice : std::uint8_t { key, tag, name_space, everything };
inline constexpr Notice kNotices[] = {Notice::key, Notice::tag, Notice::name_space, Notice::everything};
std::string_view name_of(Notice notice);

/// Fills a cache with small entries; all have one tag and one namespace.
void fill_tagged(Cache& cache, std::uint32_t entries);
/// Names entries that are there by key, or all of them by the other kinds.
Quantiles sample_notices(Cache& cache, Notice notice, std::uint32_t entries, std::size_t samples);

}  // namespace larder::bench
