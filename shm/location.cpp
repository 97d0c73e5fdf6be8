#include "shm/location.hpp"

#include <errno.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <system_error>
#include <vector>

#include "shm/cache.hpp"
#include "shm/file_names.hpp"
#include "shm/system.hpp"

namespace larder::shm {
namespace {

constexpr std::string_view kNameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
constexpr std::size_t kMaxDirectoryBytes = 3900;  // a path with a name fits PATH_MAX

std::string environment(const char* name) {
    const char* text = ::getenv(name);
    return text == nullptr ? std::string() : std::string(text);
}

/// REQUIRES: absolute, and not next to the root.
std::string parent_of(const std::string& path) { return path.substr(0, path.find_last_of('/')); }

/// Without trailing slashes.
std::string trimmed(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
}

/// Wherever the process goes: a cache that is found by its path must stay the same.
std::string absolute(const std::string& path) {
    std::error_code error;
    return path.empty() ? path : std::filesystem::absolute(path, error).string();
}

constexpr const char* kChooseAnother = "choose another directory with --directory or LARDER_DIR";

/// As a cache's files are named; where nothing else is, the directory may be meant for caches.
bool is_cache_file(const std::filesystem::path& name) {
    constexpr std::string_view kKinds[] = {".seg", ".lock", ".sock", ".listen"};
    return std::find(std::begin(kKinds), std::end(kKinds), name.extension().string()) != std::end(kKinds) &&
           is_valid_name(name.stem().string());
}

/// Directories that other programs count on, wherever a link to them is: the ones next to the root, and what is next
/// to some of these.
bool is_system_directory(const std::filesystem::path& directory) {
    constexpr std::string_view kSystem[] = {"/", "/boot", "/dev", "/etc", "/proc", "/sys", "/usr", "/var"};
    return std::find(std::begin(kSystem), std::end(kSystem), directory.parent_path().string()) != std::end(kSystem);
}

/// Closing it to others hurts nobody. Ends at the first file that is not a cache's.
bool may_be_for_caches(const std::string& directory) {
    std::error_code error;
    const std::filesystem::path real = std::filesystem::canonical(directory, error);
    if (error || is_system_directory(real)) return false;
    FileNames names(real.c_str());
    while (const char* const name = names.next())
        if (!is_cache_file(name)) return false;
    return names.error() == 0;
}

/// What is wrong with a directory, empty: nothing.
struct Fault {
    std::string reason, remedy;
    bool absent = false;
    explicit operator bool() const { return absent || !reason.empty(); }
};

Fault fault_of(const std::string& directory, bool follow_links) {
    struct stat status {};
    const int error = system::file_status(directory, status, follow_links);
    if (error == -ENOENT) return {directory + " does not exist", "make it with `mkdir -m 700 " + directory + "`", true};
    if (error != 0) {
        return {"cannot look at " + directory + ": " + std::strerror(-error),
                "make it reachable for uid " + std::to_string(system::user_id()) + ", or set LARDER_DIR"};
    }
    if (!S_ISDIR(status.st_mode)) return {directory + " is not a directory", kChooseAnother};
    if (status.st_uid != system::user_id()) {
        return {directory + " belongs to uid " + std::to_string(status.st_uid) + ", this process is uid " +
                    std::to_string(system::user_id()),
                "run as its owner, or set LARDER_DIR to a directory of your own"};
    }
    if ((status.st_mode & 0777) != 0700) {
        const bool is_shared = (status.st_mode & (S_ISVTX | 0002)) != 0;  // like /tmp: never to be closed to others
        char mode[8] = {};
        for (int digit = 0; digit < 3; ++digit)
            mode[digit] = static_cast<char>('0' + (status.st_mode >> (6 - 3 * digit) & 7));
        std::string remedy = kChooseAnother;
        if (is_shared)
            remedy = "make a directory of your own in it: `mkdir -m 700 " + directory + "/larder`, and name that one";
        else if (may_be_for_caches(directory))
            remedy = "run `chmod 700 " + directory + "`";
        return {directory + " has mode 0" + mode + ", not 0700", remedy};
    }
    return {};
}

/// Makes the directory with mode 0700 whatever the umask is; somebody else may have been faster.
int make_private_directory(const std::string& directory) {
    const int error = system::make_directory(directory, 0700);
    if (error == -EEXIST) return 0;
    return error != 0 ? error : system::change_mode(directory, 0700);
}

Location explicit_location(const std::string& directory, const std::string& name, bool create) {
    if (directory.size() > kMaxDirectoryBytes)
        throw OpenError("directory", "the directory's path is too long", "use one below 3900 bytes");
    Fault fault = fault_of(directory, true);
    if (fault.absent && !create) return {directory, name, false};
    if (fault.absent) {
        if (const int error = make_private_directory(directory)) {
            throw OpenError("directory", "cannot make " + directory + ": " + std::strerror(-error),
                            error == -EROFS
                                ? kChooseAnother
                                : "make it with `mkdir -p -m 700 " + directory + "`, or set LARDER_DIR to another");
        }
        fault = fault_of(directory, true);
    }
    if (fault) throw OpenError("directory", fault.reason, fault.remedy);
    return {directory, name, system::is_tmpfs(directory)};
}

std::vector<std::string> implicit_directories() {
    std::vector<std::string> directories{"/run/larder"};
    const std::string runtime = trimmed(environment("XDG_RUNTIME_DIR"));
    if (!runtime.empty() && runtime.front() == '/' && runtime.size() <= kMaxDirectoryBytes)
        directories.push_back(runtime + "/larder");
    directories.push_back("/dev/shm/larder-" + std::to_string(system::user_id()));
    return directories;
}

/// Existing, ours and on tmpfs, or made so now. `why_not` says what was wrong.
bool is_usable(const std::string& directory, bool create, std::string& why_not) {
    Fault fault = fault_of(directory, false);
    if (fault.absent && create && system::is_tmpfs(parent_of(directory)) && make_private_directory(directory) == 0)
        fault = fault_of(directory, false);
    if (!fault && !system::is_tmpfs(directory)) fault.reason = directory + " is not on tmpfs";
    if (!fault) return true;
    why_not += (why_not.empty() ? "" : ", ") + fault.reason;
    return false;
}

Location implicit_location(const std::string& name, bool create) {
    std::string why_not;
    const std::vector<std::string> directories = implicit_directories();
    for (const std::string& directory : directories)
        if (is_usable(directory, create, why_not)) return {directory, name, true};
    if (!create) return {directories.back(), name, true};
    throw OpenError("directory", "no usable directory: " + why_not,
                    "set LARDER_DIR to a directory of your own with mode 0700");
}

}  // namespace

bool is_valid_name(const std::string& name) {
    return !name.empty() && name.size() <= 64 && name.find_first_not_of(kNameCharacters) == std::string::npos &&
           name != "." && name != "..";
}

Location locate(const std::string& directory, const std::string& name, bool create) {
    if (!is_valid_name(name)) {
        throw OpenError("options", "a cache's name is 1 to 64 of the characters A-Z a-z 0-9 . _ -",
                        "choose another name than the one given (" + std::to_string(name.size()) + " bytes)");
    }
    const std::string chosen = absolute(trimmed(directory.empty() ? environment("LARDER_DIR") : directory));
    return chosen.empty() ? implicit_location(name, create) : explicit_location(chosen, name, create);
}

}  // namespace larder::shm
