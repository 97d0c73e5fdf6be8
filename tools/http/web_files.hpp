// WebFiles: the dashboard's page, as a part of the executable.
#pragma once

#include <span>
#include <string_view>

namespace larder::tools {

struct WebFile {
    std::string_view path;  ///< `/`, `/web/main.js`
    std::string_view content_type, bytes;
};

/// All of them. Without its charts (see tools/web/web.cmake) uplot.js is empty.
std::span<const WebFile> web_files();

/// nullptr: there is none.
inline const WebFile* find_web_file(std::string_view path) {
    for (const WebFile& file : web_files())
        if (file.path == path) return &file;
    return nullptr;
}

}  // namespace larder::tools
