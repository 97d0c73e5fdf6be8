#include "tools/processors.hpp"

#include <sched.h>

namespace larder::tools {

void stay_on_own_processor(std::size_t slot, std::size_t workers) {
    cpu_set_t usable;
    CPU_ZERO(&usable);
    if (::sched_getaffinity(0, sizeof usable, &usable) != 0) return;  // over 1,024 processors: more than workers
    if (static_cast<std::size_t>(CPU_COUNT(&usable)) != workers || slot >= workers) return;
    std::size_t processor = 0;
    for (std::size_t before = 0;; ++processor)
        if (CPU_ISSET(processor, &usable) && before++ == slot) break;
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(processor, &own);
    static_cast<void>(::sched_setaffinity(0, sizeof own, &own));
}

}  // namespace larder::tools
