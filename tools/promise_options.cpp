#include "tools/promise_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "tools/durations_sizes.hpp"

namespace larder::tools {
namespace {

constexpr std::array<std::string_view, 2> names{"degraded-after", "max-stale"};
constexpr std::chrono::milliseconds usual_degraded_after{2'000}, least_degraded_after{1'000};

}  // namespace

std::chrono::milliseconds parse_degraded_after(std::string_view text) {
    const std::chrono::milliseconds time = parse_duration(text);
    if (time < least_degraded_after)
        throw std::invalid_argument(fmt::format("`{}` is too short: the database is heard of twice a second", text));
    return time;
}

void PromiseOptions::add_to(CLI::App& verb) {
    for (std::size_t i = 0; i < names.size(); ++i) add_text_option(verb, names[i], texts_[i]);
}

void PromiseOptions::apply(const DatabaseOption& database, Options& cache) const {
    apply([this](std::string_view name) { return texts_[name == names[0] ? 0 : 1]; }, database, cache);
}

void PromiseOptions::apply(const SettingText& text_of, const DatabaseOption& database, Options& cache) {
    std::chrono::milliseconds degraded_after = usual_degraded_after, max_stale{0};
    take_text(names[0], text_of, parse_degraded_after, degraded_after);
    take_text(names[1], text_of, parse_duration, max_stale);
    const bool is_wanted = database.is_remote();
    cache.degraded_after = is_wanted ? degraded_after : std::chrono::milliseconds(0);
    cache.max_stale = is_wanted ? max_stale : std::chrono::milliseconds(0);
}

}  // namespace larder::tools
