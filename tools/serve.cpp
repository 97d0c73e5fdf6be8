// larder serve: the statistics over HTTP, by a supervisor and its workers.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

#include "tools/durations_sizes.hpp"
#include "tools/handover.hpp"
#include "tools/http/key_ring.hpp"
#include "tools/http/listen_address.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/promise_options.hpp"
#include "tools/serve_config.hpp"
#include "tools/serve_worker.hpp"
#include "tools/supervisor.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

using namespace std::string_view_literals;

constexpr const char* endpoints =
    "GET / is the dashboard; `larder help http` has all that can be asked for (Authorization: Bearer TOKEN, see\n"
    "`larder token`). SIGTERM or Ctrl-C ends it within 5 s; a worker that dies is replaced.\n"
    "SIGHUP reads the configuration file and the key file again and, where they say something else, replaces the "
    "workers\n"
    "one by one, without a pause; what a cache is and where it lies, db, schema and listen need a restart, which the "
    "log\n"
    "says. When the terminal that it was started on is closed, it ends; under nohup it does not.";

struct ServeArguments {
    ServeConfig config;
    DocumentOptions documents;
    PromiseOptions promise;
    std::map<std::string_view, std::string> texts;  // of the options that are parsed here
    std::string ticket;                             // empty: this is the supervisor
};

constexpr std::array parsed_here{"workers"sv, "warm-daily"sv, "warm-on-publish"sv};

int serve(ServeArguments arguments) {
    ServeConfig config = std::move(arguments.config);
    const SettingText text_of = [&texts = arguments.texts](std::string_view name) { return texts.at(name); };
    take_text("workers", text_of, parse_workers, config.workers);
    config.documents = arguments.documents.parsed(config.cache.ttl);
    config.documents.log = core_log();
    arguments.promise.apply(config.database, config.cache);
    take_text("warm-daily", text_of, DailyTime::parse, config.warm_daily);
    take_text("warm-on-publish", text_of, parse_switch, config.warm_on_publish);
    config.cache.log = log_line;
    try {
        if (arguments.ticket.empty()) {
            config.cache.identity = config.database.identity();
            return run_supervisor(std::move(config));
        }
        Handover handover = Handover::inherited();
        if (!handover.schema.empty()) config.database.take_schema(std::move(handover.schema));
        config.cache.identity = std::move(handover.identity);
        return run_worker(config, WorkerTicket::parse(arguments.ticket));
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

ServeConfig ServeConfig::reloaded(const SettingText& text_of) const {
    ServeConfig fresh = *this;
    for (const OptionRow& row : option_table()) {
        if (row.group != OptionGroup::behaviour) continue;
        const std::string text = text_of(row.name);
        row.apply(fresh.cache, text.empty() ? row.default_text : text);
    }
    fresh.audit_log = text_of("audit-log");
    fresh.documents = DocumentOptions::parsed(text_of, fresh.cache.ttl);
    fresh.documents.log = documents.log;
    PromiseOptions::apply(text_of, database, fresh.cache);
    return fresh;
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
    add_text_option(*verb, "auth-key-file", arguments->config.auth_key_file);
    add_text_option(*verb, "audit-log", arguments->config.audit_log);
    arguments->documents.add_to(*verb);
    arguments->promise.add_to(*verb);
    for (const std::string_view name : parsed_here) add_text_option(*verb, name, arguments->texts[name]);
    verb->add_option("--port-file", arguments->config.port_file, "Where the port is written once a worker listens")
        ->type_name("FILE");
    verb->add_option("--worker", arguments->ticket)->group("");  // from the supervisor to the workers that it starts
    add_cache_options(*verb, arguments->config.cache);
    verb->footer(endpoints);
    verb->callback([arguments, &action] { action = [arguments] { return serve(std::move(*arguments)); }; });
}

}  // namespace larder::tools
