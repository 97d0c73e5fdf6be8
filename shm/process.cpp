#include "shm/process.hpp"

#include <errno.h>
#include <sys/mman.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "shm/file_names.hpp"
#include "shm/robust_mutex.hpp"
#include "shm/system.hpp"

namespace larder::shm::process {
namespace detail {

constinit Page unmapped_page{};

namespace {

/// Generations given out so far; a forked child inherits the number and goes on from it.
std::atomic<std::uint64_t> last_generation{0};

/// For kernels without MADV_WIPEONFORK: fork() at least.
void wipe_in_child() {
    Page* now = page.load(std::memory_order_relaxed);
    std::memset(static_cast<void*>(now), 0, sizeof *now);
}

Page* make_page() {
    const system::Mapped mapped = system::map_private(kPageBytes);
    if (mapped.base == nullptr) throw std::bad_alloc();
    if (system::advise(mapped.base, kPageBytes, MADV_WIPEONFORK) != 0)
        ::pthread_atfork(nullptr, nullptr, wipe_in_child);
    Page* made = reinterpret_cast<Page*>(mapped.base);
    Page* current = &unmapped_page;
    if (page.compare_exchange_strong(current, made, std::memory_order_acq_rel)) return made;
    system::unmap(mapped.base, kPageBytes);
    return current;
}

}  // namespace

std::uint64_t begin_generation() {
    Page* now = page.load(std::memory_order_acquire);
    if (now == &unmapped_page) now = make_page();
    const std::uint64_t mine = last_generation.fetch_add(1, std::memory_order_relaxed) + 1;
    std::uint64_t current = 0;
    return now->generation.compare_exchange_strong(current, mine, std::memory_order_acq_rel) ? mine : current;
}

}  // namespace detail

Lock::Lock(std::chrono::milliseconds budget) {
    const std::uint64_t now = generation();
    pthread_mutex_t& mutex = detail::page.load(std::memory_order_acquire)->mutex;
    if (robust_mutex::is_held(robust_mutex::acquire(mutex, budget))) generation_ = now;
}

Lock::~Lock() {
    if (generation_ == 0 || generation_ != generation()) return;  // a child that was forked inside holds nothing
    robust_mutex::release(detail::page.load(std::memory_order_acquire)->mutex);
}

namespace {

template <class Integer>
bool next_number(std::string_view& text, Integer& number) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return error == std::errc();
}

/// The fields of /proc/PID/stat, numbered as in proc(5); the name between the parentheses may hold anything.
Status parse(std::string_view text) {
    Status status;
    std::string_view rest = text;
    const std::size_t name_end = text.rfind(')');
    if (!next_number(rest, status.pid) || name_end == std::string_view::npos || name_end + 3 > text.size()) return {};
    status.state = text[name_end + 2];
    rest = text.substr(name_end + 3);
    for (int field = 4; field <= 22; ++field) {
        std::int64_t number = 0;
        if (!next_number(rest, number)) return {};
        if (field == 9) status.flags = static_cast<std::uint32_t>(number);
        if (field == 20) status.threads = static_cast<std::uint64_t>(number);
        if (field == 22) status.start_ticks = static_cast<std::uint64_t>(number);
    }
    status.readable = true;
    return status;
}

Status read_status(const char* path) {
    char text[1024];
    const int size = system::read_file(path, std::span<char>(text));
    if (size > 0) return parse(std::string_view(text, static_cast<std::size_t>(size)));
    Status status;
    status.gone = size == -ENOENT || size == -ESRCH;
    return status;
}

}  // namespace

/// Gone only where /proc shows at least this process.
Status status_of(std::uint32_t pid) {
    char path[32];
    std::snprintf(path, sizeof path, "/proc/%u/stat", pid);
    Status status = read_status(path);
    struct stat own {};
    if (status.gone) status.gone = system::file_status("/proc/self/stat", own) == 0;
    return status;
}

namespace {

/// True also where this process has no file or memory left to look.
bool may_have_line_ending(const std::string& file, const std::string& end) {
    errno = 0;
    std::ifstream lines(file);
    if (!lines.is_open()) return errno == EMFILE || errno == ENFILE || errno == ENOMEM;
    for (std::string line; std::getline(lines, line);)
        if (line.ends_with(end)) return true;
    return lines.bad() && errno != ESRCH;  // one that ends meanwhile has nothing mapped
}

}  // namespace

bool maps_deleted(const std::string& path, bool anybody) {
    const std::string deleted = path + " (deleted)";
    if (!anybody) return may_have_line_ending("/proc/self/maps", deleted);
    FileNames names("/proc");
    while (const char* const name = names.next()) {
        const bool is_process = std::isdigit(static_cast<unsigned char>(name[0])) != 0;
        if (is_process && may_have_line_ending(std::string("/proc/") + name + "/maps", deleted)) return true;
    }
    return names.error() != 0;
}

Self self() {
    static std::atomic<std::uint64_t> of_generation{0}, ticks{0};
    static std::atomic<std::uint32_t> pid{0};
    const std::uint64_t now = generation();
    if (of_generation.load(std::memory_order_acquire) == now)
        return {pid.load(std::memory_order_relaxed), ticks.load(std::memory_order_relaxed)};
    const Status status = read_status("/proc/self/stat");
    if (!status.readable) return {};
    pid.store(status.pid, std::memory_order_relaxed);
    ticks.store(status.start_ticks, std::memory_order_relaxed);
    of_generation.store(now, std::memory_order_release);
    return {status.pid, status.start_ticks};
}

}  // namespace larder::shm::process
