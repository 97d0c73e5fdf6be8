// The whole command line of `larder`: what the program parses, and what its man pages and completions are made from.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "tools/verbs.hpp"

namespace larder::tools {

/// What every verb ends with.
struct ExitCodeText {
    ExitCode code;
    std::string_view meaning;      ///< in a few words, for --help
    std::string_view in_the_page;  ///< a sentence
};
inline constexpr std::array exit_code_table = {
    ExitCodeText{kOk, "ok", "It was done, or the answer is yes."},
    ExitCodeText{kNegative, "not found or a negative answer", "What was asked for is not there, or the answer is no."},
    ExitCodeText{kUsage, "usage",
                 "The command line, a variable or the configuration is wrong; the message says what to write."},
    ExitCodeText{kFailure, "failure", "It could not be done; the message says why."},
};

/// How durations and sizes are written.
inline constexpr std::string_view units_text =
    "Durations: 300, 300s, 500ms, 5m, 1h, 7d. Sizes: 4096, 64KiB, 256MiB, 1GiB.";

/// The options of the program itself, which are taken behind the verb, too. Empty: not given.
struct ProgramOptions {
    std::string log_level, log_format;
};

/// Adds the program's options and all verbs. `options` and `action` outlive `program`.
void define_program(CLI::App& program, ProgramOptions& options, Action& action);

}  // namespace larder::tools
