// Where the real data lie that some tests replay; they are no part of the checkout.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>

namespace larder::testing {

/// The directory named by LARDER_SHARED, else `shared` beside the checkout; nullopt where there is none: skip the test
/// with a warning.
inline std::optional<std::filesystem::path> shared_dir() {
    const char* named = std::getenv("LARDER_SHARED");
    const std::filesystem::path directory =
        named != nullptr ? std::filesystem::path(named) : std::filesystem::path(LARDER_SOURCE_DIR) / ".." / "shared";
    std::error_code error;
    if (!std::filesystem::is_directory(directory, error)) return std::nullopt;
    return directory;
}

}  // namespace larder::testing
