// Whether a kind of terminal is known: a source of its own, since <term.h> takes many a common word for a macro.
#pragma once

namespace larder::tools {

/// As TERM names it; null: no. Asked before newterm, which leaves memory behind where it is not known.
bool is_known_terminal(const char* name);

}  // namespace larder::tools
