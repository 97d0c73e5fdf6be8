// Processor time of programs, as the kernel counts it: what other work on the machine does to it is little.
#pragma once

#include <sys/types.h>

namespace larder::bench::sim {

/// Of all threads that the process has now, and of its children's. 0: there is no such process.
double processor_us(pid_t process);
/// Of this process, and of the calling thread.
double own_processor_us();
double thread_processor_us();

}  // namespace larder::bench::sim
