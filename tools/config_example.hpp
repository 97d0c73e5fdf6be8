// A configuration file with every option in it, made from the table.
#pragma once

#include <string>

namespace larder::tools {

/// Each key behind a `#`, with its meaning above it and its default as its value; where the default is no single text,
/// a comment says what it is, and the value what one looks like. Without the `#` of any keys it is a good file, too, as
/// far as it names no file that is not there.
std::string config_example();

}  // namespace larder::tools
