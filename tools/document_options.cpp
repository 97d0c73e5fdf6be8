#include "tools/document_options.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/durations_sizes.hpp"

namespace larder::tools {
namespace {

constexpr std::array<std::string_view, 5> names{"soft-ttl", "stale-if-error", "recompute-interval", "ttl-min",
                                                "ttl-max"};
constexpr std::chrono::milliseconds usual_recompute_interval{100};

}  // namespace

std::chrono::milliseconds parse_recompute_interval(std::string_view text) {
    const std::chrono::milliseconds interval = parse_duration(text);
    if (interval > std::chrono::seconds(1))
        throw std::invalid_argument(fmt::format("`{}` is above 1s: whoever asks meanwhile would wait for it", text));
    return interval;
}

void DocumentOptions::add_to(CLI::App& verb) {
    for (std::size_t i = 0; i < names.size(); ++i) add_text_option(verb, names[i], texts_[i]);
}

StatsCacheOptions DocumentOptions::parsed(std::chrono::milliseconds ttl) const {
    return parsed(
        [this](std::string_view name) {
            return texts_[static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin())];
        },
        ttl);
}

StatsCacheOptions DocumentOptions::parsed(const SettingText& text_of, std::chrono::milliseconds ttl) {
    StatsCacheOptions options{.ttl = ttl, .recompute_interval = usual_recompute_interval};
    take_text("soft-ttl", text_of, parse_duration, options.soft_ttl);
    take_text("stale-if-error", text_of, parse_duration, options.stale_if_error);
    take_text("recompute-interval", text_of, parse_recompute_interval, options.recompute_interval);
    TtlRange& range = options.smart_ttl;
    take_text("ttl-min", text_of, parse_duration, range.shortest);
    take_text("ttl-max", text_of, parse_duration, range.longest);
    if (text_of("ttl-min").empty() != text_of("ttl-max").empty() || range.shortest > range.longest)
        throw UsageError("--ttl-min and --ttl-max belong together: give both, the smaller one first");
    if (!range.is_wanted() && options.soft_ttl >= ttl)
        throw UsageError("--soft-ttl has to be below --ttl: no document grows so old");
    return options;
}

}  // namespace larder::tools
