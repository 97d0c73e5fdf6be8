// What figures are worth nothing without.
#pragma once

#include <string>

namespace larder::bench {

/// Processor, processors, memory, kernel, compiler and load: two lines, no names.
std::string machine_text();

}  // namespace larder::bench
