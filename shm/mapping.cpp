#include "shm/mapping.hpp"

#include <errno.h>

#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "shm/replacement.hpp"
#include "shm/testing.hpp"

namespace larder::shm {
namespace {

constexpr std::int64_t kRegisterAgainNs = 100'000'000;
constexpr int kMostTries = 16;  // each one lost to another process that made or removed something meanwhile
constexpr std::uint32_t kBlockTries = 256;

/// All mappings of this process. Only grows; written under process::Lock.
std::atomic<Mapping*> first_mapping{nullptr};

[[noreturn]] void refuse_absent(const Location& location) {
    throw OpenError("attach", "no cache " + location.name + " in " + location.directory,
                    "start what makes it (`larder serve`, `larder put`), or see `larder ls`");
}

/// Gives this thread's blocks back at its exit. Their cells stay until the handles on them drop.
struct ThreadClaims {
    struct Claim {
        const Mapping* mapping;
        std::uint64_t generation;
        ThreadBlock* block;
    };
    std::vector<Claim> claims;

    ~ThreadClaims();
    ThreadBlock* find(const Mapping* mapping, std::uint64_t generation);
};

constinit thread_local bool thread_ended = false;
constinit thread_local std::uint32_t skips = 0;  // looks for a free block that are left out while there was none
thread_local ThreadClaims thread_claims;

ThreadClaims::~ThreadClaims() {
    thread_ended = true;
    detail::thread_cache = {};
    for (const Claim& claim : claims)
        if (claim.generation == process::generation()) claim.block->owner.store(0, std::memory_order_release);
}

ThreadBlock* ThreadClaims::find(const Mapping* mapping, std::uint64_t generation) {
    for (const Claim& claim : claims)
        if (claim.mapping == mapping && claim.generation == generation) return claim.block;
    return nullptr;
}

/// Null: all are taken.
ThreadBlock* take_free_block(const SegmentView& view, std::uint32_t slot) {
    ThreadBlock* blocks = view.threads(slot);
    Word32& high = view.process(slot).blocks_high;
    for (std::uint32_t block = 0; block < kThreadBlocks; ++block) {
        std::uint32_t nobody = 0;
        if (!blocks[block].owner.compare_exchange_strong(nobody, system::thread_id(), std::memory_order_acq_rel))
            continue;
        LARDER_CRASH_POINT("mapping.block");
        std::uint32_t now =
            high.load(std::memory_order_relaxed);  // raised before the first pin; pairs with a scan's fence
        while (now <= block && !high.compare_exchange_weak(now, block + 1, std::memory_order_seq_cst)) {}
        return &blocks[block];
    }
    return nullptr;
}

}  // namespace

Mapping::Mapping(Location location, Segment segment, LockFile* lock_file, std::string role)
    : location_(std::move(location)),
      path_(location_.segment_path()),
      segment_(std::move(segment)),
      lock_file_(lock_file),
      role_(std::move(role)),
      user_id_(system::user_id()),
      registry_(segment_.view(), lock_file) {}

Mapping* Mapping::open(const Options& options, FormatArenas format_arenas, std::chrono::milliseconds patience) try {
    const process::Lock lock(patience);
    if (!lock.is_held()) throw OpenError("attach", "another thread of this process is opening a cache", "try again");
    if (options.in_memory) return open_memory(options, format_arenas);
    const Location location = locate(options.directory, options.name, options.create);
    for (int tries = 0; tries < kMostTries; ++tries)
        if (Mapping* mapping = open_file(location, options, format_arenas, patience)) return mapping;
    throw OpenError("attach", location.segment_path() + " is being replaced again and again",
                    "find out which process removes it");
} catch (const std::bad_alloc&) {
    throw OpenError("attach", "out of memory", "free some");
}

Mapping* Mapping::open_memory(const Options& options, FormatArenas format_arenas) {
    std::unique_ptr<Mapping> made(
        new Mapping({}, Segment::create_in_memory(options, format_arenas), nullptr, options.role));
    made->register_process();
    return append(made.release());
}

/// Null: another process changed what the name leads to; look again.
Mapping* Mapping::open_file(const Location& location, const Options& options, FormatArenas format_arenas,
                            std::chrono::milliseconds patience) {
    struct stat status {};
    const int error = system::file_status(location.segment_path(), status, false);
    if (error == -ENOENT && !options.create) refuse_absent(location);
    LockFile* lock_file = LockFile::open(location.lock_path());
    if (Mapping* known = error == 0 ? find(system::file_id(status)) : nullptr) {
        if (is_closed_for_good(known->view())) {
            if (!options.create) refuse_absent(location);
            retire_segment(location, *lock_file, known->segment_, patience);
            return nullptr;
        }
        if (known->registered_generation_.load(std::memory_order_acquire) != process::generation())
            known->register_child();
        known->serve(options.identity, patience);
        known->replaced_.store(false, std::memory_order_release);  // its name may have led elsewhere for a while
        return known;
    }
    std::unique_ptr<Segment> segment = attach_or_create(location, options, format_arenas, *lock_file, patience);
    if (segment == nullptr || !lock_file->is_current()) return nullptr;
    std::unique_ptr<Mapping> made(new Mapping(location, std::move(*segment), lock_file, options.role));
    made->serve(options.identity, patience);
    made->register_process();
    // Its byte proves nothing in a lock file that was removed meanwhile.
    return lock_file->is_current() ? append(made.release()) : nullptr;
}

/// Null as above.
std::unique_ptr<Segment> Mapping::attach_or_create(const Location& location, const Options& options,
                                                   FormatArenas format_arenas, LockFile& lock_file,
                                                   std::chrono::milliseconds patience) {
    std::unique_ptr<Segment> segment = Segment::attach(location);
    if (segment != nullptr && !segment->is_abandoned()) return segment;
    if (!options.create) refuse_absent(location);
    if (segment != nullptr) {
        retire_segment(location, lock_file, *segment, patience);
        return nullptr;
    }
    close_unnamed(location);
    // Whoever has a replaced segment mapped may announce changes to it until it looks at the name again. The bytes come
    // last, for reading /proc can take long: who comes meanwhile has a byte before it uses what it has mapped.
    const auto open_at_ns = [&]() -> std::int64_t {
        const bool is_mapped = process::maps_deleted(location.segment_path(), lock_file.is_new());
        LARDER_CRASH_POINT("mapping.proc_read");
        const std::int64_t asked_ns = system::monotonic_ns();
        const bool is_held = lock_file.any_slot_held_by_other() || lock_file.held_slot() < kProcesses;
        const std::int64_t now_ns = system::monotonic_ns();
        return is_mapped || is_held || now_ns - asked_ns > kLookNs ? now_ns + kClosedNs : 0;  // an old answer is none
    };
    return Segment::create(location, options, format_arenas, open_at_ns);
}

/// Segments of this name that somebody unlinked, as far as this process has them: nothing in them is served any more.
void Mapping::close_unnamed(const Location& location) {
    const std::string path = location.segment_path();
    for (Mapping* one = first_mapping.load(std::memory_order_acquire); one != nullptr; one = one->next_)
        if (!one->is_in_memory() && one->path_ == path) close_for_good(one->view());
}

Mapping* Mapping::find(system::FileId file) {
    for (Mapping* one = first_mapping.load(std::memory_order_acquire); one != nullptr; one = one->next_)
        if (!one->is_in_memory() && one->segment_.file() == file) return one;
    return nullptr;
}

Mapping* Mapping::append(Mapping* mapping) {
    for (Mapping* one = first_mapping.load(std::memory_order_acquire); one != nullptr; one = one->next_)
        if (!mapping->is_in_memory() && one->path_ == mapping->path_)
            one->replaced_.store(true, std::memory_order_release);
    mapping->next_ = first_mapping.load(std::memory_order_relaxed);
    first_mapping.store(mapping, std::memory_order_release);  // the last step: a fork sees all of it or nothing
    return mapping;
}

/// Says or checks what the segment serves.
void Mapping::serve(const std::string& identity, std::chrono::milliseconds patience) {
    if (identity.empty()) return;
    if (view().header().identity_claimed.load(std::memory_order_acquire) == 2) return claim_identity(view(), identity);
    if (!lock_file_->take_administration(patience)) {
        throw OpenError("identity", "another process is naming the cache's database",
                        "if it hangs, end it (`larder stat`), then try again");
    }
    try {
        claim_identity(view(), identity);
    } catch (...) {
        lock_file_->drop_administration();
        throw;
    }
    lock_file_->drop_administration();
}

/// Throws OpenError. REQUIRES: process::Lock held, or nobody else knows this mapping.
void Mapping::register_process() {
    if (system::user_id() != user_id_) {
        throw OpenError("attach", "the cache was opened by uid " + std::to_string(user_id_),
                        "open it after changing the user");
    }
    const std::uint64_t generation = process::generation();
    const std::optional<Registration> registration = registry_.claim(role_);
    if (!registration) {
        throw OpenError("registry", std::to_string(kProcesses) + " processes are attached to the cache already",
                        "end some (`larder stat` lists them), or give them another cache");
    }
    participant_.store(registration->slot, std::memory_order_relaxed);
    participant_incarnation_.store(registration->incarnation, std::memory_order_relaxed);
    registered_generation_.store(generation, std::memory_order_release);
}

/// The same in a mapping that a fork has brought: the parent looked at its own namespaces.
void Mapping::register_child() {
    if (!is_in_memory()) check_namespaces(view().header());
    register_process();
}

bool Mapping::register_again(std::chrono::milliseconds wait) {
    if (is_in_memory()) return false;  // only its maker's
    if (system::coarse_ns() < register_at_ns_.load(std::memory_order_relaxed)) return false;
    const process::Lock lock(wait);
    if (!lock.is_held()) return false;
    if (registered_generation_.load(std::memory_order_acquire) == process::generation()) return true;
    try {
        register_child();
        look_again();  // the last look was the parent's
        return true;
    } catch (const std::exception&) {
        register_at_ns_.store(system::coarse_ns() + kRegisterAgainNs, std::memory_order_relaxed);
        return false;
    }
}

ThreadBlock* Mapping::claim_thread_block() {
    const std::uint64_t generation = process::generation();
    detail::ThreadCache& cache = detail::thread_cache;
    if (cache.mapping == this && cache.generation == generation && skips > 0) {
        --skips;
        return nullptr;
    }
    if (thread_ended || !ready()) return nullptr;
    ThreadBlock* block = thread_claims.find(this, generation);
    if (block == nullptr) {
        try {
            thread_claims.claims.reserve(thread_claims.claims.size() + 1);
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
        block = take_free_block(view(), participant());
        if (block != nullptr) thread_claims.claims.push_back({this, generation, block});
    }
    skips = block == nullptr ? kBlockTries : 0;
    cache = {this, generation, block};
    return block;
}

bool Mapping::look_at_name(std::int64_t now_ns) {
    if (is_in_memory()) {
        looked_ns_.store(now_ns, std::memory_order_release);
        return false;
    }
    if (replaced_.load(std::memory_order_acquire)) return true;
    struct stat status {};
    const int error = system::file_status(path_, status, false);
    const bool leads_elsewhere = error == 0 && system::file_id(status) != segment_.file();
    const bool replaced = leads_elsewhere || error == -ENOENT || error == -ENOTDIR || is_closed_for_good(view());
    if (replaced) replaced_.store(true, std::memory_order_release);
    looked_ns_.store(now_ns, std::memory_order_release);
    return replaced;
}

std::uint32_t Mapping::reap_some(std::uint32_t most) {
    if (is_in_memory() || !ready()) return 0;
    const process::Lock lock(std::chrono::milliseconds(0));
    if (!lock.is_held()) return 0;
    lock_file_->restore();
    // The bytes are the name's, the words a segment's: a slot of a replaced segment may be another's by now.
    if (look_at_name(system::coarse_ns())) return 0;
    return registry_.reap_some(reap_cursor_, most);
}

}  // namespace larder::shm
