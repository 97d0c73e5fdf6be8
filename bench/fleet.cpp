#include "bench/fleet.hpp"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <thread>

#include "bench/lookups.hpp"
#include "shm/inspector.hpp"
#include "shm/segment.hpp"
#include "shm/system.hpp"

namespace larder::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kMostReaders = 64;
constexpr std::int64_t kSleepsFromNs = 50'000;
constexpr std::int64_t kWakesEarlyNs = 60'000;  // the kernel's slack, and some
constexpr auto kPatience = 30s;

/// In shared memory.
struct Desk {
    std::atomic<std::uint32_t> ready{0}, finished{0}, failed{0};
    std::atomic<std::int64_t> start_ns{0};
    std::atomic<bool> writes_on{false}, over{false};
    std::atomic<std::uint64_t> contended{0};
    LatencyHistogram times[kMostReaders];
};

struct Unmap {
    void operator()(Desk* desk) const { ::munmap(desk, sizeof(Desk)); }
};

void await(std::int64_t due_ns, std::int64_t every_ns) {
    std::int64_t now_ns = shm::system::monotonic_ns();
    if (every_ns >= kSleepsFromNs && due_ns - now_ns > kWakesEarlyNs) {
        const std::int64_t until_ns = due_ns - kWakesEarlyNs;
        const timespec until{until_ns / 1'000'000'000, until_ns % 1'000'000'000};
        ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
        now_ns = shm::system::monotonic_ns();
    }
    while (now_ns < due_ns) now_ns = shm::system::monotonic_ns();
}

class Member {
public:
    Member(Desk& desk, const Options& options, const Load& load)
        : desk_(desk), load_(load), cache_(Cache::open(options)), order_(sequence(load.distribution)) {}

    void read(std::uint32_t self) {
        for (std::size_t n = 0; n < Sequence::kLength; ++n) look_up(n);
        const std::int64_t start_ns = begin();
        const std::int64_t end_ns = start_ns + std::chrono::nanoseconds(load_.time).count();
        std::uint64_t contended = 0;
        std::size_t use = self * 7919;
        std::int64_t due_ns = start_ns, ended_ns = start_ns;
        await(start_ns, load_.read_every_ns);
        for (; due_ns < end_ns; due_ns = load_.read_every_ns == 0 ? ended_ns : due_ns + load_.read_every_ns) {
            if (load_.read_every_ns != 0) await(due_ns, load_.read_every_ns);
            contended += look_up(use++) ? 0 : 1;
            ended_ns = shm::system::monotonic_ns();
            desk_.times[self].add(static_cast<std::uint64_t>(ended_ns - due_ns));
        }
        desk_.contended += contended;
        ++desk_.finished;
    }

    void write(std::uint32_t self) {
        std::int64_t due_ns = begin();
        for (std::uint32_t number = self * 7919; !desk_.over; ++number, due_ns += load_.write_every_ns) {
            await(due_ns, load_.write_every_ns);
            if (!load_.writers_only_wait) put(number % kKeys);
        }
    }

    /// One that is nearly always inside.
    void write_on() {
        ++desk_.ready;
        while (!desk_.writes_on) std::this_thread::sleep_for(100us);
        for (std::uint32_t number = 0;; number = (number + 7919) % kKeys) put(number);
    }

private:
    std::int64_t begin() {
        ++desk_.ready;
        while (desk_.start_ns == 0) std::this_thread::sleep_for(100us);
        return desk_.start_ns;
    }
    /// False: nothing was found. Values are replaced by the same, so that what is found is right or wrong for certain.
    bool look_up(std::size_t use) {
        const Pinned pinned = cache_.get(order_[use]);
        const std::string_view value = pinned.value();
        if (!pinned) return false;
        std::uint64_t mark = 0;
        std::memcpy(&mark, value.data(), sizeof mark);
        require(value.size() == load_.value_bytes && mark == mark_of(order_.numbers[use % Sequence::kLength]),
                "a lookup found another key's value");
        return true;
    }
    void put(std::uint32_t number) {
        const PutResult result = cache_.put(key_of(number).text(), value_of(number, load_.value_bytes));
        require(result == PutResult::stored || result == PutResult::busy, "a put was refused");
    }

    Desk& desk_;
    const Load& load_;
    Cache cache_;
    const Sequence& order_;
};

/// The processes, which end with it.
class Fleet {
public:
    Fleet(const Options& options, const Load& load) : options_(options), load_(load) {
        require(load.readers <= kMostReaders, "too many readers");
        void* const memory = ::mmap(nullptr, sizeof(Desk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        desk_.reset(new (memory) Desk);
        sequence(load.distribution);  // made once, before the fork
        for (std::uint32_t n = 0; n < load.readers; ++n) start([n](Member& member) { member.read(n); });
        for (std::uint32_t n = 0; n < load.writers; ++n) start([n](Member& member) { member.write(n); });
        if (load.writer_is_stopped) start([](Member& member) { member.write_on(); });
    }
    ~Fleet() {
        desk_->over = true;
        for (const pid_t pid : pids_) {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
        }
    }
    Fleet(const Fleet&) = delete;
    Fleet& operator=(const Fleet&) = delete;

    Reading run() {
        wait_until([this] { return desk_->ready == pids_.size(); });
        if (load_.writer_is_stopped) {
            desk_->writes_on = true;
            stop_inside(pids_.back());
        }
        desk_->start_ns = shm::system::monotonic_ns() + 1'000'000;
        wait_until([this] { return desk_->finished == load_.readers; });
        Reading reading;
        for (std::uint32_t n = 0; n < load_.readers; ++n) reading.times.add(desk_->times[n]);
        reading.contended = desk_->contended;
        reading.lookups_per_second =
            static_cast<double>(reading.times.count()) / std::chrono::duration<double>(load_.time).count();
        return reading;
    }

private:
    template <class Work>
    void start(Work work) {
        const pid_t parent = ::getpid();
        const auto processor = static_cast<std::uint32_t>(pids_.size()) % std::thread::hardware_concurrency();
        const pid_t pid = ::fork();
        require(pid >= 0, "a process cannot be forked");
        if (pid != 0) return void(pids_.push_back(pid));
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(EXIT_FAILURE);
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(processor, &set);
        ::sched_setaffinity(0, sizeof set, &set);
        try {
            Member member(*desk_, options_, load_);
            work(member);
            ::_exit(EXIT_SUCCESS);
        } catch (...) {}
        ++desk_->failed;
        ::_exit(EXIT_FAILURE);
    }

    template <class Condition>
    void wait_until(Condition&& condition) {
        const auto until = std::chrono::steady_clock::now() + kPatience + load_.time;
        while (!condition()) {
            require(desk_->failed == 0, "a process failed, or read a wrong value");
            require(std::chrono::steady_clock::now() < until, "the processes do not get ready");
            std::this_thread::sleep_for(1ms);
        }
    }

    void stop_inside(pid_t pid) {
        const shm::Segment segment = shm::Segment::attach_read_only(Cache::open(options_).segment_path());
        for (int tries = 0; tries < 10'000; ++tries) {
            ::kill(pid, SIGSTOP);
            ::waitpid(pid, nullptr, WUNTRACED);
            for (const shm::ProcessFacts& process : shm::read_processes(segment.view()))
                if (process.pid == static_cast<std::uint32_t>(pid) && process.inside) return;
            ::kill(pid, SIGCONT);
            std::this_thread::sleep_for(50us);
        }
        throw std::runtime_error("the writer was never met in its section");
    }

    const Options& options_;
    const Load& load_;
    std::unique_ptr<Desk, Unmap> desk_;
    std::vector<pid_t> pids_;
};

}  // namespace

Reading read_under(const Options& options, const Load& load) { return Fleet(options, load).run(); }

}  // namespace larder::bench
