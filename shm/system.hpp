// Every system call of shm/, behind one seam: nothing else in this directory calls the kernel for files, memory, locks
// or clocks (the C library reads the names in a directory and /proc). Functions return 0 or a value on success and
// -errno on failure; none throws, none prints.
//
// With LARDER_TESTING a test can make the n-th call of a kind fail.
#pragma once

#include <sys/stat.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "shm/layout.hpp"

namespace larder::shm::system {

enum class Call : std::uint8_t {
    open,
    temporary_file,
    link,
    allocate,
    map,
    advise,
    lock,
    query_lock,
    status,
    futex_wait,
    futex_wake,
    read_file,
    remove,
    make_directory,
    change_mode,
    random,
};
inline constexpr std::size_t kCalls = 16;

#ifdef LARDER_TESTING
/// From now on the n-th call (1: the next one) of this kind fails with `error`; every later one too if `sticky`.
/// Process-wide, inherited by forked children.
void fail_nth(Call call, std::uint64_t n, int error, bool sticky = false);
/// Ends all injected failures.
void fail_nothing();
/// How many calls of a kind this process made since fail_nothing.
std::uint64_t calls_made(Call call);
#endif

/// A file descriptor, closed by its destructor. Never use it for a lock file: those stay open for ever.
class Descriptor {
public:
    explicit Descriptor(int number = -1) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept;
    ~Descriptor();
    /// Below 0: -errno of what failed to open it.
    int number() const { return number_; }
    bool is_open() const { return number_ >= 0; }
    /// Gives it up unclosed.
    int release();

private:
    int number_;
};

/// What identifies a file while anybody has it open or mapped.
struct FileId {
    std::uint64_t device = 0, inode = 0;
    bool operator==(const FileId&) const = default;
};
inline FileId file_id(const struct stat& status) { return {status.st_dev, status.st_ino}; }

/// open(2) with O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK added.
Descriptor open_file(const std::string& path, int flags, mode_t mode = 0);
/// A file without a name in `directory`, mode 0600.
Descriptor open_temporary(const std::string& directory);
/// Gives such a file its name; -EEXIST when the name is taken.
int link_temporary(int descriptor, const std::string& path);
/// Allocates and sizes the file in steps, whatever signals arrive. -ENOSPC: it does not fit.
int allocate(int descriptor, std::uint64_t bytes);
/// The largest file that this process may make (ulimit -f); past it the kernel would end it by SIGXFSZ.
std::uint64_t file_size_limit();
/// Free bytes of a descriptor's file system, 0 when unknown.
std::uint64_t free_bytes(int descriptor);
/// The file system of an existing path is tmpfs.
bool is_tmpfs(const std::string& path);
int file_status(const std::string& path, struct stat& status, bool follow_links = true);
int file_status(int descriptor, struct stat& status);
int change_mode(const std::string& path, mode_t mode);
int change_mode(int descriptor, mode_t mode);
int make_directory(const std::string& path, mode_t mode);
int remove_file(const std::string& path);
/// The beginning of a small file; returns the number of bytes read.
int read_file(const char* path, std::span<char> into);

struct Mapped {
    std::byte* base = nullptr;
    int error = 0;  // -errno
};
inline constexpr std::uint64_t kHugePageBytes = 2 << 20;
/// MAP_SHARED; descriptor -1: anonymous memory. At a multiple of kHugePageBytes.
Mapped map_shared(int descriptor, std::uint64_t bytes, bool writable);
/// Allocates what it can of a new file in huge pages, whatever the kernel's settings say (MADV_COLLAPSE, Linux 6.1),
/// and in less time than small ones take; in whatever process they are mapped, a hit waits less for page tables.
/// Bounded in time. The rest is for `allocate`.
void allocate_huge_pages(int descriptor, std::byte* base, std::uint64_t bytes);
/// MAP_PRIVATE | MAP_ANONYMOUS, read and write.
Mapped map_private(std::uint64_t bytes);
void unmap(std::byte* base, std::uint64_t bytes);
int advise(void* base, std::uint64_t bytes, int advice);

/// F_SETLK of one byte for this process; -EAGAIN when another process has it. Never waits.
int lock_byte(int descriptor, std::uint32_t byte);
int unlock_byte(int descriptor, std::uint32_t byte);
/// 1: another process has one of these bytes locked; 0: none has (this process's own locks do not count); else -errno.
int locked_by_other(int descriptor, std::uint32_t first, std::uint32_t count);

/// Sleeps while `word` is `expected`. 0: woken, -EAGAIN: it was another value, -ETIMEDOUT, -EINTR. May wake for no
/// reason.
int futex_wait_until(Word32& word, std::uint32_t expected, std::int64_t monotonic_deadline_ns);
int futex_wait_for(Word32& word, std::uint32_t expected, std::int64_t timeout_ns);
/// Returns how many were woken.
int futex_wake(Word32& word, int most = 0x7FFFFFFF);

/// 64 random bits, or -errno of the kernel's generator in `error`.
std::uint64_t random_bits(int& error);

std::uint32_t process_id();
std::uint32_t thread_id();
std::uint32_t user_id();
/// The same in all copies of this library in a process and in its forked children, another one after exec.
std::uint64_t program_id();
/// The program's name, at most 15 bytes.
std::string program_name();
void sleep_ns(std::int64_t duration_ns);

inline std::int64_t clock_ns(clockid_t clock) {
    timespec now;
    ::clock_gettime(clock, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}
/// Steps of 1 to 4 ms, under 10 ns to read.
inline std::int64_t coarse_ns() { return clock_ns(CLOCK_MONOTONIC_COARSE); }
inline std::int64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }
/// Goes on while the machine is suspended; the monotonic clocks do not.
inline std::int64_t boottime_ns() { return clock_ns(CLOCK_BOOTTIME); }

}  // namespace larder::shm::system
