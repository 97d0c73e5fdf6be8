// larder invalidate: announces that something has changed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/assignment.hpp"
#include "core/cache_keys.hpp"
#include "shm/socket/listener_role.hpp"
#include "shm/socket/notifier.hpp"
#include "shm/socket/protocol.hpp"
#include "tools/inspection.hpp"
#include "tools/json_lines.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

using shm::Verb;

struct Arguments {
    Options cache;
    std::vector<std::string> keys;
    std::vector<AssignmentId> assignments;
    UserId author = 0;
    std::string tag, name_space, course;
    bool all = false, json = false;
};

/// What is announced, as the socket would say it.
struct Change {
    Verb verb = Verb::invalidate_all;
    std::vector<std::string> names;

    std::vector<std::string_view> views() const { return {names.begin(), names.end()}; }
};

std::uint64_t through_segment(const Options& options, const Change& change) {
    Cache cache = Cache::open(options);
    if (change.verb == Verb::invalidate_all) return cache.invalidate_all();
    if (change.verb == Verb::invalidate_tag) return cache.invalidate_tag(change.names.front());
    if (change.verb == Verb::invalidate_namespace) return cache.invalidate_namespace(change.names.front());
    const std::vector<std::string_view> keys = change.views();
    return cache.invalidate(std::span<const std::string_view>(keys));
}

NoticeResult through_socket(const std::string& path, const Change& change) {
    const Notifier notifier(path);
    if (change.verb == Verb::invalidate_all) return notifier.invalidate_all();
    if (change.verb == Verb::invalidate_tag) return notifier.invalidate_tag(change.names.front());
    if (change.verb == Verb::invalidate_namespace) return notifier.invalidate_namespace(change.names.front());
    const std::vector<std::string_view> keys = change.views();
    return notifier.invalidate(std::span<const std::string_view>(keys));
}

/// Nothing: nobody answered.
std::optional<std::uint64_t> tell_listener(const shm::Location& location, const Change& change) {
    if (!shm::somebody_listens(location.listen_path())) return std::nullopt;
    const NoticeResult told = through_socket(location.socket_path(), change);
    if (told) return told.notice;
    if (told.answered) throw Refusal(kUsage, told.error);
    // A listener that hangs must not keep a change from being announced, and announcing twice is harmless.
    log_line(LogLevel::warning, fmt::format("the listener did not answer ({}); going to the segment", told.error));
    return std::nullopt;
}

void show(const Change& change, std::uint64_t notice, const char* through, bool json) {
    const std::size_t keys = change.verb == Verb::invalidate ? change.names.size() : 0;
    if (json)
        print_json({{"keys", keys}, {"notice", notice}, {"through", through}});
    else if (keys == 0)
        print(fmt::format("ok notice={}\n", notice));
    else
        print(fmt::format("ok {} notice={}\n", keys, notice));
}

int run(const Arguments& arguments, const Change& change) {
    const shm::Location location = require_cache(arguments.cache);
    const std::optional<std::uint64_t> told = tell_listener(location, change);
    const std::uint64_t notice = told ? *told : through_segment(arguments.cache, change);
    show(change, notice, told ? "socket" : "segment", arguments.json);
    return kOk;
}

/// As Cache::invalidate_namespace, which takes the ':' that ends the name.
std::string without_colon(std::string name) {
    if (!name.empty() && name.back() == ':') name.pop_back();
    return name;
}

/// An empty name is a mistake (a shell's unset variable, mostly), not an option that is absent.
Change change_of(const Arguments& arguments, bool has_tag, bool has_namespace, bool has_course) {
    std::vector<Change> named;
    if (!arguments.assignments.empty()) named.push_back({Verb::invalidate, assignment_keys(arguments.assignments)});
    if (arguments.author != 0) named.push_back({Verb::invalidate_tag, {author_tag(arguments.author)}});
    if (has_course && arguments.course.empty()) throw CLI::ValidationError("--course", "the name is empty");
    if (has_course) named.push_back({Verb::invalidate_tag, {course_tag(arguments.course)}});
    if (!arguments.keys.empty()) named.push_back({Verb::invalidate, arguments.keys});
    if (has_tag) named.push_back({Verb::invalidate_tag, {arguments.tag}});
    if (has_namespace) named.push_back({Verb::invalidate_namespace, {without_colon(arguments.name_space)}});
    if (arguments.all) named.push_back({Verb::invalidate_all, {}});
    if (named.size() != 1)
        throw CLI::ValidationError(
            "invalidate", "name one thing: KEYs, --assignment, --author, --course, --tag, --namespace or --all");
    if (const std::string refusal = shm::refusal_of(named.front().verb, named.front().views()); !refusal.empty())
        throw CLI::ValidationError("invalidate", refusal);
    return named.front();
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
    CLI::Option* const tag = verb->add_option("--tag", arguments->tag, "All entries with this tag")->type_name("TEXT");
    CLI::Option* const name_space =
        verb->add_option("--namespace", arguments->name_space, "All keys NAME:...")->type_name("NAME");
    require_ids(verb->add_option("--assignment", arguments->assignments, "The statistics of these assignments"))
        ->type_name("ID");
    require_ids(verb->add_option("--author", arguments->author, "Those of all assignments of this author"))
        ->type_name("ID");
    CLI::Option* const course =
        verb->add_option("--course", arguments->course, "Those of all assignments of this course")->type_name("NAME");
    verb->add_flag("--all", arguments->all, "Everything");
    verb->add_flag("--json", arguments->json, "{keys, notice, through: socket|segment}");
    verb->callback([&action, arguments, tag, name_space, course] {
        const Change change = change_of(*arguments, tag->count() != 0, name_space->count() != 0, course->count() != 0);
        action = [arguments, change] { return run(*arguments, change); };
    });
}

}  // namespace larder::tools
