// ServerList: NATS servers as a user names them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace larder {

/// `[nats://|tls://][USER:PASSWORD@|TOKEN@]HOST[:PORT]`, commas between. What stands before an @ is taken as it is, and
/// has no comma, which would begin another server.
struct ServerList {
    std::vector<std::string> urls;  ///< with what lets one in
    std::string shown;              ///< without it

    /// Throws SourceError, which shows nothing of the text, where some of it may be a password that it cannot tell from
    /// a server.
    static ServerList parse(std::string_view text);
};

/// `HOST` or `HOST:PORT`, where a number is the port.
bool is_host_and_port(std::string_view text);

}  // namespace larder
