#include "tools/top_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "tools/durations_sizes.hpp"

namespace larder::tools {
namespace {

constexpr std::size_t kRateWidth = 5;

std::string time_text(std::int64_t ms) { return duration_text(std::chrono::milliseconds(ms)); }
std::string rate_text(double rate) { return tools::rate_text(rate, kRateWidth); }

template <class Heat>
double hit_percentage(const Heat& heat) {
    return heat.lookups() == 0 ? 0 : 100 * heat.hits / heat.lookups();
}
template <class Heat>
std::string hit_text(const Heat& heat) {
    return heat.lookups() == 0 ? "-" : fmt::format("{:.1f}", hit_percentage(heat));
}

/// One column but the last, which takes the rest of the line.
template <class Row>
struct Column {
    const char* title;
    std::size_t width, least_columns;  // of a window that it is shown in
    bool is_text;                      // to the left
    std::optional<SortBy> sort;
    std::string (*text)(const Row& row);
};

std::string marked(const char* title, std::optional<SortBy> sort, const TopChoice* choice) {
    return (choice != nullptr && sort == choice->sort ? "*" : "") + std::string(title);
}

template <class Row, std::size_t n>
std::string heading(const Column<Row> (&columns)[n], const char* last, std::optional<SortBy> last_sort,
                    const TopChoice* choice, const Window& window) {
    std::string line;
    for (const Column<Row>& column : columns) {
        if (window.columns < column.least_columns) continue;
        const std::string title = marked(column.title, column.sort, choice);
        line += (column.is_text ? cut_left(title, column.width) : cut_right(title, column.width)) + "  ";
    }
    return cut(line + marked(last, last_sort, choice), window.columns);
}

template <class Row, std::size_t n>
std::string row_line(const Column<Row> (&columns)[n], const Row& row, const std::string& last, const Window& window) {
    std::string line;
    for (const Column<Row>& column : columns) {
        if (window.columns < column.least_columns) continue;
        const std::string text = displayable(column.text(row), column.width, window.alphabet);
        line += (column.is_text ? cut_left(text, column.width) : cut_right(text, column.width)) + "  ";
    }
    return cut(line + displayable(last, window.columns, window.alphabet), window.columns);
}

const Column<KeyHeat> kKeyColumns[] = {
    {"LOOKUPS/s", 10, 0, false, SortBy::lookups, [](const KeyHeat& key) { return rate_text(key.lookups()); }},
    {"HIT%", 5, 0, false, SortBy::hit_share, [](const KeyHeat& key) { return hit_text(key); }},
    {"MISSES/s", 9, 60, false, SortBy::misses, [](const KeyHeat& key) { return rate_text(key.misses); }},
    {"SIZE", 9, 72, false, SortBy::size,
     [](const KeyHeat& key) { return key.state ? size_text(key.value_bytes) : std::string("-"); }},
    {"AGE", 7, 110, false, {}, [](const KeyHeat& key) { return key.state ? time_text(key.age_ms) : std::string("-"); }},
    {"TTL LEFT",
     8,
     90,
     false,
     {},
     [](const KeyHeat& key) { return key.state ? time_text(key.ttl_ms) : std::string("-"); }},
    {"STATE",
     11,
     110,
     true,
     {},
     [](const KeyHeat& key) { return key.state ? std::string(shm::name_of(*key.state)) : std::string("absent"); }},
};
const Column<PrefixHeat> kPrefixColumns[] = {
    {"LOOKUPS/s", 10, 0, false, SortBy::lookups, [](const PrefixHeat& prefix) { return rate_text(prefix.lookups()); }},
    {"HIT%", 5, 0, false, SortBy::hit_share, [](const PrefixHeat& prefix) { return hit_text(prefix); }},
    {"MISSES/s", 9, 60, false, SortBy::misses, [](const PrefixHeat& prefix) { return rate_text(prefix.misses); }},
    {"KEYS", 9, 72, false, SortBy::size, [](const PrefixHeat& prefix) { return count_text(prefix.keys, kRateWidth); }},
};
const Column<ProcessLine> kProcessColumns[] = {
    {"PID", 7, 0, false, {}, [](const ProcessLine& process) { return fmt::format("{}", process.pid); }},
    {"ROLE", 11, 0, true, {}, [](const ProcessLine& process) { return process.role; }},
    {"NAME", 15, 80, true, {}, [](const ProcessLine& process) { return process.name; }},
    {"AGE", 7, 50, false, {}, [](const ProcessLine& process) { return time_text(process.attached_ms); }},
    {"THREADS", 7, 80, false, {}, [](const ProcessLine& process) { return fmt::format("{}", process.threads); }},
};
const Column<LeaseLine> kLeaseColumns[] = {
    {"RUNS FOR", 8, 0, false, {}, [](const LeaseLine& lease) { return time_text(lease.held_ms); }},
    {"WAITING", 7, 0, false, {}, [](const LeaseLine& lease) { return fmt::format("{}", lease.waiters); }},
    {"PID",
     7,
     60,
     false,
     {},
     [](const LeaseLine& lease) { return lease.pid == 0 ? std::string("-") : fmt::format("{}", lease.pid); }},
    {"ENDS IN", 8, 60, false, {}, [](const LeaseLine& lease) { return time_text(lease.left_ms); }},
};

std::string name_of(const KeyHeat& key) {
    return key.text.empty() ? fmt::format("(absent, hash {:016x})", key.hash) : key.text;
}
std::string name_of(const PrefixHeat& prefix) {
    switch (prefix.kind) {
    case PrefixHeat::Kind::absent:
        return "(not in the cache)";
    case PrefixHeat::Kind::plain:
        return "(without a prefix)";
    case PrefixHeat::Kind::other:
        return "(all others)";
    case PrefixHeat::Kind::named:
        break;
    }
    return prefix.text + ":";
}
double size_of(const KeyHeat& key) { return key.state ? static_cast<double>(key.value_bytes) : -1; }
double size_of(const PrefixHeat& prefix) { return static_cast<double>(prefix.keys); }
bool has_name(const KeyHeat& key) { return !key.text.empty(); }
bool has_name(const PrefixHeat& prefix) { return prefix.kind == PrefixHeat::Kind::named; }

/// What comes first is less: the largest, the lowest share of hits, the first of the alphabet.
template <class Heat>
auto place_of(const Heat& heat, SortBy sort) {
    double first = -heat.lookups();
    if (sort == SortBy::hit_share) first = heat.lookups() == 0 ? 101 : hit_percentage(heat);
    if (sort == SortBy::misses) first = -heat.misses;
    if (sort == SortBy::size) first = -size_of(heat);
    if (sort == SortBy::name) first = has_name(heat) ? 0 : 1;
    // Then the same order for all, lest lines of equal rates change places.
    return std::make_tuple(first, sort == SortBy::name ? 0 : -heat.lookups(), name_of(heat));
}

template <class Heat>
void sort_by(std::vector<Heat>& rows, SortBy sort) {
    using Place = decltype(place_of(rows.front(), sort));
    std::vector<std::pair<Place, Heat>> placed;
    placed.reserve(rows.size());
    for (Heat& row : rows) placed.emplace_back(place_of(row, sort), std::move(row));
    std::sort(placed.begin(), placed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = std::move(placed[i].second);
}

bool begins_with(const std::string& text, const std::string& beginning) {
    return text.compare(0, beginning.size(), beginning) == 0;
}

/// The prefix has keys that begin with the filter.
bool matches(const PrefixHeat& prefix, const std::string& filter) {
    if (filter.empty()) return true;
    if (prefix.kind != PrefixHeat::Kind::named) return false;
    const std::string whole = prefix.text + ":";
    return begins_with(whole, filter) || begins_with(filter, whole);
}

}  // namespace

TopTable key_table(const TopSnapshot& snapshot, const TopChoice& choice, const Window& window) {
    std::vector<KeyHeat> keys;
    for (const KeyHeat& key : snapshot.keys)
        if (begins_with(key.text, choice.filter)) keys.push_back(key);
    sort_by(keys, choice.sort);
    TopTable table;
    table.heading = heading(kKeyColumns, "KEY", SortBy::name, &choice, window);
    for (const KeyHeat& key : keys) table.rows.push_back(row_line(kKeyColumns, key, name_of(key), window));
    table.none = snapshot.looks_of_a_walk == 0 ? "no key is tracked (--tracked-keys)" : "no key so far";
    return table;
}

TopTable prefix_table(const TopSnapshot& snapshot, const TopChoice& choice, const Window& window) {
    std::vector<PrefixHeat> prefixes;
    for (const PrefixHeat& prefix : snapshot.prefixes)
        if (matches(prefix, choice.filter)) prefixes.push_back(prefix);
    sort_by(prefixes, choice.sort);
    TopTable table;
    table.heading = heading(kPrefixColumns, "PREFIX", SortBy::name, &choice, window);
    for (const PrefixHeat& prefix : prefixes)
        table.rows.push_back(row_line(kPrefixColumns, prefix, name_of(prefix), window));
    table.none = "nothing asked for so far";
    return table;
}

TopTable process_table(const TopSnapshot& snapshot, const Window& window) {
    TopTable table;
    table.heading = heading(kProcessColumns, "DOES", {}, nullptr, window);
    for (const ProcessLine& process : snapshot.processes)
        table.rows.push_back(row_line(kProcessColumns, process, process.does, window));
    table.none = "nobody is attached";
    return table;
}

TopTable lease_table(const TopSnapshot& snapshot, const Window& window) {
    TopTable table;
    table.heading = heading(kLeaseColumns, "COMPUTED KEY", {}, nullptr, window);
    for (const LeaseLine& lease : snapshot.leases)
        table.rows.push_back(row_line(kLeaseColumns, lease,
                                      lease.key.empty() ? fmt::format("(hash {:016x})", lease.key_hash) : lease.key,
                                      window));
    table.none = "nothing is being computed under a lease";
    return table;
}

}  // namespace larder::tools
