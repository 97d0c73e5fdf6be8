// A library to preload: the n-th call that a process makes of a name fails with an error, as the environment says.
//     LD_PRELOAD=liblarder_failing_calls.so FAIL_CALL=bind FAIL_AT=2 FAIL_ERROR=98 [FAIL_STICKY=1] [FAIL_MARK=FILE]
// FAIL_STICKY: every later one, too. FAIL_MARK: a file that is made once one has failed; where it is there already,
// only what is sticky fails, so that one call fails in all processes together. Counted are the calls of the program and
// its libraries; what the C library calls inside of itself goes by. Of fcntl, those that lock.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace {

const char* failing_name = nullptr;
const char* mark_path = nullptr;
unsigned long fail_at = 0;
int fail_error = EIO;
bool is_sticky = false;
std::atomic<unsigned long> calls{0};

__attribute__((constructor)) void read_environment() {
    const auto number = [](const char* name) {
        const char* const text = std::getenv(name);
        return text == nullptr ? 0UL : std::strtoul(text, nullptr, 10);
    };
    fail_at = number("FAIL_AT");
    fail_error = static_cast<int>(number("FAIL_ERROR"));
    is_sticky = number("FAIL_STICKY") != 0;
    mark_path = std::getenv("FAIL_MARK");
    failing_name = std::getenv("FAIL_CALL");
}

/// This call is the one. Sets errno.
bool fails(const char* name) {
    if (failing_name == nullptr || std::strcmp(name, failing_name) != 0) return false;
    const unsigned long number = calls.fetch_add(1) + 1;
    if (number != fail_at && !(is_sticky && number > fail_at)) return false;
    if (mark_path != nullptr) {
        const long made = ::syscall(SYS_openat, AT_FDCWD, mark_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (made < 0 && errno == EEXIST && !is_sticky) return false;
        if (made >= 0) ::syscall(SYS_close, made);
    }
    errno = fail_error;
    return true;
}

/// The function that this library hides.
template <class Function>
Function* hidden(Function*, const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool is_lock(int command) { return command == F_SETLK || command == F_SETLKW || command == F_GETLK; }

mode_t mode_of(int flags, va_list arguments) {
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {

#define LARDER_OPEN(name)                                 \
    int name(const char* path, int flags, ...) {          \
        va_list arguments;                                \
        va_start(arguments, flags);                       \
        const mode_t mode = mode_of(flags, arguments);    \
        va_end(arguments);                                \
        if (fails("open")) return -1;                     \
        return hidden(&::name, #name)(path, flags, mode); \
    }
LARDER_OPEN(open)
LARDER_OPEN(open64)

#define LARDER_FCNTL(name)                                            \
    int name(int descriptor, int command, ...) {                      \
        va_list arguments;                                            \
        va_start(arguments, command);                                 \
        void* const argument = va_arg(arguments, void*);              \
        va_end(arguments);                                            \
        if (is_lock(command) && fails("fcntl")) return -1;            \
        return hidden(&::name, #name)(descriptor, command, argument); \
    }
LARDER_FCNTL(fcntl)
LARDER_FCNTL(fcntl64)

// RESULT is what a failing call returns; NAME what FAIL_CALL calls it.
#define LARDER_CALL(type, function, NAME, RESULT, parameters, arguments, noexcept_) \
    type function parameters noexcept_ {                                            \
        if (fails(NAME)) return RESULT;                                             \
        return hidden(&::function, #function) arguments;                            \
    }
#define LARDER_NOTHING
LARDER_CALL(void*, mmap, "mmap", MAP_FAILED,
            (void* at, size_t size, int protection, int flags, int descriptor, off_t offset),
            (at, size, protection, flags, descriptor, offset), noexcept)
LARDER_CALL(void*, mmap64, "mmap", MAP_FAILED,
            (void* at, size_t size, int protection, int flags, int descriptor, off64_t offset),
            (at, size, protection, flags, descriptor, offset), noexcept)
LARDER_CALL(int, linkat, "linkat", -1, (int from, const char* old, int to, const char* path, int flags),
            (from, old, to, path, flags), noexcept)
LARDER_CALL(int, posix_fallocate, "posix_fallocate", fail_error, (int descriptor, off_t at, off_t size),
            (descriptor, at, size), LARDER_NOTHING)
LARDER_CALL(int, posix_fallocate64, "posix_fallocate", fail_error, (int descriptor, off64_t at, off64_t size),
            (descriptor, at, size), LARDER_NOTHING)
LARDER_CALL(int, socket, "socket", -1, (int domain, int type, int protocol), (domain, type, protocol), noexcept)
LARDER_CALL(int, bind, "bind", -1, (int descriptor, const sockaddr* address, socklen_t size),
            (descriptor, address, size), noexcept)
LARDER_CALL(int, listen, "listen", -1, (int descriptor, int backlog), (descriptor, backlog), noexcept)
LARDER_CALL(int, connect, "connect", -1, (int descriptor, const sockaddr* address, socklen_t size),
            (descriptor, address, size), LARDER_NOTHING)
LARDER_CALL(int, accept, "accept", -1, (int descriptor, sockaddr* address, socklen_t* size),
            (descriptor, address, size), LARDER_NOTHING)
LARDER_CALL(int, accept4, "accept", -1, (int descriptor, sockaddr* address, socklen_t* size, int flags),
            (descriptor, address, size, flags), LARDER_NOTHING)
LARDER_CALL(ssize_t, send, "send", -1, (int descriptor, const void* bytes, size_t size, int flags),
            (descriptor, bytes, size, flags), LARDER_NOTHING)
LARDER_CALL(ssize_t, sendmsg, "send", -1, (int descriptor, const msghdr* message, int flags),
            (descriptor, message, flags), LARDER_NOTHING)
LARDER_CALL(ssize_t, recv, "recv", -1, (int descriptor, void* bytes, size_t size, int flags),
            (descriptor, bytes, size, flags), LARDER_NOTHING)
LARDER_CALL(ssize_t, recvmsg, "recv", -1, (int descriptor, msghdr* message, int flags), (descriptor, message, flags),
            LARDER_NOTHING)
LARDER_CALL(ssize_t, write, "write", -1, (int descriptor, const void* bytes, size_t size), (descriptor, bytes, size),
            LARDER_NOTHING)
LARDER_CALL(ssize_t, writev, "write", -1, (int descriptor, const iovec* parts, int count), (descriptor, parts, count),
            LARDER_NOTHING)
LARDER_CALL(int, poll, "poll", -1, (pollfd * descriptors, nfds_t count, int timeout), (descriptors, count, timeout),
            LARDER_NOTHING)
LARDER_CALL(int, epoll_create1, "epoll_create", -1, (int flags), (flags), noexcept)
LARDER_CALL(int, epoll_ctl, "epoll_ctl", -1, (int epoll, int operation, int descriptor, epoll_event* event),
            (epoll, operation, descriptor, event), noexcept)
LARDER_CALL(int, epoll_wait, "epoll_wait", -1, (int epoll, epoll_event* events, int most, int timeout),
            (epoll, events, most, timeout), LARDER_NOTHING)
LARDER_CALL(int, eventfd, "eventfd", -1, (unsigned value, int flags), (value, flags), noexcept)
LARDER_CALL(int, timerfd_create, "timerfd_create", -1, (clockid_t clock, int flags), (clock, flags), noexcept)
LARDER_CALL(int, pthread_create, "pthread_create", fail_error,
            (pthread_t * thread, const pthread_attr_t* attributes, void* (*function)(void*), void* argument),
            (thread, attributes, function, argument), noexcept)
LARDER_CALL(int, posix_spawn, "posix_spawn", fail_error,
            (pid_t * pid, const char* path, const posix_spawn_file_actions_t* actions,
             const posix_spawnattr_t* attributes, char* const* argv, char* const* environment),
            (pid, path, actions, attributes, argv, environment), LARDER_NOTHING)

}  // extern "C"
