#include "tools/kept_geometry.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/durations_sizes.hpp"

namespace larder::tools {
namespace {

std::string limit_text(std::uint64_t limit) { return limit == 0 ? "none" : fmt::format("{}", limit); }

/// What the cache keeps of one row. Empty: what was asked for.
std::string kept_of(std::string_view row, const Options& asked, const shm::Geometry& kept) {
    if (row == "size" && asked.size_bytes / shm::kPageBytes != kept.segment_bytes / shm::kPageBytes)
        return size_text(kept.segment_bytes);
    if (row == "shards" && asked.shards != 0 && asked.shards != kept.shards) return fmt::format("{}", kept.shards);
    if (row == "max-entries" && asked.max_entries != kept.max_entries) return limit_text(kept.max_entries);
    if (row == "max-bytes" && asked.max_bytes != kept.max_bytes) return limit_text(kept.max_bytes);
    if (row == "recency" && (asked.recency == Options::Recency::strict) != (kept.strict_recency != 0))
        return kept.strict_recency != 0 ? "strict" : "clock";
    return {};
}

}  // namespace

std::vector<std::string_view> flags_given(const CLI::App& verb) {
    std::vector<std::string_view> given;
    for (const OptionRow& row : option_table()) {
        if (row.group != OptionGroup::geometry) continue;
        const CLI::Option* const option = verb.get_option(std::string(row.flag));
        if (option->count() != 0 && name_for(row.name, option->results().front()) == row.flag)
            given.push_back(row.name);
    }
    return given;
}

std::string kept_warning(const std::vector<std::string_view>& rows, const Options& asked, const shm::Geometry& kept) {
    std::string text;
    for (const std::string_view row : rows)
        if (const std::string value = kept_of(row, asked, kept); !value.empty())
            text += fmt::format("{}{} {}", text.empty() ? "" : ", ", option_row(row).flag, value);
    if (text.empty()) return {};
    return fmt::format("cache {} is there and keeps {}; `larder rm` makes way for another", asked.name, text);
}

}  // namespace larder::tools
