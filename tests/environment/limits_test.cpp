// A process that may open few files, or that has no memory left.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <optional>
#include <string>

#include "shm/cache.hpp"
#include "shm/segment.hpp"
#include "shm/socket/listener.hpp"
#include "shm/system.hpp"
#include "tests/environment/stage.hpp"
#include "tests/socket/running_listener.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/socket_client.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;

namespace {

constexpr rlim_t kMostDescriptors = 64;

void limit(__rlimit_resource what, rlim_t most) {
    rlimit both{};
    require(::getrlimit(what, &both) == 0, "no limit");
    both.rlim_cur = std::min(most, both.rlim_max);
    require(::setrlimit(what, &both) == 0, "the limit cannot be set");
}

/// Counted without opening one.
int open_descriptors() {
    int open = 0;
    for (int number = 0; number < 1'024; ++number) open += ::fcntl(number, F_GETFD) >= 0 ? 1 : 0;
    return open;
}

/// Bytes of address space.
std::uint64_t mapped_bytes() {
    std::ifstream file("/proc/self/statm");
    std::uint64_t pages = 0;
    file >> pages;
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Null: refused, with all that an OpenError says.
std::optional<Cache> try_to_open(const Options& options) {
    try {
        return Cache::open(options);
    } catch (const OpenError& error) {
        require(!error.stage.empty() && !error.reason.empty() && !error.remedy.empty(), "an error that says nothing");
        return std::nullopt;
    }
}

bool works(Cache& cache, const std::string& key) {
    return is_stored(cache, key, "value") && cache.get(key).value() == "value" && cache.invalidate(key) != 0 &&
           !cache.get(key);
}

/// Raises the limit until it opens; returns how often it was refused.
int open_at_each_limit(const Options& options, std::optional<Cache>& cache) {
    const int before = open_descriptors();
    int refused = 0;
    for (rlim_t most = 0; most <= kMostDescriptors; ++most) {
        limit(RLIMIT_NOFILE, most);
        cache = try_to_open(options);
        // The lock file is opened once, and is never closed: see shm/lock_file.hpp.
        const int kept = open_descriptors() - before;
        if (cache) return refused;
        require(kept <= 1, std::to_string(kept) + " descriptors leaked at " + std::to_string(most));
        ++refused;
    }
    throw Wrong("refused with any limit");
}

}  // namespace

// [no_asan]: the sanitizer opens files too, and ends the process where it cannot.
TEST_CASE("Whatever number of files a process may open, a cache is opened or refused, and none is leaked",
          "[environment][fork][no_asan]") {
    const Watchdog watchdog;
    const bool exists = GENERATE(false, true);
    const ScopedDirectory directory;
    const Options options = small_options(directory.path());
    if (exists) REQUIRE(play([&] { Cache::open(options); }).report == "");
    const StageResult result = play([&] {
        std::optional<Cache> cache;
        const int refused = open_at_each_limit(options, cache);
        require(refused >= 4, "opened with " + std::to_string(refused) + " files");
        require(works(*cache, "key"), "of no use at the least limit");
        limit(RLIMIT_NOFILE, 0);
        require(works(*cache, "key"), "of no use once no file may be opened");
        const pid_t child = fork_to([&] {
            if (cache->get("key") || cache->put("key", "value") == PutResult::stored) return 1;  // cannot register
            limit(RLIMIT_NOFILE, kMostDescriptors);
            return works(*cache, "key") ? 0 : 2;
        });
        int status = 0;
        require(::waitpid(child, &status, 0) == child && status == 0, "a child does not get over it");
    });
    CHECK(result.report == "");
}

// [no_asan]: as above.
TEST_CASE("A new segment is closed for a while also where no file is left to ask who has the old one",
          "[environment][replacement][fork][no_asan]") {
    const Watchdog watchdog;
    const ScopedDirectory directory;
    const Options options = small_options(directory.path());
    ChildProcess old = ChildProcess::start([&](Channel& test) {
        Cache cache = Cache::open(options);
        test.tell('o');
        return test.hear() == 'e' ? 0 : 1;
    });
    REQUIRE(old.hear() == 'o');
    for (rlim_t most = 0; most <= kMostDescriptors; ++most) {
        std::filesystem::remove(directory.file("test.seg"));
        std::filesystem::remove(directory.file("test.lock"));
        const StageResult result = on_stage([&]() -> std::string {
            limit(RLIMIT_NOFILE, most);
            const std::optional<Cache> cache = try_to_open(options);
            limit(RLIMIT_NOFILE, kMostDescriptors);
            if (!cache) return "refused";
            const shm::Segment made = shm::Segment::attach_read_only(cache->segment_path());
            return made.view().header().open_at_ns.load() != 0 ? "closed" : "open at once";
        });
        INFO("at most " << most << " files");
        REQUIRE((result.report == "refused" || result.report == "closed"));
        if (most == kMostDescriptors) CHECK(result.report == "closed");
    }
    old.tell('e');
    CHECK(old.wait().exited_with(0));
}

// [no_asan]: as above.
TEST_CASE("A listener without a file left serves those who are there, and others once it has one",
          "[environment][R12][socket][fork][no_asan]") {
    const Watchdog watchdog;
    const ScopedDirectory directory;
    Options options = small_options(directory.path());
    options.listen = true;
    const StageResult result = play([&] {
        Cache cache = Cache::open(options);
        const std::string path = cache.socket_path();
        require(eventually([&] { return SocketClient(path).ask("ping") == "ok"; }), "nobody listens");
        SocketClient there(path);
        require(there.ask("ping") == "ok", "no answer");
        ChildProcess other = ChildProcess::start([&](Channel& test) {  // its files are its own
            if (test.hear() != 'g') return 1;
            SocketClient later(path);
            test.tell('c');
            return later.ask("invalidate key").rfind("ok 1 ", 0) == 0 ? 0 : 2;
        });
        limit(RLIMIT_NOFILE, 1);  // as many as poll() is given
        other.tell('g');
        require(other.hear() == 'c', "the other one does not connect");
        for (int n = 0; n < 300; ++n) require(there.ask("invalidate key").rfind("ok 1 ", 0) == 0, "no answer");
        limit(RLIMIT_NOFILE, kMostDescriptors);
        require(other.wait().exited_with(0), "who waited is not served");
        require(there.ask("ping") == "ok", "no answer");
    });
    CHECK(result.report == "");
}

// [no_asan]: as above.
TEST_CASE("A listener that waits for a file to begin with ends as soon as it is told to",
          "[environment][socket][fork][no_asan]") {
    const Watchdog watchdog;
    const ScopedDirectory directory;
    const StageResult result = play([&] {
        const Watchdog hears_nothing(20);
        LogLines log;
        RecordingSink sink;
        shm::ListenerOptions options = options_in(directory.path());
        options.retry_interval = std::chrono::hours(1);
        options.log = log.writer();
        limit(RLIMIT_NOFILE, 0);
        const shm::ListenerThread listener(options, sink);
        require(eventually([&] { return log.has("no listener in this process for now"); }), "it has a file");
    });
    CHECK(result.report == "");
}

// [no_asan]: the sanitizer's own memory is above any limit.
TEST_CASE("Whatever memory a process may have, a cache is opened or refused, and none is leaked",
          "[environment][fork][no_asan]") {
    const Watchdog watchdog(300);
    const ScopedDirectory directory;
    Options options = small_options(directory.path());
    if (GENERATE(false, true)) REQUIRE(play([&] { Cache::open(options); }).report == "");
    int refused = 0;
    for (std::uint64_t more = 0; more <= 32 << 20; more += more < (1 << 20) ? 64 << 10 : 1 << 20) {
        INFO(more << " bytes more");
        const StageResult result = on_stage([&]() -> std::string {
            limit(RLIMIT_AS, mapped_bytes() + more);
            if (std::optional<Cache> cache = try_to_open(options)) return works(*cache, "key") ? "opened" : "no use";
            const std::uint64_t before = mapped_bytes();
            for (int again = 0; again < 4; ++again)
                if (try_to_open(options)) return "opened at last";
            return mapped_bytes() == before ? "refused" : "leaked";
        });
        if (result.report == "opened") {
            CHECK(refused >= 10);
            return;
        }
        REQUIRE(result.report == "refused");
        ++refused;
    }
    FAIL("refused with any memory");
}

namespace {

/// All that malloc and the kernel will still give, down to the smallest piece.
class AllMemory {
public:
    AllMemory() {
        limit(RLIMIT_AS, mapped_bytes());
        for (std::size_t bytes = 1 << 20; bytes >= sizeof(Piece); bytes /= 2) {
            while (void* const memory = std::malloc(bytes)) first_ = new (memory) Piece{first_};
        }
    }
    AllMemory(const AllMemory&) = delete;
    ~AllMemory() {
        while (first_ != nullptr) std::free(std::exchange(first_, first_->next));
    }

private:
    struct Piece {
        Piece* next;
    };
    Piece* first_ = nullptr;
};

/// What is wrong with a cache while nothing can be allocated; text without an allocation.
const char* use_without_memory(Cache& cache, const std::string& value) {
    const std::string_view there = "a key that has more bytes than a short string",
                           next = "another key as long as that";
    const std::int64_t until_ns = shm::system::monotonic_ns() + 120'000'000;  // in which a process looks at the name
    for (int n = 0; n < 100'000 && shm::system::monotonic_ns() < until_ns; ++n) {
        if (cache.get(there).value() != value) return "no hit";
        if (cache.put(next, value) != PutResult::stored) return "no put";
        if (cache.peek(next) && cache.peek(next).value() != value) return "wrong bytes";
    }
    if (!cache.touch(there, std::chrono::hours(1))) return "no touch";
    if (cache.invalidate(next) == 0 || cache.get(next)) return "no notice";
    if (cache.invalidate_tag(next) == 0) return "no notice of a tag";
    if (!cache.erase(there)) return "nothing erased";
    cache.tend();
    return cache.invalidate_all() != 0 ? nullptr : "no notice of all";
}

}  // namespace

// [no_asan]: the sanitizer's own memory is above any limit.
TEST_CASE("A process without memory left is served as ever", "[environment][fork][no_asan]") {
    const Watchdog watchdog;
    const ScopedDirectory directory;
    const StageResult result = play([&] {
        Cache cache = Cache::open(small_options(directory.path()));
        const std::string value(5'000, 'v');
        require(is_stored(cache, "a key that has more bytes than a short string", value), "no put");
        const char* wrong = nullptr;
        {
            const AllMemory nothing_left;
            wrong = use_without_memory(cache, value);
        }
        require(wrong == nullptr, wrong == nullptr ? "" : wrong);
        limit(RLIMIT_AS, RLIM_INFINITY);
        require(works(cache, "key"), "of no use afterwards");
        const std::string damage = first_violation(shm::Segment::attach_read_only(cache.segment_path()).view());
        require(damage.empty(), damage);
    });
    CHECK(result.report == "");
}
