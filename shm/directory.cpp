#include "shm/directory.hpp"

namespace larder::shm {

std::uint32_t Directory::find(std::uint64_t hash, std::uint64_t units) const {
    std::uint32_t index = home(hash);
    for (std::uint32_t step = 0; step < kMaxProbe; ++step, index = next(index)) {
        const std::uint64_t word = slots_[index].load(std::memory_order_relaxed);
        if (word == 0) return kNone;
        if (slot_units(word) == units) return index;
    }
    return kNone;
}

std::uint32_t Directory::find_free(std::uint64_t hash) const {
    std::uint32_t index = home(hash);
    for (std::uint32_t step = 0; step < kMaxProbe; ++step, index = next(index))
        if (slots_[index].load(std::memory_order_relaxed) == 0) return index;
    return kNone;
}

void Directory::clear() {
    for (std::uint32_t i = 0; i <= mask_; ++i) {
        slots_[i].store(0, std::memory_order_relaxed);
        LARDER_CRASH_POINT("directory.clear.slot");
    }
    // A writer that died in a shift left it odd.
    const std::uint64_t moves = moves_->load(std::memory_order_relaxed);
    moves_->store((moves | 1) + 1, std::memory_order_release);
    LARDER_CRASH_POINT("directory.clear.moves");
}

}  // namespace larder::shm
