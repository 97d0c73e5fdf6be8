#include "shm/system.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <cstring>

namespace larder::shm::system {
namespace {

#ifdef LARDER_TESTING
struct Injection {
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> fail_at{0};  // the call's number, 0: none
    std::atomic<int> error{0};
    std::atomic<bool> sticky{false};
};
std::array<Injection, kCalls> injections;
Injection& injection(Call call) { return injections[static_cast<std::size_t>(call)]; }

/// The error that this call is to fail with, 0: none.
int injected(Call call) {
    Injection& one = injection(call);
    const std::uint64_t number = one.calls.fetch_add(1) + 1;
    const std::uint64_t at = one.fail_at.load();
    const bool fails = at != 0 && (number == at || (one.sticky.load() && number > at));
    return fails ? one.error.load() : 0;
}
#else
constexpr int injected(Call) { return 0; }
#endif

/// A system call's answer as these functions give it.
template <class Integer>
int answer(Integer result) {
    return result < 0 ? -errno : static_cast<int>(result);
}

struct flock byte_range(short type, std::uint32_t first, std::uint32_t count) {
    struct flock range {};
    range.l_type = type;
    range.l_whence = SEEK_SET;
    range.l_start = first;
    range.l_len = count;
    return range;
}

/// The least that one step of an allocation is cut down to while signals interrupt it.
constexpr std::uint64_t kSmallStepBytes = 64ULL << 10, kStepBytes = 64ULL << 20;
constexpr std::int64_t kHugePagesBudgetNs = 1'000'000'000;
constexpr int kMostInterruptions = 10'000;

int futex(Word32& word, int operation, std::uint32_t value, const timespec* time) {
    static_assert(sizeof(Word32) == sizeof(std::uint32_t));
    return answer(::syscall(SYS_futex, &word, operation, value, time, nullptr, FUTEX_BITSET_MATCH_ANY));
}

timespec to_timespec(std::int64_t ns) {
    ns = std::max<std::int64_t>(ns, 0);
    return {ns / 1'000'000'000, ns % 1'000'000'000};
}

}  // namespace

#ifdef LARDER_TESTING
void fail_nth(Call call, std::uint64_t n, int error, bool sticky) {
    Injection& one = injection(call);
    one.fail_at.store(0);
    one.error.store(error);
    one.sticky.store(sticky);
    one.fail_at.store(one.calls.load() + n);
}

void fail_nothing() {
    for (Injection& one : injections) {
        one.fail_at.store(0);
        one.calls.store(0);
    }
}

std::uint64_t calls_made(Call call) { return injection(call).calls.load(); }
#endif

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    if (this != &other) {
        if (is_open()) ::close(number_);
        number_ = other.release();
    }
    return *this;
}

Descriptor::~Descriptor() {
    if (is_open()) ::close(number_);
}

int Descriptor::release() {
    const int number = number_;
    number_ = -EBADF;
    return number;
}

Descriptor open_file(const std::string& path, int flags, mode_t mode) {
    if (const int error = injected(Call::open)) return Descriptor(-error);
    return Descriptor(answer(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode)));
}

Descriptor open_temporary(const std::string& directory) {
    if (const int error = injected(Call::temporary_file)) return Descriptor(-error);
    return Descriptor(answer(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)));
}

int link_temporary(int descriptor, const std::string& path) {
    if (const int error = injected(Call::link)) return -error;
    const std::string source = "/proc/self/fd/" + std::to_string(descriptor);
    return answer(::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW));
}

int allocate(int descriptor, std::uint64_t bytes) {
    std::uint64_t done = 0, step = kStepBytes;
    int interruptions = 0;
    while (done < bytes) {
        const std::uint64_t now = std::min(step, bytes - done);
        int error = injected(Call::allocate);
        if (error == 0) error = ::posix_fallocate(descriptor, static_cast<off_t>(done), static_cast<off_t>(now));
        if (error == 0) {
            done += now;
        } else if (error == EINTR && ++interruptions < kMostInterruptions) {
            // The kernel undoes an interrupted step: a smaller one gets through.
            step = std::max(step / 2, kSmallStepBytes);
        } else {
            return -error;
        }
    }
    return 0;
}

std::uint64_t file_size_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return ~std::uint64_t{0};
    return limit.rlim_cur;
}

std::uint64_t free_bytes(int descriptor) {
    struct statvfs status {};
    return ::fstatvfs(descriptor, &status) == 0 ? static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize : 0;
}

bool is_tmpfs(const std::string& path) {
    struct statfs status {};
    return ::statfs(path.c_str(), &status) == 0 && status.f_type == TMPFS_MAGIC;
}

int file_status(const std::string& path, struct stat& status, bool follow_links) {
    if (const int error = injected(Call::status)) return -error;
    return answer(::fstatat(AT_FDCWD, path.c_str(), &status, follow_links ? 0 : AT_SYMLINK_NOFOLLOW));
}

int file_status(int descriptor, struct stat& status) {
    if (const int error = injected(Call::status)) return -error;
    return answer(::fstat(descriptor, &status));
}

int change_mode(const std::string& path, mode_t mode) {
    if (const int error = injected(Call::change_mode)) return -error;
    return answer(::chmod(path.c_str(), mode));
}

int change_mode(int descriptor, mode_t mode) {
    if (const int error = injected(Call::change_mode)) return -error;
    return answer(::fchmod(descriptor, mode));
}

int make_directory(const std::string& path, mode_t mode) {
    if (const int error = injected(Call::make_directory)) return -error;
    return answer(::mkdir(path.c_str(), mode));
}

int remove_file(const std::string& path) {
    if (const int error = injected(Call::remove)) return -error;
    return answer(::unlink(path.c_str()));
}

int read_file(const char* path, std::span<char> into) {
    if (const int error = injected(Call::read_file)) return -error;
    const Descriptor file(answer(::open(path, O_RDONLY | O_CLOEXEC)));
    if (!file.is_open()) return file.number();
    for (int tries = 0;; ++tries) {
        const int read = answer(::read(file.number(), into.data(), into.size()));
        if (read != -EINTR || tries == 100) return read;
    }
}

namespace {

Mapped map(int protection, int flags, int descriptor, std::uint64_t bytes) {
    if (const int error = injected(Call::map)) return {nullptr, -error};
    void* base = ::mmap(nullptr, bytes, protection, flags, descriptor, 0);
    if (base == MAP_FAILED) return {nullptr, -errno};
    return {static_cast<std::byte*>(base), 0};
}

}  // namespace

/// Huge pages need both ends of the mapping, and where it begins in the file, to agree modulo their size.
Mapped map_shared(int descriptor, std::uint64_t bytes, bool writable) {
    if (const int error = injected(Call::map)) return {nullptr, -error};
    const std::uint64_t end = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;  // of what the kernel maps
    const std::uint64_t reserved = end + kHugePageBytes;
    void* const place = ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) return {nullptr, -errno};
    auto* const begin = static_cast<std::byte*>(place);
    std::byte* const base = begin + (kHugePageBytes - reinterpret_cast<std::uintptr_t>(place) % kHugePageBytes);
    const int flags = descriptor < 0 ? MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
    const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    const bool mapped = ::mmap(base, bytes, protection, flags | MAP_FIXED, descriptor < 0 ? -1 : descriptor, 0) == base;
    const int error = errno;
    ::munmap(begin, static_cast<std::size_t>(base - begin));
    ::munmap(base + (mapped ? end : 0), reserved - static_cast<std::size_t>(base - begin) - (mapped ? end : 0));
    return mapped ? Mapped{base, 0} : Mapped{nullptr, -error};
}

void allocate_huge_pages(int descriptor, std::byte* base, std::uint64_t bytes) {
    constexpr int kCollapse = 25;  // MADV_COLLAPSE, which older headers do not know
    const std::uint64_t whole = bytes / kHugePageBytes * kHugePageBytes;
    const std::int64_t until_ns = monotonic_ns() + kHugePagesBudgetNs;
    for (std::uint64_t at = 0; at < whole && monotonic_ns() < until_ns; at += kStepBytes) {
        const std::uint64_t end = std::min(at + kStepBytes, whole);
        // One small page is there for the kernel to begin with: it collapses nothing that is all a hole. The last of
        // each, so that the file is as long as what is collapsed.
        for (std::uint64_t next = at + kHugePageBytes; next <= end; next += kHugePageBytes)
            if (::fallocate(descriptor, 0, static_cast<off_t>(next - kPageBytes), kPageBytes) != 0) return;
        // Each call waits for all processors: the fewer the better.
        if (advise(base + at, end - at, kCollapse) == -EINVAL) return;
    }
}

Mapped map_private(std::uint64_t bytes) { return map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, bytes); }

void unmap(std::byte* base, std::uint64_t bytes) {
    if (base != nullptr) ::munmap(base, bytes);
}

int advise(void* base, std::uint64_t bytes, int advice) {
    if (const int error = injected(Call::advise)) return -error;
    return answer(::madvise(base, bytes, advice));
}

int lock_byte(int descriptor, std::uint32_t byte) {
    if (const int error = injected(Call::lock)) return -error;
    struct flock range = byte_range(F_WRLCK, byte, 1);
    const int result = answer(::fcntl(descriptor, F_SETLK, &range));
    return result == -EACCES ? -EAGAIN : result;
}

int unlock_byte(int descriptor, std::uint32_t byte) {
    struct flock range = byte_range(F_UNLCK, byte, 1);
    return answer(::fcntl(descriptor, F_SETLK, &range));
}

int locked_by_other(int descriptor, std::uint32_t first, std::uint32_t count) {
    if (const int error = injected(Call::query_lock)) return -error;
    struct flock range = byte_range(F_WRLCK, first, count);
    const int result = answer(::fcntl(descriptor, F_GETLK, &range));
    return result < 0 ? result : range.l_type != F_UNLCK;
}

int futex_wait_until(Word32& word, std::uint32_t expected, std::int64_t monotonic_deadline_ns) {
    if (const int error = injected(Call::futex_wait)) return -error;
    const timespec deadline = to_timespec(monotonic_deadline_ns);
    return futex(word, FUTEX_WAIT_BITSET, expected, &deadline);  // not FUTEX_PRIVATE_FLAG: other processes wake it
}

int futex_wait_for(Word32& word, std::uint32_t expected, std::int64_t timeout_ns) {
    if (const int error = injected(Call::futex_wait)) return -error;
    const timespec timeout = to_timespec(timeout_ns);
    return futex(word, FUTEX_WAIT, expected, &timeout);
}

int futex_wake(Word32& word, int most) {
    if (const int error = injected(Call::futex_wake)) return -error;
    return futex(word, FUTEX_WAKE, static_cast<std::uint32_t>(most), nullptr);
}

std::uint64_t random_bits(int& error) {
    std::uint64_t bits = 0;
    error = injected(Call::random);
    for (int tries = 0; error == 0 && tries < 100; ++tries) {
        if (::getrandom(&bits, sizeof bits, 0) == sizeof bits) return bits;
        if (errno != EINTR) error = errno;
    }
    error = error == 0 ? -EINTR : -error;
    return 0;
}

std::uint32_t process_id() { return static_cast<std::uint32_t>(::getpid()); }
std::uint32_t thread_id() { return static_cast<std::uint32_t>(::syscall(SYS_gettid)); }
std::uint32_t user_id() { return static_cast<std::uint32_t>(::geteuid()); }

std::uint64_t program_id() {
    // The kernel gives each exec 16 random bytes; a fork keeps them.
    std::uint64_t id = 0;
    if (const auto* random = reinterpret_cast<const void*>(::getauxval(AT_RANDOM))) std::memcpy(&id, random, sizeof id);
    return id;
}

std::string program_name() {
    char name[32] = {};
    const int size = read_file("/proc/self/comm", std::span<char>(name));
    std::string text(name, static_cast<std::size_t>(std::clamp(size, 0, 31)));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.substr(0, 15);
}

void sleep_ns(std::int64_t duration_ns) {
    const timespec duration = to_timespec(duration_ns);
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &duration, nullptr);
}

}  // namespace larder::shm::system
