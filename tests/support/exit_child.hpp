// How a forked child ends: without its parent's destructors and exit handlers.
#pragma once

#include <unistd.h>

#ifdef LARDER_COVERAGE  // tests/coverage/run
extern "C" void __gcov_dump();
#endif

namespace larder::test {

[[noreturn]] inline void exit_child(int code) {
#ifdef LARDER_COVERAGE
    __gcov_dump();  // an exit handler would
#endif
    ::_exit(code);
}

}  // namespace larder::test
