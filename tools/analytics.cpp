// larder analytics: the JSON document of one assignment, from the cache or computed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/assignment_stats_cache.hpp"
#include "tools/database_option.hpp"
#include "tools/document_options.hpp"
#include "tools/json_lines.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/relay_thread.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

struct Arguments {
    Options cache;
    AssignmentId id = 0;
    DatabaseOption database;
    DocumentOptions documents;
    bool json = false;
};

void show(const Document& document, bool json) {
    const std::string_view bytes = document.bytes.value();
    if (!json) return print(std::string(bytes) + "\n");
    const double compute_ms = std::chrono::duration<double, std::milli>(document.compute_time).count();
    // The document's own bytes: parsed and written again, its numbers might look different.
    print(fmt::format(R"({{"document":{},"state":"{}","compute_ms":{:.3f}}})", bytes, name_of(document.state),
                      compute_ms) +
          "\n");
}

int run(const Arguments& arguments) {
    const Log log{LogLevel::debug, log_line};
    arguments.database.check();  // a database that cannot be read makes no cache
    Options options = arguments.cache;
    options.identity = arguments.database.identity();
    StatsCacheOptions documents = arguments.documents.parsed(options.ttl);
    documents.log = log;
    arguments.database.serve(documents, options.identity);
    const Cache cache = Cache::open(options);
    AssignmentStatsCache statistics(cache, arguments.database.sources(), documents);
    // Nobody else tells the cache what changed: a listener without a database does not.
    if (!somebody_relays(cache)) relay_once(*arguments.database.database(), statistics.notices(), log);
    const std::optional<Document> document = statistics.get_or_calculate(arguments.id);
    if (!document)
        throw Refusal(kNegative, fmt::format("no assignment {} in {}", arguments.id, arguments.database.name()));
    show(*document, arguments.json);
    return kOk;
}

}  // namespace

void add_analytics(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    arguments->cache.role = "analytics";
    arguments->cache.log = log_line;
    CLI::App* const verb = program.add_subcommand("analytics", "Print the statistics of an assignment as JSON");
    add_cache_options(*verb, arguments->cache);
    add_id(*verb, arguments->id);
    arguments->database.add_to(*verb);
    arguments->documents.add_to(*verb);
    verb->add_flag("--json", arguments->json, "{document, state: hit|miss|stale|wait, compute_ms}");
    verb->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace larder::tools
