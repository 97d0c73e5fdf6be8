#include "tests/soak/sampler.hpp"

#include <algorithm>
#include <cstdio>

#include "shm/inspector.hpp"
#include "shm/system.hpp"
#include "tests/support/process_usage.hpp"

namespace larder::soak {
namespace {

constexpr double kMostGrowth = 1.1;   // of a median of three or more
constexpr double kMostSlowing = 1.5;  // of a median of twelve or more
constexpr std::uint64_t kSmallNs = 2'000;
constexpr std::uint64_t kSmallKib = 512;  // an allocator's whims

template <class Field>
std::uint64_t median(std::vector<Sample>::const_iterator first, std::vector<Sample>::const_iterator last, Field field) {
    std::vector<std::uint64_t> values;
    for (; first != last; ++first) values.push_back((*first).*field);
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

}  // namespace

void Sampler::print_heading() {
    std::printf("%8s %12s %5s %9s %9s %6s %10s %8s %9s\n", "seconds", "private KiB", "fds", "file KiB", "used KiB",
                "slots", "lookups", "p50 ns", "p99.9 ns");
}

void Sampler::sample(std::uint64_t second, const std::vector<pid_t>& processes) {
    Sample sample;
    for (const pid_t process : processes) {
        sample.private_kib += test::private_bytes_of(process) / 1024;
        sample.descriptors += static_cast<std::uint64_t>(test::open_descriptors(std::to_string(process)));
    }
    struct stat file {};
    if (shm::system::file_status(path_, file) == 0) sample.file_kib = static_cast<std::uint64_t>(file.st_blocks) / 2;
    sample.used_kib = shm::read_gauges(view_).arena_used_bytes / 1024;
    sample.slots = shm::read_processes(view_).size();
    const LatencyHistogram now = *lookups_, interval = now.since(before_);
    before_ = now;
    sample.lookups = interval.count();
    sample.p50_ns = interval.quantile(0.5);
    sample.p999_ns = interval.quantile(0.999);
    samples_.push_back(sample);
    std::printf("%8lu %12lu %5lu %9lu %9lu %6lu %10lu %8lu %9lu\n", second, sample.private_kib, sample.descriptors,
                sample.file_kib, sample.used_kib, sample.slots, sample.lookups, sample.p50_ns, sample.p999_ns);
    std::fflush(stdout);
}

std::string Sampler::growth() const {
    const auto third = static_cast<std::ptrdiff_t>(samples_.size() - 1) / 3;
    const auto begin = samples_.begin() + 1, end = samples_.end();
    struct Figure {
        const char* name;
        std::uint64_t Sample::*field;
        std::uint64_t small;
    };
    constexpr Figure kFigures[] = {{"the processes' private memory (KiB)", &Sample::private_kib, kSmallKib},
                                   {"open descriptors", &Sample::descriptors, 0},
                                   {"the segment's file (KiB)", &Sample::file_kib, 0},
                                   {"used bytes in the arenas (KiB)", &Sample::used_kib, kSmallKib},
                                   {"slots of the registry", &Sample::slots, 1}};
    for (const Figure& figure : kFigures) {
        const std::uint64_t early = median(begin, begin + third, figure.field);
        if (early == 0) return std::string(figure.name) + " cannot be read";
        const std::uint64_t late = median(end - third, end, figure.field);
        if (static_cast<double>(late) > static_cast<double>(early) * kMostGrowth + static_cast<double>(figure.small))
            return std::string(figure.name) + " grew from " + std::to_string(early) + " to " + std::to_string(late);
    }
    const std::uint64_t early = median(begin, begin + third, &Sample::p999_ns);
    const std::uint64_t late = median(end - third, end, &Sample::p999_ns);
    std::printf("p99.9 of a lookup: %lu ns early, %lu ns late\n", early, late);
    if (samples_.size() < kTimedSamples) {
        std::printf("p99.9 not judged: fewer than %zu samples\n", kTimedSamples);
        return "";
    }
    const double most = static_cast<double>(early) * kMostSlowing + static_cast<double>(kSmallNs);
    if (static_cast<double>(late) > most)
        return "p99.9 of a lookup (ns) grew from " + std::to_string(early) + " to " + std::to_string(late);
    return "";
}

}  // namespace larder::soak
