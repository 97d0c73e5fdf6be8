// Finding: what a doctor has to say about one thing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace larder::shm {

enum class Severity : std::uint8_t {
    info,     ///< a fact worth knowing: a note that asks for nothing, not something wrong
    warning,  ///< works, but costs speed or memory, or may end badly
    error,    ///< broken now: data damaged, or a part of the cache out of service
};
std::string_view name_of(Severity severity);

struct Finding {
    std::string name;  ///< one word with underlines, for scripts
    Severity severity = Severity::info;
    std::string what, remedy;  ///< one sentence each
};

}  // namespace larder::shm
