// S5: both readers at once against each of them alone, in pairs.
#include <fmt/format.h>

#include <vector>

#include "bench/compare/groups.hpp"
#include "bench/readers.hpp"
#include "bench/rounds.hpp"
#include "bench/stage.hpp"

namespace larder::bench {
namespace {

constexpr std::size_t kValueBytes = 1024;
constexpr std::uint32_t kWalks = 16;  // of one process in one round

void compare(Report& report, Distribution distribution) {
    Readers readers(stage(kValueBytes).scoped().options(), distribution, kValueBytes);
    std::vector<double> ratios, alone, together;
    for (std::size_t pair = 0; pair < report.effort().pairs; ++pair) {
        const double first = readers.lookups_per_second(0b01, kWalks);
        together.push_back(readers.lookups_per_second(0b11, kWalks));
        const double second = readers.lookups_per_second(0b10, kWalks);
        alone.push_back((first + second) / 2);
        ratios.push_back(together.back() / alone.back());
    }
    const std::string load(name_of(distribution));
    report.add({"processes", "one reader", kValueBytes, load, "lookups/s", alone});
    report.add({"processes", "two readers", kValueBytes, load, "lookups/s", together});
    report.judge("S5", {fmt::format("two readers / one, {}, {}", bytes_text(kValueBytes), load),
                        "x",
                        {">=", 1.9},
                        median(ratios),
                        ratios,
                        ratios.size()});
    report.note(fmt::format("one {:.1f} million/s, two {:.1f} million/s", median(alone) / 1e6, median(together) / 1e6));
}

}  // namespace

void compare_processes(Report& report) {
    compare(report, Distribution::uniform);
    compare(report, Distribution::zipf);
}

}  // namespace larder::bench
