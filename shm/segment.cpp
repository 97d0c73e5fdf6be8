#include "shm/segment.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include "shm/counters.hpp"
#include "shm/hash.hpp"
#include "shm/process.hpp"
#include "shm/robust_mutex.hpp"
#include "shm/signature.hpp"
#include "shm/testing.hpp"

namespace larder::shm {
namespace {

constexpr std::uint64_t kClosed = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kIdentityBytes = sizeof(SegmentHeader::identity) - 1;

std::string error_text(int error) { return std::strerror(-error); }

std::string hex(std::uint64_t number) {
    char text[20];
    std::snprintf(text, sizeof text, "0x%016llx", static_cast<unsigned long long>(number));
    return text;
}

std::string mebibytes(std::uint64_t bytes) { return std::to_string((bytes + (1U << 20) - 1) >> 20) + " MiB"; }

/// Text of a file's header, whatever it holds, as it may be shown.
std::string printable(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    return text;
}

using BootId = std::array<char, sizeof(SegmentHeader::boot_id)>;

BootId boot_id() {
    BootId id{};
    const int size = system::read_file("/proc/sys/kernel/random/boot_id", std::span<char>(id.data(), id.size() - 1));
    if (size <= 0) throw OpenError("namespace", "cannot read the boot id: " + error_text(size), "mount /proc");
    std::replace(id.begin(), id.end(), '\n', '\0');
    return id;
}

/// 0: this kernel has no such namespaces.
std::uint64_t namespace_inode(const std::string& kind) {
    struct stat status {};
    const int error = system::file_status("/proc/self/ns/" + kind, status);
    if (error == 0) return status.st_ino;
    if (error == -ENOENT && kind == "time") return 0;
    throw OpenError("namespace", "cannot look at the " + kind + " namespace: " + error_text(error), "mount /proc");
}

std::uint64_t random_number() {
    int error = 0;
    const std::uint64_t bits = system::random_bits(error);
    if (error != 0) throw OpenError("create", "no random number: " + error_text(error), "check the kernel's getrandom");
    return bits != 0 ? bits : 1;
}

Birth new_birth(const Options& options, std::int64_t open_at_ns) {
    Birth birth;
    birth.incarnation = random_number();
    birth.hash_seed = options.random_seed != 0 ? options.random_seed : random_number();
    birth.open_at_ns = open_at_ns;
    birth.identity = options.identity;
    return birth;
}

void format_header(SegmentHeader& header, const Geometry& geometry, const Birth& birth) {
    header.magic = kMagic;
    header.layout_number = kLayoutNumber;
    header.header_bytes = sizeof(SegmentHeader);
    header.signature = layout_signature();
    header.incarnation = birth.incarnation;
    header.hash_seed = birth.hash_seed;
    header.pid_namespace = namespace_inode("pid");
    header.time_namespace = namespace_inode("time");
    header.creator_pid = system::process_id();
    header.last_sync_ns.store(kNeverSynced, std::memory_order_relaxed);
    header.fresh_for_ns.store(std::numeric_limits<std::int64_t>::max(), std::memory_order_relaxed);
    header.suspended_ns.store(system::boottime_ns() - system::monotonic_ns(), std::memory_order_relaxed);
    header.open_at_ns.store(birth.open_at_ns, std::memory_order_relaxed);
    header.geometry = geometry;
    const BootId boot = boot_id();
    std::memcpy(header.boot_id, boot.data(), boot.size());
    header.created_ns = system::monotonic_ns();
    write_counter_labels(header);
}

void format_locks(const SegmentView& view) {
    for (std::uint32_t shard = 0; shard < view.geometry->shards; ++shard) {
        robust_mutex::initialise(view.shard(shard).mutex);
        view.shard(shard).arena.store(shard, std::memory_order_relaxed);
    }
    for (std::uint32_t group = 0; group < kLeaseLocks; ++group) robust_mutex::initialise(view.leases(group).mutex);
}

void format_arena_states(const SegmentView& view) {
    for (std::uint32_t arena = 0; arena < view.geometry->arenas; ++arena) {
        const bool owned = arena < view.geometry->shards;
        const ArenaKind kind = owned ? ArenaKind::owned : ArenaKind::spare;
        view.arena_state(arena).word.store(arena_state(kind, owned ? arena : 0, 0), std::memory_order_relaxed);
    }
}

[[noreturn]] void refuse_pids() {
    throw OpenError("namespace", "this process and the cache's maker do not see each other's process ids",
                    "share the PID namespace (containers: --pid=host or --pid=container:NAME), or give each its cache");
}

/// The /proc here must show the process ids that this process sees.
void check_proc() {
    const process::Self self = process::self();
    if (self.pid == 0) throw OpenError("namespace", "cannot read /proc/self/stat", "mount /proc");
    if (self.pid != system::process_id()) refuse_pids();
}

[[noreturn]] void refuse_header(const std::string& path, const std::string& what) {
    throw OpenError("header", path + " " + what, "if no process uses it, remove it with `larder rm` or `rm`");
}

/// Type, owner and mode, before a byte of it is believed.
void check_file(const std::string& path, const struct stat& status) {
    if (!S_ISREG(status.st_mode)) throw OpenError("attach", path + " is not a regular file", "remove it");
    if (status.st_uid != system::user_id()) {
        throw OpenError("attach",
                        path + " belongs to uid " + std::to_string(status.st_uid) + ", this process is uid " +
                            std::to_string(system::user_id()),
                        "run as its owner, or use another directory (LARDER_DIR)");
    }
    if ((status.st_mode & 07777) != 0600) {
        throw OpenError("attach", path + " may be used by others, its mode is not 0600",
                        "find out who changed it, then run `chmod 600 " + path + "`");
    }
    if (static_cast<std::uint64_t>(status.st_size) < sizeof(SegmentHeader))
        refuse_header(path, "is too short for a segment: " + std::to_string(status.st_size) + " bytes");
}

void check_format(const std::string& path, const SegmentHeader& header) {
    if (header.magic != kMagic) refuse_header(path, "is no segment of larder");
    if (header.layout_number != kLayoutNumber || header.header_bytes != sizeof(SegmentHeader)) {
        throw OpenError("header",
                        path + " has layout " + std::to_string(header.layout_number) + ", this program has layout " +
                            std::to_string(kLayoutNumber),
                        "end all programs that use it and remove it with `larder rm`, or use one release for all");
    }
    if (header.signature != layout_signature()) {
        throw OpenError(
            "signature",
            path + " was made by a build with signature " + hex(header.signature) + ", this one has " +
                hex(layout_signature()),
            "build all programs with the same compiler, Boost and C library, or remove it with `larder rm`");
    }
}

bool is_of_this_boot(const SegmentHeader& header) {
    const BootId boot = boot_id();
    return std::memcmp(header.boot_id, boot.data(), boot.size()) == 0;
}

}  // namespace

/// Builds Segments, step by step.
struct SegmentAttacher {
    static Segment map(int descriptor, std::uint64_t bytes, bool writable, const char* stage) {
        Segment segment;
        const system::Mapped mapped = system::map_shared(descriptor, bytes, writable);
        if (mapped.base == nullptr) {
            throw OpenError(stage, "cannot map " + mebibytes(bytes) + ": " + error_text(mapped.error),
                            "check the limits of address space (`ulimit -v`) and mappings");
        }
        segment.geometry_ = std::make_unique<Geometry>();
        segment.view_ = {mapped.base, bytes, segment.geometry_.get()};
        system::advise(mapped.base, bytes, MADV_DONTDUMP);  // values are secrets, and gigabytes
        return segment;
    }

    /// Null: there is no such file.
    static std::unique_ptr<Segment> attach(const std::string& path, bool writable) {
        const system::Descriptor file = system::open_file(path, writable ? O_RDWR : O_RDONLY);
        if (file.number() == -ENOENT) return nullptr;
        if (file.number() == -ELOOP) throw OpenError("attach", path + " is a symbolic link", "remove it");
        if (file.number() == -EISDIR) throw OpenError("attach", path + " is not a regular file", "remove it");
        if (!file.is_open())
            throw OpenError("attach", "cannot open " + path + ": " + error_text(file.number()),
                            "check its mode, and the limit of open files (`ulimit -n`)");
        struct stat status {};
        if (const int error = system::file_status(file.number(), status))
            throw OpenError("attach", "cannot look at " + path + ": " + error_text(error), "try again");
        check_file(path, status);
        auto segment = std::make_unique<Segment>(
            map(file.number(), static_cast<std::uint64_t>(status.st_size), writable, "attach"));
        segment->file_ = system::file_id(status);
        check(path, *segment, writable);
        return segment;
    }

    static void check(const std::string& path, Segment& segment, bool writable) {
        const SegmentHeader& header = segment.view_.header();
        check_format(path, header);
        const bool current = is_of_this_boot(header);
        if (!current && !writable) refuse_header(path, "is left from before the last boot");
        *segment.geometry_ = header.geometry;  // checked and used is this copy alone
        if (!is_valid_geometry(*segment.geometry_, segment.view_.bytes))
            refuse_header(path,
                          "is damaged: its geometry does not fit " + std::to_string(segment.view_.bytes) + " bytes");
        segment.abandoned_ = !current || is_closed_for_good(segment.view_);
        if (writable && !segment.abandoned_) check_namespaces(header);
    }

    static void make(Segment& segment, const Geometry& geometry, const Options& options, FormatArenas format_arenas,
                     std::int64_t open_at_ns) {
        *segment.geometry_ = geometry;
        format_segment(segment.view_.base, *segment.geometry_, new_birth(options, open_at_ns), format_arenas);
    }

    static void check_size(std::uint64_t bytes) {
        if (bytes <= system::file_size_limit()) return;
        throw OpenError("create",
                        "the cache needs " + mebibytes(bytes) + ", this process may make files of " +
                            mebibytes(system::file_size_limit()),
                        "choose a smaller size, or raise `ulimit -f`");
    }

    static void allocate(int descriptor, const Location& location, std::uint64_t bytes) {
        const int error = system::allocate(descriptor, bytes);
        if (error == 0) return;
        if (error != -ENOSPC)
            throw OpenError("create", "cannot allocate " + mebibytes(bytes) + ": " + error_text(error),
                            "see ulimit -f");
        struct stat status {};  // what was had of it goes back with the file
        const std::uint64_t had =
            system::file_status(descriptor, status) == 0 ? static_cast<std::uint64_t>(status.st_blocks) * 512 : 0;
        throw OpenError("create",
                        "the cache needs " + mebibytes(bytes) + ", " + location.directory + " has " +
                            mebibytes(system::free_bytes(descriptor) + had) + " free",
                        "choose a smaller size, another directory (LARDER_DIR), or enlarge the file system "
                        "(of a container: --shm-size)");
    }
};

SegmentView format_segment(std::byte* memory, const Geometry& geometry, const Birth& birth,
                           FormatArenas format_arenas) {
    const SegmentView view{memory, geometry.segment_bytes, &geometry};
    format_header(view.header(), geometry, birth);
    if (!birth.identity.empty()) claim_identity(view, birth.identity);
    format_locks(view);
    format_arena_states(view);
    if (format_arenas != nullptr) format_arenas(view);
    return view;
}

Segment::Segment(Segment&& other) noexcept
    : geometry_(std::move(other.geometry_)),
      view_(std::exchange(other.view_, SegmentView{})),
      file_(other.file_),
      abandoned_(other.abandoned_) {}

Segment::~Segment() { system::unmap(view_.base, view_.bytes); }

Segment Segment::create_in_memory(const Options& options, FormatArenas format_arenas) {
    const Geometry geometry = plan_geometry(options);
    Segment segment = SegmentAttacher::map(-1, geometry.segment_bytes, true, "create");
    SegmentAttacher::make(segment, geometry, options, format_arenas, 0);
    return segment;
}

std::unique_ptr<Segment> Segment::create(const Location& location, const Options& options, FormatArenas format_arenas,
                                         const std::function<std::int64_t()>& open_at_ns) {
    const Geometry geometry = plan_geometry(options);
    const system::Descriptor file = system::open_temporary(location.directory);
    if (!file.is_open()) {
        throw OpenError("create", "cannot make a file in " + location.directory + ": " + error_text(file.number()),
                        "use a local file system with O_TMPFILE (tmpfs, ext4, xfs, btrfs) that is writable");
    }
    struct stat status {};
    int error = system::change_mode(file.number(), 0600);
    if (error == 0) error = system::file_status(file.number(), status);
    if (error != 0) throw OpenError("create", "cannot prepare the file: " + error_text(error), "try again");
    SegmentAttacher::check_size(geometry.segment_bytes);
    auto segment =
        std::make_unique<Segment>(SegmentAttacher::map(file.number(), geometry.segment_bytes, true, "create"));
    if (options.huge_pages) system::allocate_huge_pages(file.number(), segment->view().base, geometry.segment_bytes);
    SegmentAttacher::allocate(file.number(), location, geometry.segment_bytes);
    LARDER_CRASH_POINT("segment.allocated");
    segment->file_ = system::file_id(status);
    SegmentAttacher::make(*segment, geometry, options, format_arenas, 0);
    check_proc();
    LARDER_CRASH_POINT("segment.formatted");
    if (open_at_ns) segment->view().header().open_at_ns.store(open_at_ns(), std::memory_order_relaxed);
    const std::int64_t answered_ns = system::monotonic_ns();
    error = system::link_temporary(file.number(), location.segment_path());
    if (error == -EEXIST) return nullptr;
    if (error != 0) {
        throw OpenError("create", "cannot name " + location.segment_path() + ": " + error_text(error),
                        "check that /proc is mounted and the directory is writable");
    }
    LARDER_CRASH_POINT("segment.linked");
    // Whoever replaced another one meanwhile is not in the answer: this one is of no use.
    if (open_at_ns && system::monotonic_ns() - answered_ns > kEverybodyLooksNs) {
        close_for_good(segment->view());
        return nullptr;
    }
    // Mapped by its name, where that is possible: then /proc shows to others that this process has it once it is
    // removed (process::maps_deleted).
    try {
        if (std::unique_ptr<Segment> named = attach(location); named != nullptr && named->file_ == segment->file_)
            return named;
    } catch (const OpenError&) {
        return segment;
    }
    return segment;
}

std::unique_ptr<Segment> Segment::attach(const Location& location) {
    return SegmentAttacher::attach(location.segment_path(), true);
}

Segment Segment::attach_read_only(const std::string& path) {
    const std::unique_ptr<Segment> segment = SegmentAttacher::attach(path, false);
    if (segment == nullptr) throw OpenError("attach", "no cache at " + path, "see `larder ls`");
    return std::move(*segment);
}

void check_namespaces(const SegmentHeader& header) {
    check_proc();
    if (namespace_inode("pid") != header.pid_namespace) refuse_pids();
    if (namespace_inode("time") != header.time_namespace) {
        throw OpenError("namespace", "this process is in another time namespace than the cache's maker",
                        "run all of them in one time namespace, or give each its cache");
    }
}

void close_for_good(const SegmentView& view) {
    SegmentHeader& header = view.header();
    header.everything.store(kClosed, std::memory_order_release);
    LARDER_CRASH_POINT("segment.everything");
    header.applied.fetch_add(1, std::memory_order_release);  // pairs with the acquire load that each hit begins with
}

bool is_closed_for_good(const SegmentView& view) {
    return view.header().everything.load(std::memory_order_acquire) == kClosed;
}

std::string stored_identity(const std::string& identity) {
    if (identity.size() <= kIdentityBytes) return identity;
    const std::string suffix = "#" + hex(hash_of(identity, 0));
    return identity.substr(0, kIdentityBytes - suffix.size()) + suffix;
}

void claim_identity(const SegmentView& view, const std::string& identity) {
    if (identity.empty()) return;
    SegmentHeader& header = view.header();
    const std::string text = stored_identity(identity);
    if (header.identity_claimed.load(std::memory_order_acquire) != 2) {
        header.identity_claimed.store(1, std::memory_order_relaxed);
        LARDER_CRASH_POINT("identity.claimed");
        std::memset(header.identity, 0, sizeof header.identity);
        std::memcpy(header.identity, text.data(), text.size());
        LARDER_CRASH_POINT("identity.written");
        header.identity_claimed.store(2, std::memory_order_release);  // pairs with the acquire loads of readers
    }
    const std::string present(header.identity, strnlen(header.identity, kIdentityBytes));
    if (present == text) return;
    throw OpenError("identity", "the cache serves \"" + printable(present) + "\", not \"" + printable(text) + "\"",
                    "give each its own cache (-c NAME), or remove this one with `larder rm`");
}

}  // namespace larder::shm
