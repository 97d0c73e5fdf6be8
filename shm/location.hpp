// Where a cache's files are, and who may use them: a directory of mode 0700 that is ours, on tmpfs unless the user
// names one.
#pragma once

#include <cstdint>
#include <string>

namespace larder::shm {

/// The directory and name of a cache, both checked.
struct Location {
    std::string directory;
    std::string name;
    bool on_tmpfs = false;

    std::string segment_path() const { return directory + "/" + name + ".seg"; }
    std::string socket_path() const { return directory + "/" + name + ".sock"; }
    /// Liveness bytes. Opened once a process, never closed.
    std::string lock_path() const { return directory + "/" + name + ".lock"; }
    /// The listener's role. Opened once a process, never closed.
    std::string listen_path() const { return directory + "/" + name + ".listen"; }
};

/// [A-Za-z0-9._-]{1,64}, and not "." or "..".
bool is_valid_name(const std::string& name);

/// `directory`, else LARDER_DIR, else the first usable of /run/larder, $XDG_RUNTIME_DIR/larder and /dev/shm/larder-UID.
/// Makes it (0700) when `create` and absent; without `create` an absent one is returned as it is, for "no cache NAME in
/// DIR". Throws OpenError "options" (name) or "directory".
Location locate(const std::string& directory, const std::string& name, bool create);

}  // namespace larder::shm
