// Handover: what a supervisor has read from files, for the workers of one generation: all of them know the same,
// whatever has become of the files since.
#pragma once

#include <optional>
#include <string>

#include "shm/system.hpp"
#include "tools/config_file.hpp"

namespace larder::tools {

struct Handover {
    /// Where workers find it.
    static constexpr int inherited_fd = 4;

    std::optional<ConfigFile> file;  ///< none: there is no configuration file
    std::string key_file{};          ///< its bytes; empty: none is wanted
    std::string schema{};            ///< what --schema names: its bytes; empty: none is wanted
    std::string identity{};          ///< of the database, which a worker may not reach just now

    /// An anonymous file that inherited() reads. Throws std::system_error.
    shm::system::Descriptor write() const;
    /// In a worker, as often as it likes. Throws Refusal where no supervisor has handed anything over.
    static Handover inherited();
    /// Throws Refusal.
    static Handover parse(std::string_view bytes);
};

}  // namespace larder::tools
