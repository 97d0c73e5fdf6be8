#include "tools/open_database.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/server_list.hpp"
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

constexpr std::string_view hidden = "...";

/// Commas between; none: a socket in the file system.
bool are_hosts(std::string_view servers) {
    for (std::size_t at = 0; at < servers.size();) {
        const std::size_t end = std::min(servers.find(',', at), servers.size());
        if (end > at && !is_host_and_port(servers.substr(at, end - at))) return false;
        at = end + 1;
    }
    return true;
}

/// Those that say where and how, and nothing else.
std::string known_parameters(const std::string& parameters) {
    constexpr std::array<std::string_view, 10> known{"host",
                                                     "hostaddr",
                                                     "port",
                                                     "user",
                                                     "dbname",
                                                     "sslmode",
                                                     "sslrootcert",
                                                     "target_session_attrs",
                                                     "application_name",
                                                     "connect_timeout"};
    std::string shown;
    for (std::size_t at = 0; at < parameters.size();) {
        const std::size_t end = std::min(parameters.find('&', at), parameters.size());
        const std::string parameter = parameters.substr(at, end - at);
        const std::string name = parameter.substr(0, parameter.find('='));
        const bool is_known = std::find(known.begin(), known.end(), name) != known.end();
        shown += (at == 0 ? "?" : "&") + (is_known ? parameter : std::string(hidden));
        at = end + 1;
    }
    return shown;
}

}  // namespace

bool is_remote_url(std::string_view url) { return url.starts_with("postgres://") || url.starts_with("postgresql://"); }

std::string without_password(std::string url) {
    const std::size_t at = url.rfind('@');
    if (!is_remote_url(url)) {
        const bool has_user = at != std::string::npos && url.find(':') < at && !url.starts_with("sqlite:");
        return has_user || url.find("password=") != std::string::npos ? std::string(hidden) : url;
    }
    const std::size_t user = url.find("://") + 3;
    const std::size_t first_query = url.find('?', user);
    if (at != std::string::npos && first_query < std::min(at, url.find('@')))
        return url.substr(0, user) + std::string(hidden);
    // A password that is not escaped may have any other character: the last @ ends it.
    const std::size_t query = url.find('?', at == std::string::npos ? user : at);
    const std::string parameters = query == std::string::npos ? "" : known_parameters(url.substr(query + 1));
    url.erase(std::min(query, url.size()));
    if (at != std::string::npos) {
        const std::size_t secret = std::min(url.find_first_of(":/?", user), at);
        url.erase(secret, at - secret);
    } else if (const std::size_t end = std::min(url.find('/', user), url.size());
               !are_hosts(std::string_view(url).substr(user, end - user))) {
        url.replace(user, end - user, hidden);  // a password whose @ lacks
    }
    return url + parameters;
}

std::string without_secrets(const OptionRow& row, const std::string& text) {
    if (row.unit != "URL" || text.empty()) return text;
    if (std::string_view(row.name) != "nats") return without_password(text);
    try {
        return ServerList::parse(text).shown;
    } catch (const SourceError&) {
        return std::string(hidden);
    }
}

std::shared_ptr<const Database> open_database(const DatabaseUrls& urls, const std::optional<OwnSchema>& schema) {
    if (urls.nats.empty() && (urls.shares_documents || !urls.nats_credentials.empty() || !urls.nats_ca.empty()))
        throw UsageError("--fleet-tier, --nats-credentials and --nats-ca need servers: name them by --nats");
    if (is_remote_url(urls.workers))
        return std::shared_ptr<const Database>(
            RemoteModule::loaded().open(urls, schema ? schema->statements() : std::string()));
    const bool is_meant = urls.workers.starts_with("postgres") && urls.workers.find_first_of(":@") != std::string::npos;
    if (is_meant || urls.workers.find("password=") != std::string::npos)
        throw UsageError("--db: write postgres://USER@HOST:PORT/DATABASE");
    if (!urls.relay.empty() || !urls.nats.empty() || urls.shares_documents)
        throw UsageError(
            "--relay-db, --nats and --fleet-tier are for postgres:// databases: a SQLite file is this host's alone");
    return std::make_shared<const SqliteDatabase>(urls.workers, schema);
}

}  // namespace larder::tools
