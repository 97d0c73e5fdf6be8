#include "core/server_list.hpp"

#include <algorithm>

#include "core/submission_source.hpp"

namespace larder {
namespace {

constexpr std::string_view digits = "0123456789";
constexpr std::string_view of_names = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
constexpr std::string_view of_ipv6 = "abcdefABCDEF0123456789:.%";

bool has_only(std::string_view text, std::string_view characters) {
    return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

/// "": it has none.
std::string_view take_scheme(std::string_view& url) {
    const std::size_t end = url.find("://");
    if (end == std::string_view::npos) return {};
    const std::string_view scheme = url.substr(0, end + 3);
    url.remove_prefix(scheme.size());
    return scheme;
}

[[noreturn]] void refuse() {
    throw SourceError(
        "the NATS servers cannot be read: write nats://HOST:PORT,nats://HOST:PORT, and nats://USER:PASSWORD@HOST:PORT "
        "for each that asks for one, with no comma in a password (a file of --nats-credentials has no such limit)");
}

}  // namespace

bool is_host_and_port(std::string_view text) {
    const std::size_t bracket = text.starts_with('[') ? text.find(']') : std::string_view::npos;
    const bool is_ipv6 = bracket != std::string_view::npos;
    const std::size_t end = std::min(text.find(':', is_ipv6 ? bracket : 0), text.size());
    const std::string_view host = is_ipv6 ? text.substr(1, bracket - 1) : text.substr(0, end);
    if (is_ipv6 && end != bracket + 1) return false;
    return has_only(host, is_ipv6 ? of_ipv6 : of_names) &&
           (end == text.size() || has_only(text.substr(end + 1), digits));
}

ServerList ServerList::parse(std::string_view text) {
    ServerList list;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const std::size_t first = std::min(text.find_first_not_of(' ', at), end);
        std::string_view url = text.substr(first, end - first);
        while (url.ends_with(' ') || url.ends_with('/')) url.remove_suffix(1);
        at = end + 1;
        if (url.empty()) continue;
        list.urls.emplace_back(url);
        const std::string_view scheme = take_scheme(url);
        const std::size_t user = url.rfind('@');
        // Without a scheme what stands before it may be the end of a password.
        const bool is_told_apart = user == std::string_view::npos || !scheme.empty() || list.urls.size() == 1;
        const std::string_view host = url.substr(user == std::string_view::npos ? 0 : user + 1);
        const bool is_known = scheme.empty() || scheme == "nats://" || scheme == "tls://";
        if (!is_told_apart || !is_known || !is_host_and_port(host)) refuse();
        list.shown += std::string(list.shown.empty() ? "" : ",").append(scheme).append(host);
    }
    if (list.urls.empty()) refuse();
    return list;
}

}  // namespace larder
