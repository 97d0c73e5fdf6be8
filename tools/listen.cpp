// larder listen: the role of the invalidation socket's listener, alone.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <thread>

#include "core/assignment_notices.hpp"
#include "core/outbox_relay.hpp"
#include "core/sqlite_source.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/stop_signals.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

struct Arguments {
    Options cache;
    std::string db;
};

/// Relays the database's outbox in a thread of its own until it is destroyed.
class Relay {
public:
    Relay(const std::string& db, const Cache& cache)
        : notices_(cache, Log{LogLevel::debug, log_line}),
          relay_(sqlite_path(db), notices_, Log{LogLevel::debug, log_line}),
          thread_([this](std::stop_token stop) { relay_.run(stop); }) {}

private:
    AssignmentNotices notices_;
    OutboxRelay relay_;
    std::jthread thread_;
};

int run(const Arguments& arguments) {
    StopSignals signals;
    Options options = arguments.cache;
    if (!arguments.db.empty()) options.identity = database_identity(arguments.db);
    const Cache cache = Cache::open(options);
    std::optional<Relay> relay;
    if (!arguments.db.empty()) relay.emplace(arguments.db, cache);
    log_line(LogLevel::info, fmt::format("competing for {}", cache.socket_path()));
    while (!signals.wait(std::chrono::hours(1))) {}
    return kOk;
}

}  // namespace

void add_listen(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    arguments->cache.role = "listen";
    arguments->cache.listen = true;
    arguments->cache.log = log_line;
    CLI::App* const verb = program.add_subcommand(
        "listen", "Take invalidations from the socket until Ctrl-C; waits for its turn while another listens");
    add_cache_options(*verb, arguments->cache);
    add_text_option(*verb, "db", arguments->db)->description("Relay the outbox of this SQLite database, too");
    verb->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace larder::tools
