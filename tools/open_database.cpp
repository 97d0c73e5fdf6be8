#include "tools/open_database.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/sqlite_database.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr const char* module_name = "larder-fleet.so";

/// Found by the program's own place, wherever that was put.
std::filesystem::path module_path() {
    std::error_code ignored;
    const std::filesystem::path directory = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
    const std::filesystem::path beside = directory / module_name;
    if (std::filesystem::exists(beside, ignored)) return beside;
    return (directory / LARDER_MODULE_DIRECTORY / module_name).lexically_normal();
}

/// Stays loaded: what it makes outlives every owner that could unload it.
class RemoteModule {
public:
    static RemoteModule& loaded() {
        static RemoteModule module;
        return module;
    }
    OpenRemoteDatabase* open = nullptr;

private:
    RemoteModule() {
        const std::filesystem::path path = module_path();
        std::error_code ignored;
        if (!std::filesystem::exists(path, ignored))
            throw SourceError(
                fmt::format("a database over the network needs {}, which is not there: install the "
                            "package larder-fleet, or build Larder after `tools/setup --fleet`",
                            path.string()));
        void* const module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (module == nullptr) throw SourceError(fmt::format("cannot load {} ({})", path.string(), ::dlerror()));
        open = function<OpenRemoteDatabase>(module, open_remote_database_name);
        const auto version = function<RemoteModuleVersion>(module, remote_module_version_name);
        if (open == nullptr || version == nullptr || std::string_view(version()) != LARDER_VERSION)
            throw SourceError(
                fmt::format("{} is of another version than this program, {}: install the package "
                            "larder-fleet of this version",
                            path.string(), LARDER_VERSION));
    }
    template <class Function>
    static Function* function(void* module, const char* name) {
        return reinterpret_cast<Function*>(::dlsym(module, name));
    }
};

/// Of servers with commas between.
std::string without_users(const std::string& servers) {
    std::string shown;
    for (std::size_t at = 0; at <= servers.size();) {
        const std::size_t end = std::min(servers.find(',', at), servers.size());
        std::string server = servers.substr(at, end - at);
        const std::size_t scheme = server.find("://"), user = scheme == std::string::npos ? 0 : scheme + 3;
        if (const std::size_t last = server.rfind('@'); last != std::string::npos) server.erase(user, last + 1 - user);
        shown += (at == 0 ? "" : ",") + server;
        at = end + 1;
    }
    return shown;
}

}  // namespace

bool is_remote_url(std::string_view url) { return url.starts_with("postgres://") || url.starts_with("postgresql://"); }

std::string without_password(std::string url) {
    if (url.starts_with("nats://") || url.starts_with("tls://")) return without_users(url);
    const std::size_t scheme_end = url.find("://");
    if (scheme_end == std::string::npos) return url;
    const std::size_t user = scheme_end + 3, authority_end = std::min(url.find_first_of("/?", user), url.size());
    const std::size_t at = url.rfind('@', authority_end), colon = url.find(':', user);
    if (at != std::string::npos && at > user && colon < at) url.erase(colon, at - colon);
    constexpr std::string_view parameter = "password=";
    const std::size_t secret = url.find(parameter, user);
    if (secret != std::string::npos) url.erase(secret, std::min(url.find('&', secret), url.size()) - secret);
    return url;
}

std::shared_ptr<const Database> open_database(const DatabaseUrls& urls, const std::optional<OwnSchema>& schema) {
    if (urls.nats.empty() && (urls.shares_documents || !urls.nats_credentials.empty() || !urls.nats_ca.empty()))
        throw UsageError("--fleet-tier, --nats-credentials and --nats-ca need servers: name them by --nats");
    if (is_remote_url(urls.workers))
        return std::shared_ptr<const Database>(
            RemoteModule::loaded().open(urls, schema ? schema->statements() : std::string()));
    if (!urls.relay.empty() || !urls.nats.empty() || urls.shares_documents)
        throw UsageError(
            "--relay-db, --nats and --fleet-tier are for postgres:// databases: a SQLite file is this host's alone");
    return std::make_shared<const SqliteDatabase>(urls.workers, schema);
}

}  // namespace larder::tools
