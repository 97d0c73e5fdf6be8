#include "tools/worker_crew.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <system_error>
#include <utility>

#include "tools/serve_config.hpp"
#include "tools/serve_worker.hpp"

extern char** environ;

namespace larder::tools {
namespace {

// As the kernel keeps it.
std::vector<std::string> own_command_line() {
    std::ifstream file("/proc/self/cmdline", std::ios::binary);
    std::vector<std::string> arguments;
    for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
    return arguments;
}

// A copy above all numbers at which a worker finds its descriptors, so that installing one overwrites no other.
shm::system::Descriptor raised(int fd) {
    constexpr int lowest = 256;
    static_assert(lowest > inherited_listener_fd + static_cast<int>(max_workers));
    shm::system::Descriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, lowest));
    if (!copy.is_open()) throw std::system_error(errno, std::generic_category(), "a worker could not be started");
    return copy;
}

struct Installed {
    int fd, as;
};

// With no signal blocked or ignored, and the descriptors at their places.
pid_t spawn(const std::vector<std::string>& arguments, const std::vector<Installed>& descriptors) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    std::vector<shm::system::Descriptor> copies;
    for (const Installed& descriptor : descriptors) copies.push_back(raised(descriptor.fd));
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    for (std::size_t i = 0; i < copies.size(); ++i)
        ::posix_spawn_file_actions_adddup2(&actions, copies[i].number(), descriptors[i].as);
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (error != 0) throw std::system_error(error, std::generic_category(), "a worker could not be started");
    return pid;
}

std::string describe_end(int status) {
    return WIFSIGNALED(status) ? fmt::format("was ended by signal {}", WTERMSIG(status))
                               : fmt::format("ended with exit code {}", WEXITSTATUS(status));
}

std::string describe_pause(std::chrono::milliseconds pause) {
    return pause.count() == 0 ? std::string("at once") : fmt::format("in {} ms", pause.count());
}

}  // namespace

void BackOff::note_death(Clock::time_point now) {
    ++total_;
    deaths_.push_back(now);
    while (now - deaths_.front() > window) deaths_.pop_front();
    if (deaths_.size() <= patient_deaths)
        pause_ = std::chrono::milliseconds{0};
    else
        pause_ = pause_.count() == 0 ? first_pause : std::min(pause_ * 2, longest_pause);
}

std::vector<std::string> worker_command_line(std::vector<std::string> supervisors, const WorkerTicket& ticket) {
    // Before the verb stand the program's name and its options, none of which takes this word for a value.
    const auto first = supervisors.begin() + (supervisors.empty() ? 0 : 1);
    const auto verb = std::find(first, supervisors.end(), "serve");
    supervisors.insert(verb == supervisors.end() ? verb : verb + 1, "--worker=" + ticket.to_text());
    return supervisors;
}

WorkerCrew::WorkerCrew(std::size_t count, const ListenAddress& address, const ServeStatusPage& status,
                       const Handover& handover, int passed_listener)
    : arguments_(own_command_line()),
      address_(address),
      status_(status),
      passed_listener_(passed_listener),
      slots_(count),
      current_{.number = 0, .count = count, .handover = handover.write()} {}

void WorkerCrew::start_due(Clock::time_point now) {
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
        const bool is_empty = slots_[slot].worker.pid == 0 && slots_[slot].successor.pid == 0;
        if (is_empty && slots_[slot].worker.start_at <= now) start(slot, slots_[slot].worker, now);
    }
    if (replacing_) go_on(now);
}

bool WorkerCrew::start(std::size_t slot, Worker& worker, Clock::time_point now) {
    const WorkerTicket ticket{.supervisor = ::getpid(), .port = address_.port(), .slot = slot};
    try {
        std::vector<Installed> descriptors{{status_.fd(), ServeStatusPage::inherited_fd},
                                           {current_.handover.number(), Handover::inherited_fd}};
        for (const int fd : open_listeners(slot))
            descriptors.push_back({fd, inherited_listener_fd + static_cast<int>(descriptors.size()) - 2});
        worker.pid = spawn(worker_command_line(arguments_, ticket), descriptors);
        worker.generation = current_.number;
        worker.start_at = now;
        return true;
    } catch (const std::exception& error) {
        spdlog::error("{}", error.what());
        back_off_.note_death(now);
        worker.start_at = now + std::max(back_off_.pause(), BackOff::first_pause);
        return false;
    }
}

/// The slot's own, made when it is needed, and its share of those that are nobody's own.
std::vector<int> WorkerCrew::open_listeners(std::size_t slot) {
    if (passed_listener_ >= 0) return {passed_listener_};
    if (listeners_.size() <= slot) listeners_.resize(slot + 1);
    if (!listeners_[slot].is_open()) listeners_[slot] = shm::system::Descriptor(open_listener(address_));
    std::vector<int> open;
    for (std::size_t i = slot; i < listeners_.size(); i += current_.count)
        if (listeners_[i].is_open()) open.push_back(listeners_[i].number());
    return open;
}

void WorkerCrew::close_listeners(std::size_t slot) {
    for (std::size_t i = slot; i < listeners_.size(); i += current_.count) listeners_[i] = shm::system::Descriptor();
}

bool WorkerCrew::has_ended(pid_t pid, int& status) const { return pid != 0 && ::waitpid(pid, &status, WNOHANG) == pid; }

void WorkerCrew::reap(Clock::time_point now) {
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) reap_worker(slot, now);
    reap_retired(now);
}

void WorkerCrew::reap_worker(std::size_t slot, Clock::time_point now) {
    auto& [worker, successor] = slots_[slot];
    const bool draining = status_->draining.load(std::memory_order_relaxed) != 0;
    int status = 0;
    if (const pid_t pid = successor.pid; has_ended(pid, status)) {
        successor = {};
        status_->listening[slot].store(worker.pid, std::memory_order_relaxed);  // one that has none is found dead below
        if (!draining) give_up(fmt::format("worker {} {}", pid, describe_end(status)));
    }
    const pid_t pid = worker.pid;
    if (!has_ended(pid, status)) return;
    pid_t expected = pid;
    status_->listening[slot].compare_exchange_strong(expected, 0, std::memory_order_relaxed);
    worker = {};
    if (draining) return;
    back_off_.note_death(now);
    worker.start_at = now + back_off_.pause();
    if (back_off_.pause().count() != 0) close_listeners(slot);
    spdlog::warn("Worker {} {}; it is replaced {}", pid, describe_end(status), describe_pause(back_off_.pause()));
}

void WorkerCrew::reap_retired(Clock::time_point now) {
    for (const Retired& retired : retired_)
        if (now >= retired.kill_at) ::kill(retired.pid, SIGKILL);
    retired_.erase(std::remove_if(retired_.begin(), retired_.end(),
                                  [this](const Retired& retired) {
                                      int status = 0;
                                      return has_ended(retired.pid, status);
                                  }),
                   retired_.end());
}

void WorkerCrew::replace(std::size_t count, const Handover& handover, bool takes_keys_away) {
    Generation next{.number = current_.number + 1, .count = count, .handover = handover.write()};
    retiring_signal_ = takes_keys_away ? SIGTERM : SIGUSR1;
    previous_ = std::exchange(current_, std::move(next));
    replacing_ = true;
    failed_ = false;
}

void WorkerCrew::go_on(Clock::time_point now) {
    for (std::size_t slot = 0; slot < std::min(slots_.size(), current_.count); ++slot) {
        const Worker& worker = slots_[slot].worker;
        const bool is_old = worker.pid != 0 && worker.generation != current_.number;
        if (is_old || slots_[slot].successor.pid != 0) return go_on_in(slot, now);
    }
    match_count(now);
}

void WorkerCrew::go_on_in(std::size_t slot, Clock::time_point now) {
    auto& [worker, successor] = slots_[slot];
    const pid_t listening = status_->listening[slot].load(std::memory_order_relaxed);
    if (successor.pid == 0) {
        // One that is only starting would say that it listens over its successor.
        if (listening != worker.pid && now - worker.start_at <= longest_start) return;
        if (!start(slot, successor, now)) give_up("it could not be started");
        return;
    }
    if (listening == successor.pid) {
        if (worker.pid != 0) retire(slot, now);
        worker = std::exchange(successor, {});
    } else if (now - successor.start_at > longest_start) {
        ::kill(successor.pid, SIGKILL);  // found dead, it is given up
    }
}

void WorkerCrew::retire(std::size_t slot, Clock::time_point now) {
    const pid_t pid = std::exchange(slots_[slot].worker, {}).pid;
    ::kill(pid, retiring_signal_);
    retired_.push_back({pid, now + longest_retirement});
}

/// One slot at a time. The last part of a replacement, so that a failed one has not begun with it.
void WorkerCrew::match_count(Clock::time_point now) {
    if (slots_.size() > current_.count) {
        if (slots_.back().worker.pid != 0) retire(slots_.size() - 1, now);
        status_->listening[slots_.size() - 1].store(0, std::memory_order_relaxed);
        slots_.pop_back();
    } else if (slots_.size() < current_.count) {
        slots_.emplace_back();
    } else {
        replacing_ = false;
    }
}

void WorkerCrew::give_up(const std::string& why) {
    spdlog::error("A worker with the new settings does not come to listen: {}", why);
    // Back to where it came from; should that fail, too, each worker keeps what it has.
    if (failed_) {
        for (Slot& slot : slots_) slot.worker.generation = current_.number;
        return;
    }
    failed_ = true;
    current_ = std::move(previous_);
}

void WorkerCrew::signal_all(int signal) const {
    for (const pid_t pid : pids()) ::kill(pid, signal);
}

void WorkerCrew::close_listeners() { listeners_.clear(); }

std::vector<pid_t> WorkerCrew::pids() const {
    std::vector<pid_t> all;
    for (const Slot& slot : slots_)
        for (const pid_t pid : {slot.worker.pid, slot.successor.pid})
            if (pid != 0) all.push_back(pid);
    for (const Retired& retired : retired_) all.push_back(retired.pid);
    return all;
}

bool WorkerCrew::any_alive() const { return !pids().empty(); }

std::size_t WorkerCrew::listening() const {
    const std::int64_t oldest_ms = steady_ms() - stuck_after.count();
    std::size_t count = 0;
    for (std::size_t slot = 0; slot < status_->listening.size(); ++slot)
        if (status_->listening[slot].load(std::memory_order_relaxed) != 0 &&
            status_->turned_ms[slot].load(std::memory_order_relaxed) >= oldest_ms)
            ++count;
    return count;
}

}  // namespace larder::tools
