// Two processes, each on a processor of its own, that read one cache when they are told to, alone or both at once.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "bench/workload.hpp"
#include "shm/cache.hpp"

namespace larder::bench {

class Readers {
public:
    static constexpr std::uint32_t kMost = 2;

    /// Forks them. `options` open the cache, which holds the workload's keys with values of that size. Throws when
    /// there are not two processors.
    Readers(const Options& options, Distribution distribution, std::size_t value_bytes);
    ~Readers();
    Readers(const Readers&) = delete;
    Readers& operator=(const Readers&) = delete;

    /// Lookups a second, those of all readers in `who` (a bit for each) together, each walking the sequence `walks`
    /// times.
    double lookups_per_second(std::uint32_t who, std::uint32_t walks);

private:
    struct Desk;
    void serve(std::uint32_t self, const Options& options, Distribution distribution, std::size_t value_bytes);
    void start_together(std::uint32_t who);
    void keep_busy(std::uint64_t command);

    Desk* desk_ = nullptr;
    std::array<pid_t, kMost> pids_{};
};

}  // namespace larder::bench
