// Smart TTL beside one TTL for all, on a real history without notices: the hit rate at an equal share of stale answers.
//
//     larder_smart_ttl SUBMISSIONS.csv[.gz] [REQUESTS]
//
// Each assignment is asked for at random times from 30 days before its first submission to 30 days after its last one.
// A hit is stale when a submission was handed in since the document was computed. A history that knows days only
// is spread over each day at random.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/csv_table.hpp"
#include "core/smart_ttl.hpp"

namespace larder::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using Times = std::vector<Timestamp>;  // ascending

constexpr minutes kDay{24 * 60};
constexpr minutes kAround = 30 * kDay;

/// All of it happened at one time of the day: then that time means nothing.
bool knows_days_only(const std::map<std::int64_t, Times>& history) {
    std::optional<microseconds> first;
    for (const auto& [id, times] : history)
        for (const Timestamp time : times) {
            const microseconds of_day = time - std::chrono::floor<std::chrono::days>(time);
            if (of_day != first.value_or(of_day)) return false;
            first = of_day;
        }
    return true;
}

std::map<std::int64_t, Times> read_history(const std::string& path, std::mt19937_64& random) {
    constexpr std::array columns{
        CsvColumn{"submission_id"},  CsvColumn{"assignment_id"}, CsvColumn{"student_id", false},
        CsvColumn{"status", false},  CsvColumn{"score", false},  CsvColumn{"max_score", false},
        CsvColumn{"is_late", false}, CsvColumn{"submitted_at"},  CsvColumn{"graded_at", false},
    };
    std::uniform_int_distribution<std::int64_t> within_day(0, microseconds(kDay).count() - 1);
    CsvTable table(path, columns);
    std::map<std::int64_t, Times> history;
    while (table.next()) {
        const auto text = table.time(7);
        const auto time = text ? parse_timestamp(*text) : std::nullopt;
        if (!time) continue;
        history[table.id(1)].push_back(*time);
    }
    const bool has_days_only = knows_days_only(history);
    for (auto& [id, times] : history) {
        if (has_days_only)
            for (Timestamp& time : times)
                time = std::chrono::floor<std::chrono::days>(time) + microseconds(within_day(random));
        std::sort(times.begin(), times.end());
    }
    return history;
}

std::map<std::int64_t, Times> make_requests(const std::map<std::int64_t, Times>& history, std::size_t count,
                                            std::mt19937_64& random) {
    std::map<std::int64_t, Times> requests;
    const std::size_t each = std::max<std::size_t>(1, count / std::max<std::size_t>(1, history.size()));
    for (const auto& [id, changes] : history) {
        const std::int64_t first = (changes.front() - kAround).time_since_epoch().count();
        const std::int64_t last = (changes.back() + kAround).time_since_epoch().count();
        std::uniform_int_distribution<std::int64_t> moment(first, last);
        Times& times = requests[id];
        while (times.size() < each) times.emplace_back(std::chrono::microseconds(moment(random)));
        std::sort(times.begin(), times.end());
    }
    return requests;
}

struct Outcome {
    double hits = 0, stale = 0;  // shares of all requests
};

/// How long a document lives that is computed now, after these changes (the last ones: it looks at no more).
using Ttl = std::function<milliseconds(const Times& changes, Timestamp now)>;
constexpr std::ptrdiff_t kLookedAt = 8;

Outcome replay(const std::map<std::int64_t, Times>& history, const std::map<std::int64_t, Times>& requests,
               const Ttl& ttl) {
    std::size_t total = 0, hits = 0, stale = 0;
    for (const auto& [id, changes] : history) {
        Timestamp expires = Timestamp::min();
        std::ptrdiff_t known = 0;
        for (const Timestamp now : requests.at(id)) {
            ++total;
            const auto after = std::upper_bound(changes.begin(), changes.end(), now);
            if (now < expires) {
                ++hits;
                stale += after - changes.begin() != known ? 1 : 0;
                continue;
            }
            known = after - changes.begin();
            expires = now + ttl(Times(after - std::min(known, kLookedAt), after), now);
        }
    }
    return {static_cast<double>(hits) / static_cast<double>(total),
            static_cast<double>(stale) / static_cast<double>(total)};
}

/// The one TTL for all that is stale as often, by halving; its hit rate.
std::pair<milliseconds, Outcome> fixed_as_stale_as(double stale, const std::map<std::int64_t, Times>& history,
                                                   const std::map<std::int64_t, Times>& requests) {
    milliseconds low{1'000}, high = 30 * kDay;
    Outcome outcome;
    for (int step = 0; step < 24; ++step) {
        const milliseconds middle = (low + high) / 2;
        outcome = replay(history, requests, [middle](const Times&, Timestamp) { return middle; });
        (outcome.stale < stale ? low : high) = middle;
    }
    return {low, outcome};
}

int run(int argc, char** argv) {
    if (argc < 2) {
        std::fputs("usage: larder_smart_ttl SUBMISSIONS.csv[.gz] [REQUESTS]\n", stderr);
        return 2;
    }
    std::size_t count = 200'000;
    if (argc > 2) std::from_chars(argv[2], argv[2] + std::string_view(argv[2]).size(), count);
    std::mt19937_64 random(1);
    const auto history = read_history(argv[1], random);
    const auto requests = make_requests(history, count, random);
    std::fputs("longest TTL   smart: hits    stale   one TTL as stale: hits   its TTL\n", stdout);
    for (const minutes longest : {minutes(60), minutes(6 * 60), kDay}) {
        const TtlRange range{.shortest = minutes(1), .longest = longest};
        const Outcome smart = replay(
            history, requests, [range](const Times& changes, Timestamp now) { return smart_ttl(changes, now, range); });
        const auto [ttl, fixed] = fixed_as_stale_as(smart.stale, history, requests);
        std::fputs(fmt::format("{:>8} min   {:>10.1f} % {:>6.2f} %   {:>20.1f} %   {:>5} min\n", longest.count(),
                               smart.hits * 100, smart.stale * 100, fixed.hits * 100,
                               std::chrono::duration_cast<minutes>(ttl).count())
                       .c_str(),
                   stdout);
    }
    return 0;
}

}  // namespace
}  // namespace larder::bench

int main(int argc, char** argv) {
    try {
        return larder::bench::run(argc, argv);
    } catch (const std::exception& error) {
        std::fputs(fmt::format("larder_smart_ttl: {}\n", error.what()).c_str(), stderr);
        return 1;
    }
}
