// HelpPage: a page of tools/docs, as it is in the executable.
#pragma once

#include <span>
#include <string_view>

namespace larder::tools {

struct HelpPage {
    std::string_view name;  ///< of the file, without `.md`
    std::string_view text;
};

std::span<const HelpPage> help_pages();

}  // namespace larder::tools
