// larder serve: the statistics over HTTP, by a supervisor and its workers.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

#include "tools/durations_sizes.hpp"
#include "tools/http/key_ring.hpp"
#include "tools/http/listen_address.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/serve_config.hpp"
#include "tools/serve_worker.hpp"
#include "tools/supervisor.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr const char* endpoints =
    "GET /api/assignments/{id}/analytics/ and /api/assignments/{id}/cache_hit_rate/ (Authorization: Bearer TOKEN, see\n"
    "`larder token`), GET /healthz; POST /api/cache/warm/, /api/teachers/{id}/warm/ and /api/cache/invalidate/, GET\n"
    "/api/cache/jobs/{id}. SIGTERM or Ctrl-C ends it within 5 s; a worker that dies is replaced.\n"
    "SIGHUP reads the configuration file and the key file again and replaces the workers one by one, without a pause;\n"
    "what a cache is and where it lies, db and listen need a restart, which the log says. When the terminal that it "
    "was\n"
    "started on is closed, it ends; under nohup it does not.";

struct ServeArguments {
    ServeConfig config;
    std::string workers{option_row("workers").default_text};
    std::string soft_ttl, stale_if_error, recompute_interval, ttl_min, ttl_max, warm_daily, warm_on_publish;
    std::string ticket;  // empty: this is the supervisor
};

/// What was given, into `target`.
template <class Parse, class Target>
void take(std::string_view name, const std::string& text, Parse parse, Target& target) {
    if (text.empty()) return;
    try {
        target = parse(text);
    } catch (const std::invalid_argument& error) {
        throw UsageError(fmt::format("{}: {}", name_for(name, text), error.what()));
    }
}

int serve(ServeArguments arguments) {
    ServeConfig config = std::move(arguments.config);
    take("workers", arguments.workers, parse_workers, config.workers);
    take("soft-ttl", arguments.soft_ttl, parse_duration, config.soft_ttl);
    take("stale-if-error", arguments.stale_if_error, parse_duration, config.stale_if_error);
    take("recompute-interval", arguments.recompute_interval, parse_duration, config.recompute_interval);
    take("ttl-min", arguments.ttl_min, parse_duration, config.smart_ttl.shortest);
    take("ttl-max", arguments.ttl_max, parse_duration, config.smart_ttl.longest);
    if (arguments.ttl_min.empty() != arguments.ttl_max.empty() || config.smart_ttl.shortest > config.smart_ttl.longest)
        throw UsageError("--ttl-min and --ttl-max belong together: give both, the smaller one first");
    take("warm-daily", arguments.warm_daily, DailyTime::parse, config.warm_daily);
    take("warm-on-publish", arguments.warm_on_publish, parse_switch, config.warm_on_publish);
    config.cache.log = log_line;
    try {
        config.cache.identity = config.database.identity();
        if (!arguments.ticket.empty()) return run_worker(config, WorkerTicket::parse(arguments.ticket));
        return run_supervisor(std::move(config));
    } catch (const KeyFileError& error) {
        throw Refusal(kFailure, error.what());
    } catch (const AddressError& error) {
        throw Refusal(kFailure, error.what());
    }
}

}  // namespace

std::size_t parse_workers(std::string_view text) {
    std::size_t workers = 0;
    try {
        workers = parse_count(text);
    } catch (const std::invalid_argument&) {}
    if (workers < 1 || workers > max_workers)
        throw std::invalid_argument(fmt::format("`{}`: write a number from 1 to {}", text.substr(0, 64), max_workers));
    return workers;
}

ListenAddress served_address(const std::string& listen, const std::string& auth_key_file) {
    const ListenAddress address = ListenAddress::parse(listen);
    refuse_open_house(address, auth_key_file);
    return address;
}

void refuse_open_house(const ListenAddress& address, const std::string& auth_key_file) {
    if (auth_key_file.empty() && !address.is_loopback())
        throw AddressError(
            fmt::format("without --auth-key-file everybody would be let in: {} is refused, only loopback is served; "
                        "name a key file, or listen on 127.0.0.1",
                        address.url()));
}

std::string WorkerTicket::to_text() const { return fmt::format("{}:{}:{}", supervisor, port, slot); }

WorkerTicket WorkerTicket::parse(const std::string& text) {
    WorkerTicket ticket;
    const char* at = text.data();
    const char* const end = at + text.size();
    const auto number = [&at, end](auto& value) {
        const auto [next, error] = std::from_chars(at, end, value);
        at = next;
        return error == std::errc();
    };
    const auto colon = [&at, end] { return at != end && *at++ == ':'; };
    if (!number(ticket.supervisor) || !colon() || !number(ticket.port) || !colon() || !number(ticket.slot) ||
        at != end || ticket.slot >= max_workers)
        throw std::invalid_argument("--worker is for the supervisor's own use");
    return ticket;
}

StatsCacheOptions ServeConfig::stats_options() const {
    return {.ttl = cache.ttl,
            .soft_ttl = soft_ttl,
            .stale_if_error = stale_if_error,
            .recompute_interval = recompute_interval,
            .smart_ttl = smart_ttl,
            .log = core_log()};
}

Log core_log() {
    return Log{.level = spdlog::should_log(spdlog::level::debug) ? LogLevel::debug : LogLevel::info, .write = log_line};
}

void add_serve(CLI::App& program, Action& action) {
    CLI::App* const verb =
        program.add_subcommand("serve", "Serve the statistics over HTTP, relay changes, keep the workers");
    const auto arguments = std::make_shared<ServeArguments>();
    arguments->config.listen = option_row("listen").default_text;
    arguments->config.database.add_to(*verb);
    add_text_option(*verb, "listen", arguments->config.listen);
    add_text_option(*verb, "workers", arguments->workers);
    add_text_option(*verb, "auth-key-file", arguments->config.auth_key_file);
    add_text_option(*verb, "audit-log", arguments->config.audit_log);
    add_text_option(*verb, "soft-ttl", arguments->soft_ttl);
    add_text_option(*verb, "stale-if-error", arguments->stale_if_error);
    add_text_option(*verb, "recompute-interval", arguments->recompute_interval);
    add_text_option(*verb, "ttl-min", arguments->ttl_min);
    add_text_option(*verb, "ttl-max", arguments->ttl_max);
    add_text_option(*verb, "warm-daily", arguments->warm_daily);
    add_text_option(*verb, "warm-on-publish", arguments->warm_on_publish);
    verb->add_option("--port-file", arguments->config.port_file, "Where the port is written once a worker listens")
        ->type_name("FILE");
    verb->add_option("--worker", arguments->ticket)->group("");  // from the supervisor to the workers that it starts
    add_cache_options(*verb, arguments->config.cache);
    verb->footer(endpoints);
    verb->callback([arguments, &action] { action = [arguments] { return serve(std::move(*arguments)); }; });
}

}  // namespace larder::tools
