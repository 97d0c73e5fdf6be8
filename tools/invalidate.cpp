// larder invalidate: announces that something has changed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "shm/socket/listener_role.hpp"
#include "shm/socket/notifier.hpp"
#include "tools/inspection.hpp"
#include "tools/json_lines.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

struct Arguments {
    Options cache;
    std::vector<std::string> keys;
    std::string tag, name_space;
    bool all = false, json = false;

    std::vector<std::string_view> views() const { return {keys.begin(), keys.end()}; }
};

/// The notice's number; Refusal when nobody could be told.
std::uint64_t through_segment(const Arguments& arguments) {
    Cache cache = Cache::open(arguments.cache);
    if (arguments.all) return cache.invalidate_all();
    if (!arguments.tag.empty()) return cache.invalidate_tag(arguments.tag);
    if (!arguments.name_space.empty()) return cache.invalidate_namespace(arguments.name_space);
    const std::vector<std::string_view> keys = arguments.views();
    return cache.invalidate(std::span<const std::string_view>(keys));
}

NoticeResult through_socket(const Arguments& arguments, const std::string& path) {
    const Notifier notifier(path);
    if (arguments.all) return notifier.invalidate_all();
    if (!arguments.tag.empty()) return notifier.invalidate_tag(arguments.tag);
    if (!arguments.name_space.empty()) return notifier.invalidate_namespace(arguments.name_space);
    const std::vector<std::string_view> keys = arguments.views();
    return notifier.invalidate(std::span<const std::string_view>(keys));
}

void show(const Arguments& arguments, std::uint64_t notice, const char* through) {
    if (arguments.json)
        print_json({{"keys", arguments.keys.size()}, {"notice", notice}, {"through", through}});
    else if (arguments.keys.empty())
        print(fmt::format("ok notice={}\n", notice));
    else
        print(fmt::format("ok {} notice={}\n", arguments.keys.size(), notice));
}

int run(const Arguments& arguments) {
    const shm::Location location = require_cache(arguments.cache);
    if (shm::somebody_listens(location.listen_path())) {
        const NoticeResult told = through_socket(arguments, location.socket_path());
        if (told) {
            show(arguments, told.notice, "socket");
            return kOk;
        }
        // A listener that hangs must not keep a change from being announced, and announcing twice is harmless.
        log_line(LogLevel::warning, fmt::format("the listener did not answer ({}); going to the segment", told.error));
    }
    show(arguments, through_segment(arguments), "segment");
    return kOk;
}

void check(const Arguments& arguments) {
    const int ways = (arguments.keys.empty() ? 0 : 1) + (arguments.tag.empty() ? 0 : 1) +
                     (arguments.name_space.empty() ? 0 : 1) + (arguments.all ? 1 : 0);
    if (ways != 1) throw CLI::ValidationError("invalidate", "name either KEYs, or --tag, or --namespace, or --all");
    for (const std::string& key : arguments.keys)
        if (key.empty() || key.size() > shm::kMaxKeyBytes)
            throw CLI::ValidationError("KEY", "a key has 1 to 1024 bytes");
    if (arguments.tag.size() > shm::kMaxTagBytes) throw CLI::ValidationError("--tag", "a tag has 1 to 256 bytes");
    if (arguments.name_space.size() > shm::kMaxKeyBytes)
        throw CLI::ValidationError("--namespace", "a namespace has 1 to 1024 bytes");
}

}  // namespace

void add_invalidate(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    arguments->cache.role = "invalidate";
    arguments->cache.log = log_line;
    CLI::App* const verb = program.add_subcommand(
        "invalidate", "Announce a change: when it returns, nobody on the host is served what was cached before");
    add_selection(*verb, arguments->cache);
    verb->add_option("KEY", arguments->keys, "Keys; after -- when one begins with a dash");
    verb->add_option("--tag", arguments->tag, "All entries with this tag")->type_name("TEXT");
    verb->add_option("--namespace", arguments->name_space, "All keys NAME:...")->type_name("NAME");
    verb->add_flag("--all", arguments->all, "Everything");
    verb->add_flag("--json", arguments->json, "{keys, notice, through: socket|segment}");
    verb->callback([&action, arguments] {
        check(*arguments);
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
