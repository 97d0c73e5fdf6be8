// What the manual says of each verb beyond its options.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace larder::tools {

struct VerbExample {
    std::string_view what;     ///< one sentence
    std::string_view command;  ///< as typed in a shell; `school.db` and a cache `default` are there
};

struct VerbText {
    std::string_view verb;         ///< empty: the program itself
    std::string_view description;  ///< paragraphs, parted by an empty line
    std::vector<VerbExample> examples;
    std::vector<std::string_view> see_also;  ///< verbs
};

/// One row for the program and for each verb that people see.
std::span<const VerbText> verb_texts();

/// Null: the table has no such row.
const VerbText* verb_text(std::string_view verb);

}  // namespace larder::tools
