// DocumentOptions: how long documents live and stand in, for every verb that makes some.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/assignment_stats_cache.hpp"
#include "tools/options.hpp"
#include "tools/verbs.hpp"

namespace CLI {
class App;
}

namespace larder::tools {

/// What the option of this name was told; empty: nothing.
using SettingText = std::function<std::string(std::string_view name)>;

/// --soft-ttl, --stale-if-error, --recompute-interval, --ttl-min and --ttl-max. What one program of a host makes is
/// served by all: they are to be told the same, best by the configuration file.
class DocumentOptions {
public:
    void add_to(CLI::App& verb);
    /// For a cache of this ttl; without a log. Throws UsageError.
    StatsCacheOptions parsed(std::chrono::milliseconds ttl) const;

    /// The same of texts that are somewhere else.
    static StatsCacheOptions parsed(const SettingText& text_of, std::chrono::milliseconds ttl);

private:
    std::array<std::string, 5> texts_;  // in the order of the names in the source
};

/// At most a second. Throws std::invalid_argument.
std::chrono::milliseconds parse_recompute_interval(std::string_view text);

/// What was told, into `target`. Throws UsageError.
template <class Parse, class Target>
void take_text(std::string_view name, const SettingText& text_of, Parse parse, Target& target) {
    const std::string text = text_of(name);
    if (text.empty()) return;
    try {
        target = parse(text);
    } catch (const std::invalid_argument& error) {
        throw UsageError(name_for(name, text) + ": " + error.what());
    }
}

}  // namespace larder::tools
