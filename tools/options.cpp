#include "tools/options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <limits>
#include <map>

#include "shm/layout.hpp"
#include "shm/location.hpp"
#include "tools/daily_time.hpp"
#include "tools/durations_sizes.hpp"
#include "tools/http/listen_address.hpp"
#include "tools/logging.hpp"
#include "tools/promise_options.hpp"
#include "tools/serve_config.hpp"
#include "tools/settings.hpp"

namespace larder::tools {
namespace {

using Text = std::string_view;
using Group = OptionGroup;

std::uint32_t parse_count32(Text text) {
    const std::uint64_t count = parse_count(text);
    if (count > std::numeric_limits<std::uint32_t>::max())
        throw std::invalid_argument(fmt::format("`{}` is too large a number", text));
    return static_cast<std::uint32_t>(count);
}

Options::Recency parse_recency(Text text) {
    if (text == "clock") return Options::Recency::clock;
    if (text == "strict") return Options::Recency::strict;
    throw std::invalid_argument(fmt::format("`{}` is not a recency: write clock or strict", text));
}

std::string parse_name(Text text) {
    if (!shm::is_valid_name(std::string(text)))
        throw std::invalid_argument(fmt::format(
            "`{}` is not a cache's name: write 1 to 64 of the characters A-Z a-z 0-9 . _ -", text.substr(0, 64)));
    return std::string(text);
}

/// 0: the cache chooses.
std::uint32_t parse_shards(Text text) {
    const std::uint32_t shards = parse_count32(text);
    if (shards != 0 && (!std::has_single_bit(shards) || shards > shm::kMaxShards))
        throw std::invalid_argument(
            fmt::format("`{}` is not a number of shards: write a power of two up to {}", text, shm::kMaxShards));
    return shards;
}

/// A duration above 0.
std::chrono::milliseconds parse_time(Text text) {
    const std::chrono::milliseconds time = parse_duration(text);
    if (time.count() == 0) throw std::invalid_argument(fmt::format("`{}` is no time at all: write 1ms or more", text));
    return time;
}

void check_listen(Text text) {
    try {
        static_cast<void>(ListenAddress::parse(text));
    } catch (const AddressError& error) {
        throw std::invalid_argument(error.what());
    }
}

void check_workers(Text text) { static_cast<void>(parse_workers(text)); }

void check_duration(Text text) { static_cast<void>(parse_duration(text)); }
void check_recompute_interval(Text text) { static_cast<void>(parse_recompute_interval(text)); }
void check_degraded_after(Text text) { static_cast<void>(parse_degraded_after(text)); }
void check_switch(Text text) { static_cast<void>(parse_switch(text)); }
void check_daily_time(Text text) { static_cast<void>(DailyTime::parse(text)); }

// clang-format off
constexpr std::array kTable = {
    OptionRow{"cache", "-c,--cache", "LARDER_CACHE", "NAME", "default",
        "Name of the cache: letters, digits, dot, dash, underline; at most 64", Group::selection,
        [](Options& o, Text t) { o.name = parse_name(t); }},
    OptionRow{"directory", "--directory", "LARDER_DIR", "DIR",
        "the first usable of /run/larder, $XDG_RUNTIME_DIR/larder, /dev/shm/larder-UID",
        "Where the caches' files are", Group::selection,
        [](Options& o, Text t) { o.directory = t; }},

    OptionRow{"size", "--size", "LARDER_SIZE", "SIZE", "256MiB",
        "Of the whole segment, when the cache is made", Group::geometry,
        [](Options& o, Text t) { o.size_bytes = parse_size(t); }},
    OptionRow{"expected-entries", "--expected-entries", "LARDER_EXPECTED_ENTRIES", "N", "one per 8 KiB of --size",
        "Sizes directories and indexes, when the cache is made", Group::geometry,
        [](Options& o, Text t) { o.expected_entries = parse_count(t); }},
    OptionRow{"shards", "--shards", "LARDER_SHARDS", "N",
        "the largest power of two <= expected entries / 2048, at least 1",
        "Parts with a lock of their own (a power of two), when the cache is made", Group::geometry,
        [](Options& o, Text t) { o.shards = parse_shards(t); }},
    OptionRow{"tracked-keys", "--tracked-keys", "LARDER_TRACKED_KEYS", "N", "a sixteenth of --size at 256 bytes a key",
        "Keys with hit and miss counts of their own, when the cache is made", Group::geometry,
        [](Options& o, Text t) { o.tracked_keys = parse_count(t); }},
    OptionRow{"max-entries", "--max-entries", "LARDER_MAX_ENTRIES", "N", "as many as fit",
        "Limit on entries, when the cache is made", Group::geometry,
        [](Options& o, Text t) { o.max_entries = parse_count(t); }},
    OptionRow{"max-bytes", "--max-bytes", "LARDER_MAX_BYTES", "SIZE", "as many as fit",
        "Limit on the bytes of keys and values, when the cache is made", Group::geometry,
        [](Options& o, Text t) { o.max_bytes = parse_size(t); }},
    OptionRow{"recency", "--recency", "LARDER_RECENCY", "clock|strict", "clock",
        "Order of eviction: last use to 128 ms, or exact to the access, when the cache is made", Group::geometry,
        [](Options& o, Text t) { o.recency = parse_recency(t); }},

    OptionRow{"ttl", "--ttl", "LARDER_TTL", "DURATION", "300s",
        "Time to live of an entry that names none", Group::behaviour,
        [](Options& o, Text t) { o.ttl = parse_time(t); }},
    OptionRow{"negative-ttl", "--negative-ttl", "LARDER_NEGATIVE_TTL", "DURATION", "30s",
        "The same for `known to be absent`", Group::behaviour,
        [](Options& o, Text t) { o.negative_ttl = parse_time(t); }},
    OptionRow{"lock-budget", "--lock-budget", "LARDER_LOCK_BUDGET", "DURATION", "15ms",
        "Longest wait of a put for a shard's lock", Group::behaviour,
        [](Options& o, Text t) { o.lock_budget = parse_duration(t); }},
    OptionRow{"lease-time", "--lease-time", "LARDER_LEASE_TIME", "DURATION", "10s",
        "A computation that takes longer may be begun by another", Group::behaviour,
        [](Options& o, Text t) { o.lease_time = parse_duration(t); }},
    OptionRow{"wait-time", "--wait-time", "LARDER_WAIT_TIME", "DURATION", "10s",
        "Longest wait for another's computation", Group::behaviour,
        [](Options& o, Text t) { o.wait_time = parse_duration(t); }},
    OptionRow{"verify-checksums", "--verify-checksums", "LARDER_VERIFY_CHECKSUMS", "true|false", "false",
        "Check the bytes of a value at every read", Group::behaviour,
        [](Options& o, Text t) { o.verify_checksums = parse_switch(t); }},

    OptionRow{"db", "--db", "LARDER_DB", "URL", "",
        "The database: the path of a SQLite file, or postgres://USER@HOST/NAME", Group::service, nullptr},
    OptionRow{"relay-db", "--relay-db", "LARDER_RELAY_DB", "URL", "as --db; with --nats none: this host only listens",
        "The same postgres:// database for the relay, whose role reads the outbox, too", Group::service, nullptr},
    OptionRow{"nats", "--nats", "LARDER_NATS", "URL", "none: each host reads the outbox",
        "NATS servers through which the hosts of a fleet are told: nats://HOST:PORT,...", Group::service, nullptr},
    OptionRow{"nats-credentials", "--nats-credentials", "LARDER_NATS_CREDENTIALS", "FILE", "none",
        "The NATS user's credentials file", Group::service, nullptr},
    OptionRow{"nats-ca", "--nats-ca", "LARDER_NATS_CA", "FILE", "whom the system trusts",
        "Certificates of who signs those of the NATS servers (tls://HOST:PORT)", Group::service, nullptr},
    OptionRow{"fleet-tier", "--fleet-tier", "LARDER_FLEET_TIER", "true|false", "false",
        "The NATS servers keep documents, of which one host computes each for all", Group::service, nullptr,
        check_switch},
    OptionRow{"schema", "--schema", "LARDER_SCHEMA", "FILE", "none: it is a Larder database",
        "How another program's database is read: CREATE TEMP VIEW assignments, submissions", Group::service, nullptr},
    OptionRow{"assignments", "--assignments", "", "FILE", "",
        "assignments.csv", Group::files, nullptr},
    OptionRow{"submissions", "--submissions", "", "FILE", "",
        "submissions.csv or submissions.csv.gz", Group::files, nullptr},
    OptionRow{"listen", "--listen", "LARDER_LISTEN", "HOST:PORT", "127.0.0.1:8080",
        "Where HTTP is served; port 0: a free one", Group::service, nullptr, check_listen},
    OptionRow{"workers", "--workers", "LARDER_WORKERS", "N", "2",
        "Worker processes; where they are as many as the processors, each stays on one", Group::service, nullptr,
        check_workers, true},
    OptionRow{"auth-key-file", "--auth-key-file", "LARDER_AUTH_KEY_FILE", "FILE",
        "none: loopback only, everybody is let in",
        "Keys that tokens are signed with: at least 32 bytes, mode 0600, a line kid:secret names a key",
        Group::service, nullptr, nullptr, true},
    OptionRow{"audit-log", "--audit-log", "LARDER_AUDIT_LOG", "FILE", "none: the log alone",
        "Where each invalidation by HTTP or socket is written, a JSON line each: when, who, what, notice",
        Group::service, nullptr, nullptr, true},
    OptionRow{"soft-ttl", "--soft-ttl", "LARDER_SOFT_TTL", "DURATION", "0: never",
        "Age past which a document is still served while one process of the host computes it anew",
        Group::service, nullptr, check_duration, true},
    OptionRow{"stale-if-error", "--stale-if-error", "LARDER_STALE_IF_ERROR", "DURATION", "0: not at all",
        "How long past its time to live a document is served while the database cannot be read",
        Group::service, nullptr, check_duration, true},
    OptionRow{"recompute-interval", "--recompute-interval", "LARDER_RECOMPUTE_INTERVAL", "DURATION", "100ms",
        "Least time between two computations of one document that changes cause, at most 1s: many at once cost a few",
        Group::service, nullptr, check_recompute_interval, true},
    OptionRow{"ttl-min", "--ttl-min", "LARDER_TTL_MIN", "DURATION", "none: --ttl for all",
        "With --ttl-max: a document's own time to live, a tenth of the time between its last changes, at least this",
        Group::service, nullptr, check_duration, true},
    OptionRow{"ttl-max", "--ttl-max", "LARDER_TTL_MAX", "DURATION", "none: --ttl for all",
        "With --ttl-min: the longest of them", Group::service, nullptr, check_duration, true},
    OptionRow{"degraded-after", "--degraded-after", "LARDER_DEGRADED_AFTER", "DURATION", "2s",
        "For a database that is followed over a network: so long after its last word documents are served as usual",
        Group::service, nullptr, check_degraded_after, true},
    OptionRow{"max-stale", "--max-stale", "LARDER_MAX_STALE", "DURATION", "0: not at all",
        "And so long past --degraded-after what is in the cache is served; then it is computed, or an error",
        Group::service, nullptr, check_duration, true},
    OptionRow{"warm-daily", "--warm-daily", "LARDER_WARM_DAILY", "HH:MM", "never",
        "Local time at which assignments with recent views or submissions are computed, once a day",
        Group::service, nullptr, check_daily_time},
    OptionRow{"warm-on-publish", "--warm-on-publish", "LARDER_WARM_ON_PUBLISH", "true|false", "false",
        "Compute an assignment when it becomes published", Group::service, nullptr, check_switch},
    OptionRow{"log-level", "--log-level", "LARDER_LOG", "debug|info|warning|error",
        "info for serve and listen, else warning",
        "What is logged on stderr", Group::log, nullptr, check_log_level, true},
    OptionRow{"log-format", "--log-format", "LARDER_LOG_FORMAT", "text|json|journal",
        "journal where stderr goes to it, else text",
        "How it is logged: lines for people, a JSON object a line, or systemd's journal", Group::log, nullptr,
        check_log_format},
};
// clang-format on

std::string help_of(const OptionRow& row) {
    return row.default_text.empty() ? std::string(row.meaning)
                                    : fmt::format("{} [default: {}]", row.meaning, row.default_text);
}

/// By the option's address; one that was destroyed gives its place to the next of its address.
std::map<const CLI::Option*, const OptionRow*>& dressed() {
    static std::map<const CLI::Option*, const OptionRow*> rows;
    return rows;
}

void dress(CLI::Option* option, const OptionRow& row) {
    dressed()[option] = &row;
    option->type_name(std::string(row.unit));
    if (!row.environment.empty()) option->envname(std::string(row.environment));
    if (row.group == Group::geometry) option->group("New cache");
    if (row.group == Group::behaviour) option->group("Behaviour");
}

/// `take` parses the text and throws std::invalid_argument; `name_of` says whose text it is.
template <class Take, class NameOf>
CLI::Option* add_parsed(CLI::App& verb, const std::string& flag, const std::string& meaning, Take take,
                        NameOf name_of) {
    const auto checked = [take, name_of](const std::string& text) {
        try {
            take(text);
        } catch (const std::invalid_argument& error) {
            throw CLI::ValidationError(name_of(text), error.what());
        }
    };
    return verb.add_option_function<std::string>(flag, checked, meaning);
}

template <class Take>
CLI::Option* add_parsed(CLI::App& verb, const std::string& flag, const std::string& meaning, Take take) {
    return add_parsed(verb, flag, meaning, take, [flag](const std::string&) { return flag; });
}

bool is_id(const std::string& text) {
    try {
        return parse_count(text) != 0;
    } catch (const std::invalid_argument&) {
        return false;
    }
}

}  // namespace

std::string_view section_of(OptionGroup group) {
    switch (group) {
    case Group::selection:
        return "cache";
    case Group::geometry:
        return "new-cache";
    case Group::behaviour:
        return "behaviour";
    case Group::service:
        return "serve";
    case Group::files:
        return "import";
    case Group::log:
        return "log";
    }
    return {};
}

void check_text(const OptionRow& row, std::string_view text) {
    if (row.apply == nullptr && text.empty()) return;  // as if nothing was said
    Options scratch;
    if (row.apply != nullptr) row.apply(scratch, text);
    if (row.check != nullptr) row.check(text);
}

const OptionRow* row_behind(const CLI::Option& option) {
    const auto found = dressed().find(&option);
    return found == dressed().end() ? nullptr : found->second;
}

const char* variable_of(const OptionRow& row) {
    const char* const text = row.environment.empty() ? nullptr : std::getenv(std::string(row.environment).c_str());
    return text == nullptr || *text == '\0' ? nullptr : text;
}

std::span<const OptionRow> option_table() { return kTable; }

const OptionRow& option_row(std::string_view name) {
    const auto* const row =
        std::find_if(kTable.begin(), kTable.end(), [&](const OptionRow& r) { return r.name == name; });
    if (row == kTable.end()) throw std::logic_error(fmt::format("no option named {}", name));
    return *row;
}

std::string name_for(std::string_view name, std::string_view text) {
    const OptionRow& row = option_row(name);
    if (std::string place = place_taken(row); !place.empty()) return place;
    const char* const variable = variable_of(row);
    return std::string(variable != nullptr && text == variable ? row.environment : row.flag);
}

std::string name_for_size(std::string_view bytes) {
    const OptionRow& row = option_row("size");
    if (std::string place = place_taken(row); !place.empty()) return place;
    const char* const variable = variable_of(row);
    try {
        if (variable != nullptr && parse_size(variable) == parse_size(bytes)) return std::string(row.environment);
    } catch (const std::invalid_argument&) {}  // a wrong variable that the flag overrides
    return std::string(row.flag);
}

void apply_setting(std::string_view name, Options& options) {
    const OptionRow& row = option_row(name);
    const char* const variable = variable_of(row);
    const ConfigEntry* const entry = variable == nullptr ? take_entry(row) : nullptr;
    if (variable == nullptr && entry == nullptr) return;
    try {
        row.apply(options, entry == nullptr ? std::string_view(variable) : entry->text);
    } catch (const std::invalid_argument& error) {
        throw CLI::ValidationError(entry == nullptr ? std::string(row.environment) : entry->place(), error.what());
    }
}

CLI::Option* add_cache_option(CLI::App& verb, std::string_view name, Options& options) {
    const OptionRow& row = option_row(name);
    const auto apply = [&row, &options](const std::string& text) { row.apply(options, text); };
    CLI::Option* const option = add_parsed(verb, std::string(row.flag), help_of(row), apply,
                                           [&row](const std::string& text) { return name_for(row.name, text); });
    dress(option, row);
    return option;
}

CLI::Option* add_count(CLI::App& verb, const std::string& flag, std::uint64_t& target, const std::string& meaning) {
    return add_parsed(verb, flag, meaning, [&target](const std::string& text) { target = parse_count(text); })
        ->type_name("N");
}

CLI::Option* add_duration(CLI::App& verb, const std::string& flag, std::chrono::milliseconds& target,
                          const std::string& meaning) {
    return add_parsed(verb, flag, meaning, [&target](const std::string& text) { target = parse_time(text); })
        ->type_name("DURATION");
}

CLI::Option* add_duration_or(std::chrono::milliseconds otherwise, CLI::App& verb, const std::string& flag,
                             std::chrono::milliseconds& target, const std::string& meaning) {
    const auto take = [&target, otherwise](const std::string& text) {
        target = text.empty() ? otherwise : parse_time(text);
    };
    return add_parsed(verb, flag, meaning, take)->expected(0, 1)->type_name("[DURATION]");
}

CLI::Option* add_text_option(CLI::App& verb, std::string_view name, std::string& target) {
    const OptionRow& row = option_row(name);
    CLI::Option* const option = verb.add_option(std::string(row.flag), target, help_of(row));
    dress(option, row);
    return option;
}

void add_group(CLI::App& verb, OptionGroup group, Options& options) {
    for (const OptionRow& row : kTable)
        if (row.group == group) add_cache_option(verb, row.name, options);
}

CLI::Option* require_ids(CLI::Option* option) {
    return option->check([](const std::string& text) {
        return is_id(text) ? std::string()
                           : fmt::format("`{}` is not an id: write a whole number above 0", text.substr(0, 64));
    });
}

CLI::Option* add_id(CLI::App& verb, std::int64_t& target) {
    return require_ids(verb.add_option("ID", target, "The assignment"))->type_name("")->required();
}

void add_selection(CLI::App& verb, Options& options) {
    options.create = false;
    add_group(verb, Group::selection, options);
}

void add_cache_options(CLI::App& verb, Options& options) {
    add_group(verb, Group::selection, options);
    add_group(verb, Group::geometry, options);
    add_group(verb, Group::behaviour, options);
}

}  // namespace larder::tools
