// Other loads than hits: 95 reads to 5 puts, reads of keys that are not there, puts into what is full.
#include <fmt/format.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "bench/compare/groups.hpp"
#include "bench/lookups.hpp"
#include "bench/peers/peer.hpp"
#include "bench/rounds.hpp"
#include "bench/stage.hpp"
#include "bench/writing.hpp"
#include "shm/system.hpp"

namespace larder::bench {
namespace {

constexpr std::size_t kOperations = 20'000, kServerOperations = 2'000;
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

/// What answers, as two functions.
struct Contender {
    std::string name;
    bool is_server = false;
    std::function<std::size_t(std::string_view)> get;
    std::function<void(std::string_view, std::string_view)> put;
};

std::vector<Contender> contenders(Stage& on, const Peers& peers) {
    std::vector<Contender> all;
    all.push_back({"Larder, pinned", false, [&](std::string_view key) { return on.cache().get(key).value().size(); },
                   [&](std::string_view key, std::string_view value) {
                       require(on.cache().put(key, value) == PutResult::stored, "a put was refused");
                   }});
    all.push_back({"Boost mutex + MultiIndex", false,
                   [&](std::string_view key) {
                       const auto value = on.locked().get(key);
                       return value ? value->size() : 0;
                   },
                   [&](std::string_view key, std::string_view value) { on.locked().put(key, value, kNever); }});
    for (const auto& peer : peers)
        all.push_back({peer->name(), peer->is_server(),
                       [&peer = *peer](std::string_view key) {
                           Marks marks = 0;
                           return peer.get(key, marks);
                       },
                       [&peer = *peer](std::string_view key, std::string_view value) { peer.put(key, value); }});
    return all;
}

template <class Operate>
double time_each(std::size_t operations, Operate&& operate) {
    const std::int64_t started_ns = shm::system::monotonic_ns();
    for (std::size_t n = 0; n < operations; ++n) operate(n);
    return static_cast<double>(shm::system::monotonic_ns() - started_ns) / static_cast<double>(operations);
}

void tell(Report& report, const Rounds& rounds, const std::vector<Contender>& all, const char* group,
          std::size_t value_bytes, const char* load) {
    std::string text = fmt::format("{}, {}, ns:", load, bytes_text(value_bytes));
    for (std::size_t place = 0; place < all.size(); ++place) {
        report.add({group, all[place].name, value_bytes, load, "ns", rounds.of(place)});
        text += fmt::format("{} {} {:.0f}", place == 0 ? "" : ",", all[place].name, rounds.median_of(place));
    }
    report.note(text);
}

void compare(Report& report, std::size_t value_bytes) {
    const Peers peers = make_peers(value_bytes, kKeys, [&](const std::string& text) { report.note(text); });
    for (const auto& peer : peers) fill(*peer, value_bytes);
    const std::vector<Contender> all = contenders(stage(value_bytes), peers);
    const Sequence& order = sequence(Distribution::zipf);
    Rounds mixed, misses;
    for (const Contender& one : all) {
        const std::size_t operations = one.is_server ? kServerOperations : kOperations;
        mixed.add([&, operations] {
            return time_each(operations, [&](std::size_t n) {
                const std::uint32_t number = order.numbers[n];
                if (n % 20 == 19)
                    one.put(order[n], value_of(number, value_bytes));
                else
                    require(one.get(order[n]) == value_bytes, "a lookup missed");
            });
        });
        misses.add([&, operations] {
            return time_each(operations, [&](std::size_t n) {
                require(one.get(absent_sequence()[n]) == 0, "a key was found that nobody stored");
            });
        });
    }
    mixed.run(report.effort().rounds);
    misses.run(report.effort().rounds);
    tell(report, mixed, all, "mixed", value_bytes, "95 gets to 5 puts, zipf");
    tell(report, misses, all, "miss", value_bytes, "misses");
}

/// Into what is full, so that each makes room first. LMDB and the Boost peer never evict.
void compare_evicting(Report& report, std::size_t value_bytes) {
    constexpr std::uint32_t kRoom = 4'000;
    const std::size_t samples = report.effort().samples;
    for (const auto& peer : make_peers(value_bytes, kRoom, [](const std::string&) {})) {
        if (!peer->is_server()) continue;
        const std::string value = value_of(0, value_bytes);
        std::uint32_t number = 0;
        while (number < 10 * kRoom) peer->put(key_of(number++).text(), value);
        require(peer->value(key_of(0).text()).empty(), "a peer is not full");
        const Quantiles times = sample(
            samples, [&](std::size_t n) { peer->put(key_of(number + static_cast<std::uint32_t>(n)).text(), value); });
        report.add({"put", peer->name(), value_bytes, "evicting", "ns", {times.p50_ns}, times});
        report.note(fmt::format("evicting put of {}, {}: p50 {:.1f} us, p99 {:.1f} us", bytes_text(value_bytes),
                                peer->name(), times.p50_ns / 1e3, times.p99_ns / 1e3));
    }
}

}  // namespace

void compare_mixed(Report& report) {
    for (const std::size_t value_bytes : {64u, 1024u, 8192u}) compare(report, value_bytes);
    compare_evicting(report, 8192);
}

}  // namespace larder::bench
