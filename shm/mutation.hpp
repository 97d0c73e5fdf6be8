// The span in which a shard's structures disagree.
#pragma once

#include "shm/layout.hpp"

namespace larder::shm {

/// Sets `mutating` for as long as it lives. The process may be killed at any instruction, which stops the compiler's
/// order, not the machine's: the next owner gets the lock from the kernel, after every store that was executed. Hence
/// signal fences.
class Mutation {
public:
    explicit Mutation(Shard& shard) : mutating_(shard.mutating) {
        mutating_.store(1, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    ~Mutation() {
        std::atomic_signal_fence(std::memory_order_seq_cst);
        mutating_.store(0, std::memory_order_release);
    }
    Mutation(const Mutation&) = delete;
    Mutation& operator=(const Mutation&) = delete;

private:
    Word32& mutating_;
};

}  // namespace larder::shm
