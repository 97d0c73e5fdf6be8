// Standard input, output and error: there from the start, whatever the parent left closed, and safe to complain on.
#pragma once

#include <string_view>

namespace larder::tools {

/// Puts /dev/null where a parent left descriptor 0, 1 or 2 closed, so that no file of ours gets one of these numbers.
/// Output that was closed stays a failure: a result written to it is lost. False: /dev/null cannot be opened.
/// REQUIRES: the first thing that a program does.
bool keep_standard_streams();

/// Writes on standard error; what cannot be written is dropped, since there is nowhere left to say so.
void complain(std::string_view text) noexcept;

}  // namespace larder::tools
