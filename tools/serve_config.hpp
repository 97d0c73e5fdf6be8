// ServeConfig: what `larder serve` was asked for; supervisor and workers parse the same command line.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/log.hpp"
#include "shm/cache.hpp"
#include "tools/daily_time.hpp"
#include "tools/database_option.hpp"
#include "tools/document_options.hpp"

namespace larder::tools {

/// What a supervisor tells a worker that it starts, as `PID:PORT:SLOT` in its own command line.
struct WorkerTicket {
    pid_t supervisor = 0;
    std::uint16_t port = 0;
    std::size_t slot = 0;

    std::string to_text() const;
    /// Throws std::invalid_argument.
    static WorkerTicket parse(const std::string& text);
};

struct ServeConfig {
    Options cache;  ///< with the database's identity, and logging
    DatabaseOption database;
    std::string listen;         ///< HOST:PORT
    std::string auth_key_file;  ///< empty: everybody is let in, on loopback only
    std::string port_file;      ///< empty: none
    std::string audit_log;      ///< empty: none
    std::size_t workers = 2;
    StatsCacheOptions documents;
    std::optional<DailyTime> warm_daily;  ///< absent: never
    bool warm_on_publish = false;

    /// With all that a reload changes but the number of workers and the keys. Throws UsageError.
    ServeConfig reloaded(const SettingText& text_of) const;
};

inline constexpr std::size_t max_workers = 64;

/// From 1 to max_workers. Throws std::invalid_argument.
std::size_t parse_workers(std::string_view text);

/// Where such a service would listen. Throws AddressError, also where everybody who reaches it would be let in.
class ListenAddress served_address(const std::string& listen, const std::string& auth_key_file);

/// Throws AddressError when everybody who reaches the address would be let in, and not only this host does.
void refuse_open_house(const class ListenAddress& address, const std::string& auth_key_file);

/// core's log lines, to spdlog.
Log core_log();

}  // namespace larder::tools
