// larder rm: removes a cache; what still has it open is never served anything from it again.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/warm_queue.hpp"
#include "shm/inspector.hpp"
#include "shm/lock_file.hpp"
#include "shm/process.hpp"
#include "shm/socket/listener_role.hpp"
#include "shm/system.hpp"
#include "tools/inspection.hpp"
#include "tools/json_lines.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr std::chrono::milliseconds kPatience{2'000};

struct Arguments {
    Options cache;
    bool force = false, json = false;
};

/// Who is attached, for the message.
std::string attached_text(const std::string& path) {
    std::string text;
    try {
        const shm::Segment segment = shm::Segment::attach_read_only(path);
        for (const shm::ProcessFacts& process : shm::read_processes(segment.view()))
            if (process.alive) text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", process.pid, process.name);
    } catch (const OpenError& error) {
        return fmt::format("processes that cannot be named ({})", error.reason);
    }
    return text.empty() ? "a process that is just attaching or ending" : text;
}

/// Nothing in the segment is served again, then its name goes. A damaged one serves nobody.
void close_segment(const shm::Location& location) {
    try {
        if (const std::unique_ptr<shm::Segment> segment = shm::Segment::attach(location))
            shm::close_for_good(segment->view());
    } catch (const OpenError& error) {
        log_line(LogLevel::warning, fmt::format("removed without closing it first: {}", error.reason));
    }
}

/// Made before anything else is done: a lock file that is made only to remove the cache is not told of.
class Removal {
public:
    explicit Removal(const shm::Location& location) : location_(location) {
        for (const char* const end : {"", "-wal", "-shm"})
            jobs_.push_back(location.segment_path() + warm_queue_suffix + end);
        std::error_code ignored;
        std::vector<std::string> paths = jobs_;
        paths.insert(paths.end(),
                     {location.segment_path(), location.socket_path(), location.listen_path(), location.lock_path()});
        for (const std::string& path : paths)
            if (std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) there_.insert(path);
    }

    bool is_cache_there() const { return there_.count(location_.segment_path()) != 0; }
    bool is_anything_there() const { return !there_.empty(); }
    bool is_anything_removed() const { return !removed_.empty(); }

    void remove_jobs() {
        for (const std::string& path : jobs_) remove(path);
    }

    void remove(const std::string& path) {
        const int error = shm::system::remove_file(path);
        if (error == 0 && there_.count(path) != 0) removed_.emplace_back(path);
        if (error != 0 && error != -ENOENT)
            throw Refusal(kFailure, fmt::format("cannot remove {}: {}", path, std::strerror(-error)));
    }

    /// The lock files go only while this process has every lock on them: whoever opened one before compares the file
    /// with its name before it believes in a lock.
    void remove_lock_files(shm::LockFile& lock_file) {
        shm::ListenerRole role(location_.listen_path());
        if (!role.try_take()) {
            if (role.problem().empty()) return;
            throw Refusal(kFailure, role.problem());
        }
        bool all = true;
        for (std::uint32_t byte = 0; byte < shm::kProcesses; ++byte) all = lock_file.take(byte) && all;
        if (!all) return;
        remove(location_.socket_path());
        remove(location_.listen_path());
        remove(location_.lock_path());
    }

    void show(bool json) const {
        if (json) return print_json({{"removed", removed_}});
        for (const auto& path : removed_) print(fmt::format("removed {}\n", path.as_string().c_str()));
    }

private:
    const shm::Location& location_;
    std::vector<std::string> jobs_;  // the files of the queue of warming jobs
    std::set<std::string> there_;
    boost::json::array removed_;
};

[[noreturn]] void refuse_absent(const shm::Location& location, const char* more = "") {
    throw Refusal(kNegative, fmt::format("no cache {} in {}{}", location.name, location.directory, more));
}

/// Also removes what a cache left whose segment is gone.
int run(const Arguments& arguments) {
    const shm::Location location = shm::locate(arguments.cache.directory, arguments.cache.name, false);
    Removal removal(location);
    if (!removal.is_anything_there()) refuse_absent(location);
    const shm::process::Lock lock(kPatience);
    shm::LockFile* const lock_file = shm::LockFile::open(location.lock_path());
    if (!lock.is_held() || !lock_file->take_administration(kPatience))
        throw Refusal(kFailure, fmt::format("another process is just making or removing {}; try again", location.name));
    if (removal.is_cache_there()) {
        if (lock_file->any_slot_held_by_other() && !arguments.force)
            throw Refusal(kFailure, fmt::format("cache {} is in use by {}; end them first, or use --force",
                                                location.name, attached_text(location.segment_path())));
        close_segment(location);
        removal.remove(location.segment_path());
        removal.remove_jobs();
    }
    removal.remove_lock_files(*lock_file);
    if (!removal.is_anything_removed()) refuse_absent(location, "; a process has the files beside it in use");
    removal.show(arguments.json);
    return kOk;
}

}  // namespace

void add_rm(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb =
        program.add_subcommand("rm", "Remove a cache that no process is attached to, or what one left");
    add_selection(*verb, arguments->cache);
    verb->add_flag("--force", arguments->force,
                   "Even while processes are attached: nothing in it is served again, and they make a new one");
    verb->add_flag("--json", arguments->json, "{removed: [paths]}");
    verb->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace larder::tools
