// What a test case says when it cannot be played here.
#pragma once

namespace larder::test {

/// For WARN(): mounts, namespaces, or files of another user are not to be had. tools/prove knows a case by it that has
/// proved nothing.
inline constexpr char kNeedsRoot[] = "skipped: needs root";

}  // namespace larder::test
