// larder serve: the statistics over HTTP, by a supervisor and its workers.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

#include "core/submission_source.hpp"
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
    "`larder token`), GET /healthz. SIGTERM or Ctrl-C ends it within 5 s; a worker that dies is replaced.";

struct ServeArguments {
    ServeConfig config;
    std::string workers{option_row("workers").default_text};
    std::string ticket;  // empty: this is the supervisor
};

std::size_t parse_workers(const std::string& text) {
    std::size_t workers = 0;
    try {
        workers = parse_count(text);
    } catch (const std::invalid_argument&) {}
    if (workers < 1 || workers > max_workers)
        throw UsageError(
            fmt::format("{}: `{}`: write a number from 1 to {}", name_for("workers", text), text, max_workers));
    return workers;
}

int serve(ServeArguments arguments) {
    ServeConfig config = std::move(arguments.config);
    config.workers = parse_workers(arguments.workers);
    config.cache.log = log_line;
    try {
        config.cache.identity = database_identity(config.database);
        if (!arguments.ticket.empty()) return run_worker(config, WorkerTicket::parse(arguments.ticket));
        return run_supervisor(std::move(config));
    } catch (const KeyFileError& error) {
        throw Refusal(kFailure, error.what());
    } catch (const AddressError& error) {
        throw Refusal(kFailure, error.what());
    }
}

}  // namespace

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

Log core_log() {
    return Log{.level = spdlog::should_log(spdlog::level::debug) ? LogLevel::debug : LogLevel::info, .write = log_line};
}

void add_serve(CLI::App& program, Action& action) {
    CLI::App* const verb =
        program.add_subcommand("serve", "Serve the statistics over HTTP, relay changes, keep the workers");
    const auto arguments = std::make_shared<ServeArguments>();
    arguments->config.listen = option_row("listen").default_text;
    add_text_option(*verb, "db", arguments->config.database)->required();
    add_text_option(*verb, "listen", arguments->config.listen);
    add_text_option(*verb, "workers", arguments->workers);
    add_text_option(*verb, "auth-key-file", arguments->config.auth_key_file);
    verb->add_option("--port-file", arguments->config.port_file, "Where the port is written once a worker listens")
        ->type_name("FILE");
    verb->add_option("--worker", arguments->ticket)->group("");  // from the supervisor to the workers that it starts
    add_cache_options(*verb, arguments->config.cache);
    verb->footer(endpoints);
    verb->callback([arguments, &action] { action = [arguments] { return serve(std::move(*arguments)); }; });
}

}  // namespace larder::tools
