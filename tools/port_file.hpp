// PortFile: where `larder serve` tells a script which port it got.
#pragma once

#include <cstdint>
#include <string>

namespace larder::tools {

/// Appears at its path whole, once publish() has written it. Until then the text is in a file beside it, PATH.new, made
/// at once, so that a path that cannot be written is known before anything is started.
class PortFile {
public:
    /// Removes the file of an earlier run. An empty path: no file is wanted. Throws Refusal.
    explicit PortFile(std::string path);
    /// Removes what was not published.
    ~PortFile();
    PortFile(const PortFile&) = delete;
    PortFile& operator=(const PortFile&) = delete;

    /// REQUIRES: not published yet. Throws Refusal.
    void publish(std::uint16_t port);

private:
    const std::string path_;
    const std::string unfinished_;
    int fd_ = -1;  // of the unfinished file; below 0: none, or published
};

}  // namespace larder::tools
