#include "tools/top_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tools/durations_sizes.hpp"
#include "tools/top_tables.hpp"

namespace larder::tools {
namespace {

using shm::Counter;
using Lines = std::vector<StyledLine>;

constexpr std::size_t kRateWidth = 5;
constexpr std::size_t kSmallRows = 14;  // up to here only what matters most has a line

const char* const kHelp[] = {
    "q            quit",
    "h ?          this help, and back",
    "v V Tab      next part, the one before: overview, keys, prefixes,",
    "             processes, computations; 1 to 5 choose one",
    "n N          next column to sort by, the one before (marked with *)",
    "/            only keys that begin so: Enter takes it, Esc gives up;",
    "             with nothing typed: all keys again",
    "p            pause and go on",
    "space        look now, in a pause, too",
    "+ -          look more often, less often",
    "arrows j k   scroll; PgUp PgDn, Home End",
    "Ctrl-L       draw all anew",
    "",
    "Rates are a second, since the look before. Those of prefixes are as",
    "old as a walk through the key table takes (its looks are said above).",
    "Looking changes nothing in the cache: no count, no order, no lock.",
};

std::string hit_text(const Rates& rates) {
    const auto percentage = rates.hit_percentage();
    return percentage ? fmt::format("{:.1f} %", *percentage) : "- %";
}
std::string rate(double value) { return rate_text(value, kRateWidth); }
std::string time_text(std::int64_t ms) { return duration_text(std::chrono::milliseconds(ms)); }

/// What is in the title besides the cache: what the user must not forget.
std::string mode_text(const TopSnapshot& snapshot, const TopChoice& choice, const Window& window) {
    std::string text = choice.is_paused ? "PAUSED" : "every " + time_text(choice.interval.count());
    if (snapshot.was_replaced) text += "  ANOTHER CACHE OF THIS NAME";
    if (!choice.filter.empty()) text += "  only " + displayable(choice.filter, window.columns, window.alphabet);
    return text;
}

std::string counted(std::uint64_t n, const char* one, const char* many) {
    return fmt::format("{} {}", n, n == 1 ? one : many);
}

std::string miss_reasons(const Rates& rates) {
    struct Reason {
        Counter counter;
        const char* name;
    };
    std::vector<std::pair<double, const char*>> reasons;
    for (const Reason& reason :
         {Reason{Counter::misses_cold, "cold"}, Reason{Counter::misses_expired, "expired"},
          Reason{Counter::misses_evicted, "evicted"}, Reason{Counter::misses_invalidated, "invalidated"},
          Reason{Counter::misses_rebuilt, "rebuilt"}, Reason{Counter::misses_contended, "contended"}})
        if (rates[reason.counter] > 0) reasons.emplace_back(rates[reason.counter], reason.name);
    std::sort(reasons.begin(), reasons.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    std::string text;
    for (const auto& [value, name] : reasons)
        text += fmt::format("{}{} {}", text.empty() ? ": " : ", ", rate(value), name);
    return text;
}

std::string memory_text(const TopSnapshot& snapshot) {
    const shm::Gauges& gauges = snapshot.gauges;
    const double used = gauges.arena_bytes == 0 ? 0
                                                : 100 * static_cast<double>(gauges.arena_used_bytes) /
                                                      static_cast<double>(gauges.arena_bytes);
    return fmt::format("{}, {} of keys and values, {:.0f} % of {} used", counted(gauges.entries, "entry", "entries"),
                       size_text(gauges.payload_bytes), used, size_text(gauges.arena_bytes));
}

std::string activity_text(const TopSnapshot& snapshot) {
    std::uint64_t waiters = 0;
    for (const LeaseLine& lease : snapshot.leases) waiters += lease.waiters;
    std::string text =
        fmt::format("{}, {} running, {} waiting", counted(snapshot.living_processes(), "process", "processes"),
                    counted(snapshot.leases.size(), "computation", "computations"), waiters);
    if (snapshot.looks_of_a_walk > 1) text += fmt::format("; a walk of keys takes {} looks", snapshot.looks_of_a_walk);
    return text;
}

/// The cache as a whole.
Lines head_lines(const TopSnapshot& snapshot, const TopChoice& choice, const Window& window) {
    const Rates& rates = snapshot.rates;
    const bool small = window.rows <= kSmallRows;
    Lines lines{{fmt::format("larder top: {}  {}  {}, made {} ago", snapshot.cache, mode_text(snapshot, choice, window),
                             size_text(snapshot.segment_bytes), time_text(snapshot.made_ms)),
                 Style::title}};
    lines.push_back(
        {fmt::format("{} lookups/s, {} hits, {} misses/s{}{}", rate(rates.lookups()), hit_text(rates),
                     rate(rates.misses()), miss_reasons(rates), snapshot.since_made ? " (since it was made)" : "")});
    lines.push_back(
        {fmt::format("{} puts/s, {} evicted, {} expired, {} notices, {} computed", rate(rates[Counter::puts]),
                     rate(rates[Counter::evictions]), rate(rates[Counter::expirations]),
                     rate(rates[Counter::invalidations]), rate(rates[Counter::computations]))});
    lines.push_back({memory_text(snapshot)});
    if (!small) lines.push_back({activity_text(snapshot)});
    std::size_t left = small ? 1 : std::max<std::size_t>(2, window.rows / 8);
    for (const Verdict& verdict : snapshot.verdicts) {
        if (left == 0) break;
        const std::vector<std::string> text =
            wrapped((verdict.is_bad ? "! " : "= ") + verdict.text, window.columns, left);
        for (const std::string& line : text) lines.push_back({line, verdict.is_bad ? Style::bad : Style::plain});
        left -= text.size();
    }
    return lines;
}

std::string footer_text(const TopChoice& choice, const Window& window) {
    if (!choice.is_typing_filter) return "q quit  h help  n/N sort  v part  / prefix  p pause  space now  +/- interval";
    const std::string ask = "only keys that begin so: ";
    // The end of what is typed is what one looks at.
    const std::string typed = displayable(choice.typed, 4 * 1'024, window.alphabet) + "_";
    std::size_t from = 0;
    while (from < typed.size() && columns_of(ask) + columns_of(typed.substr(from)) > window.columns &&
           typed.size() - from > 1)
        do ++from;
        while (from < typed.size() && (static_cast<unsigned char>(typed[from]) & 0xC0) == 0x80);
    return ask + typed.substr(from);
}

void append(Lines& lines, const TopTable& table, std::size_t most_rows) {
    lines.push_back({table.heading, Style::heading});
    for (std::size_t i = 0; i < std::min(table.rows.size(), most_rows); ++i) lines.push_back({table.rows[i]});
    if (table.rows.empty()) lines.push_back({table.none, Style::muted});
}

/// Prefixes, keys, processes and computations, of each as much as there is room for; the rest by scrolling.
Lines overview(const TopSnapshot& snapshot, const TopChoice& choice, const Window& window, std::size_t room) {
    const TopTable keys = key_table(snapshot, choice, window), prefixes = prefix_table(snapshot, choice, window),
                   processes = process_table(snapshot, window), leases = lease_table(snapshot, window);
    const bool small = room < 8;
    const std::size_t most_prefixes = std::max<std::size_t>(2, room / 4);
    const std::size_t above = small ? 0 : std::clamp<std::size_t>(prefixes.rows.size(), 1, most_prefixes) + 2;
    const std::size_t below = small ? 0 : std::clamp<std::size_t>(processes.rows.size(), 1, 4) + 2;
    const std::size_t most_keys = std::max<std::size_t>(small ? 10 : 3, room - std::min(room, above + below + 1));
    Lines lines;
    const auto add = [&](const TopTable& table, std::size_t most) {
        if (!lines.empty()) lines.push_back({});
        append(lines, table, most);
    };
    if (!small) add(prefixes, most_prefixes);
    add(keys, most_keys);
    if (small) add(prefixes, 10);
    add(processes, processes.rows.size());
    if (!leases.rows.empty()) add(leases, leases.rows.size());
    return lines;
}

Lines part_lines(const TopSnapshot& snapshot, const TopChoice& choice, const Window& window, std::size_t room) {
    Lines lines;
    constexpr std::size_t kAll = static_cast<std::size_t>(-1);
    switch (choice.part) {
    case Part::overview:
        return overview(snapshot, choice, window, room);
    case Part::keys:
        append(lines, key_table(snapshot, choice, window), kAll);
        break;
    case Part::prefixes:
        append(lines, prefix_table(snapshot, choice, window), kAll);
        break;
    case Part::processes:
        append(lines, process_table(snapshot, window), kAll);
        break;
    case Part::leases:
        append(lines, lease_table(snapshot, window), kAll);
        break;
    }
    return lines;
}

Lines help_lines() {
    Lines lines{{"KEYS", Style::heading}};
    for (const char* const line : kHelp) lines.push_back({line});
    return lines;
}

Lines absent_lines(const TopSnapshot& snapshot, const TopChoice& choice, const Window& window) {
    Lines lines{{"larder top: " + snapshot.cache, Style::title}, {}};
    for (const std::string& line : wrapped(displayable(snapshot.absent, 1'024, window.alphabet), window.columns, 5))
        lines.push_back({line, Style::bad});
    lines.push_back(
        {choice.is_paused ? "PAUSED: space looks again, p waits for it; q quits." : "Waiting for it; q quits.",
         Style::plain});
    return lines;
}

/// The lines of the body that are in sight. The heading of a single table stays.
void add_body(TopPage& page, const Lines& body, const TopChoice& choice, std::size_t room) {
    const std::size_t fixed = choice.shows_help || choice.part != Part::overview ? 1 : 0;
    const std::size_t most = body.size() > room ? body.size() - room : 0;
    page.scroll = std::min(choice.scroll, most);
    page.step = std::max<std::size_t>(1, room - std::min(room, fixed + 1));
    for (std::size_t i = 0; i < std::min(room, body.size()); ++i)
        page.lines.push_back(body[i < fixed ? i : i + page.scroll]);
}

}  // namespace

TopPage top_page(const TopSnapshot& snapshot, const TopChoice& choice, const Window& window) {
    TopPage page;
    if (window.rows == 0 || window.columns == 0) return page;
    page.lines =
        snapshot.absent.empty() ? head_lines(snapshot, choice, window) : absent_lines(snapshot, choice, window);
    const std::size_t footer = window.rows > 1 ? 1 : 0;
    if (page.lines.size() + footer > window.rows) page.lines.resize(window.rows - footer);
    const std::size_t room = window.rows - footer - page.lines.size();
    if (choice.shows_help)
        add_body(page, help_lines(), choice, room);
    else if (snapshot.absent.empty())
        add_body(page, part_lines(snapshot, choice, window, room), choice, room);
    if (footer != 0) {
        page.lines.resize(window.rows - 1);
        page.lines.push_back({footer_text(choice, window), Style::heading});
    }
    for (StyledLine& line : page.lines) line.text = cut(line.text, window.columns);
    return page;
}

}  // namespace larder::tools
