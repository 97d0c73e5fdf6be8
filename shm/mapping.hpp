// One segment in this process: mapped once however often it is opened, never unmapped, never destroyed. Found again by
// its file in a list that only grows, so that a fork at any moment leaves it whole.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "shm/cache.hpp"
#include "shm/layout.hpp"
#include "shm/location.hpp"
#include "shm/process.hpp"
#include "shm/registry.hpp"
#include "shm/segment.hpp"

namespace larder::shm {

class Mapping;

namespace detail {
/// The block that this thread used last.
struct ThreadCache {
    const Mapping* mapping = nullptr;
    std::uint64_t generation = 0;
    ThreadBlock* block = nullptr;
};
inline constinit thread_local ThreadCache thread_cache;
}  // namespace detail

class Mapping {
public:
    static constexpr std::chrono::milliseconds kPatience{5'000};

    /// Attaches, makes or replaces the segment and registers this process; cheap when it is open already. Lives for
    /// ever. Each in_memory cache is a new one. Throws OpenError, also when another thread or process has been at the
    /// same for `patience`.
    static Mapping* open(const Options& options, FormatArenas format_arenas,
                         std::chrono::milliseconds patience = kPatience);

    const SegmentView& view() const { return segment_.view(); }
    const Location& location() const { return location_; }
    bool is_in_memory() const { return lock_file_ == nullptr; }

    /// This process is registered. In a forked child it registers first, with all checks of opening; while that fails
    /// (or another thread is at it, and `wait` is over) false, and the caller only misses. Tried again every 100 ms.
    bool ready(std::chrono::milliseconds wait = std::chrono::milliseconds(0)) {
        if (registered_generation_.load(std::memory_order_acquire) == process::generation()) [[likely]]
            return true;
        return register_again(wait);
    }

    /// The block that this thread used last, if it was one of this mapping's: then the process is ready(). Null says
    /// nothing.
    ThreadBlock* known_block() const {
        const detail::ThreadCache& cache = detail::thread_cache;
        return cache.mapping == this && cache.generation == process::generation() ? cache.block : nullptr;
    }
    /// This thread's block, its own until it exits. Null: all of the process are taken, or the process is not ready.
    ThreadBlock* thread_block() {
        ThreadBlock* const known = known_block();
        return known != nullptr ? known : claim_thread_block();
    }

    /// Registry slot and its incarnation, once ready().
    std::uint32_t participant() const { return participant_.load(std::memory_order_relaxed); }
    std::uint64_t participant_incarnation() const { return participant_incarnation_.load(std::memory_order_relaxed); }
    const Registry& registry() const { return registry_; }

    /// The name leads to another file by now, or to none: open anew. Looks when its last look is over kLookNs old.
    /// `now_ns`: system::coarse_ns().
    bool replaced(std::int64_t now_ns) {
        const std::int64_t age_ns = now_ns - looked_ns_.load(std::memory_order_acquire);
        if (age_ns >= 0 && age_ns <= kLookNs) [[likely]]
            return replaced_.load(std::memory_order_acquire);
        return look_at_name(now_ns);
    }

    /// The next replaced() looks, however recent the last look is.
    void look_again() { looked_ns_.store(INT64_MIN / 2, std::memory_order_release); }

    /// Cleans up to `most` slots of dead processes; returns how many. Does nothing while another thread is at it.
    std::uint32_t reap_some(std::uint32_t most);

private:
    Mapping(Location location, Segment segment, LockFile* lock_file, std::string role);
    static Mapping* find(system::FileId file);
    static Mapping* open_memory(const Options& options, FormatArenas format_arenas);
    static Mapping* open_file(const Location& location, const Options& options, FormatArenas format_arenas,
                              std::chrono::milliseconds patience);
    static std::unique_ptr<Segment> attach_or_create(const Location& location, const Options& options,
                                                     FormatArenas format_arenas, LockFile& lock_file,
                                                     std::chrono::milliseconds patience);
    static void close_unnamed(const Location& location);
    static Mapping* append(Mapping* mapping);
    void serve(const std::string& identity, std::chrono::milliseconds patience);
    void register_process();
    void register_child();
    bool register_again(std::chrono::milliseconds wait);
    ThreadBlock* claim_thread_block();
    bool look_at_name(std::int64_t now_ns);

    const Location location_;
    const std::string path_;  // of the segment; kept, so that looking at it allocates nothing
    const Segment segment_;
    LockFile* const lock_file_;
    const std::string role_;
    const std::uint32_t user_id_;
    Registry registry_;
    Mapping* next_ = nullptr;

    std::atomic<std::uint64_t> registered_generation_{0};
    std::atomic<std::uint32_t> participant_{0};
    std::atomic<std::uint64_t> participant_incarnation_{0};
    std::atomic<std::int64_t> register_at_ns_{0};  // not tried again before
    std::atomic<std::int64_t> looked_ns_{INT64_MIN / 2};
    std::atomic<bool> replaced_{false};
    std::uint32_t reap_cursor_ = 0;  // under process::Lock
};

}  // namespace larder::shm
