// The promises of speed that one machine can check by itself in under three minutes.
#pragma once

namespace larder::bench {

/// Measures and prints a table: promise, goal, measured, holds. Returns the exit code: 0 measured, whatever holds; 3
/// when a benchmark found a wrong value or could not run.
int print_promises();

}  // namespace larder::bench
