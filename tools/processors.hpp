// Which processor a worker runs on.
#pragma once

#include <cstddef>

namespace larder::tools {

/// Keeps the calling thread on the slot-th of the processors that it may use, if there are exactly as many of them as
/// workers; else does nothing. Two workers that are never idle would otherwise come to share a processor, in turns of a
/// few milliseconds each, while those who wait for them sleep on another one. Nothing, too, for a slot above
/// the number of workers: one that will be taken away.
void stay_on_own_processor(std::size_t slot, std::size_t workers);

}  // namespace larder::tools
