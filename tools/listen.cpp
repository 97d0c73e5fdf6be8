// larder listen: the role of the invalidation socket's listener, alone.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "tools/database_option.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/promise_options.hpp"
#include "tools/relay_thread.hpp"
#include "tools/stop_signals.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

struct Arguments {
    Options cache;
    DatabaseOption database;
    PromiseOptions promise;
};

int run(const Arguments& arguments) {
    StopSignals signals;
    ::signal(SIGPIPE, SIG_IGN);  // it goes on listening when nobody reads its log any more
    Options options = arguments.cache;
    if (arguments.database.is_named()) {
        arguments.database.check();  // a database that cannot be read makes no cache
        options.identity = arguments.database.identity();
        arguments.promise.apply(arguments.database, options);
    }
    const Cache cache = Cache::open(options);
    std::optional<RelayThread> relay;
    if (arguments.database.is_named()) relay.emplace(arguments.database.database(), cache);
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
    arguments->database.add_to(*verb)->required(false)->description("Relay the outbox of this database, too");
    arguments->promise.add_to(*verb);
    verb->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace larder::tools
