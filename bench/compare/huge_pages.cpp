// Hits with the segment in pages of 2 MiB and of 4 KiB, in turn: two caches alike but for that.
#include <fmt/format.h>

#include <vector>

#include "bench/compare/groups.hpp"
#include "bench/lookups.hpp"
#include "bench/rounds.hpp"
#include "bench/scoped_cache.hpp"
#include "shm/system.hpp"

namespace larder::bench {
namespace {

void compare(Report& report, std::size_t value_bytes) {
    Options options = roomy(kKeys, value_bytes);
    const std::int64_t began_ns = shm::system::monotonic_ns();
    ScopedCache huge(options);
    const std::int64_t made_ns = shm::system::monotonic_ns();
    options.huge_pages = false;
    ScopedCache small(options);
    const std::int64_t ended_ns = shm::system::monotonic_ns();
    report.note(fmt::format("made in {:.0f} ms, without huge pages in {:.0f} ms",
                            static_cast<double>(made_ns - began_ns) / 1e6,
                            static_cast<double>(ended_ns - made_ns) / 1e6));
    for (ScopedCache* const cache : {&small, &huge}) fill(**cache, kKeys, value_bytes);
    for (const Distribution distribution : {Distribution::uniform, Distribution::zipf}) {
        const Sequence& order = sequence(distribution);
        Rounds rounds;
        const auto enter = [&](Cache& cache) {
            return rounds.add([&order, &cache, value_bytes] {
                PinnedHit lookup{cache};
                time_walk(order, value_bytes, lookup);
                return time_walk(order, value_bytes, lookup);
            });
        };
        const std::size_t with_small = enter(*small), with_huge = enter(*huge);
        rounds.run(report.effort().rounds);
        const std::string load(name_of(distribution));
        report.add({"huge pages", "pages of 4 KiB", value_bytes, load, "ns", rounds.of(with_small)});
        report.add({"huge pages", "pages of 2 MiB", value_bytes, load, "ns", rounds.of(with_huge)});
        report.note(fmt::format("{}, {}: 4 KiB {:.1f} ns, 2 MiB {:.1f} ns ({:.2f} x)", bytes_text(value_bytes), load,
                                rounds.median_of(with_small), rounds.median_of(with_huge),
                                rounds.ratio(with_huge, with_small)));
    }
}

}  // namespace

void compare_huge_pages(Report& report) {
    for (const std::size_t value_bytes : {64u, 1024u, 8192u, 65536u})
        if (value_bytes < 65536 || !report.effort().quick) compare(report, value_bytes);
}

}  // namespace larder::bench
