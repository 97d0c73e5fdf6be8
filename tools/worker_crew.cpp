#include "tools/worker_crew.hpp"

#include <fmt/format.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <system_error>

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

// With no signal blocked or ignored, and the status page and the passed listener, if there is one, at their places.
pid_t spawn(const std::vector<std::string>& arguments, int status_fd, int listener_fd) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
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
    ::posix_spawn_file_actions_adddup2(&actions, status_fd, ServeStatusPage::inherited_fd);
    if (listener_fd >= 0)
        ::posix_spawn_file_actions_adddup2(&actions, listener_fd, ServeStatusPage::passed_listener_fd);
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

WorkerCrew::WorkerCrew(std::size_t count, std::uint16_t port, const ServeStatusPage& status, int passed_listener)
    : arguments_(own_command_line()),
      port_(port),
      status_(status),
      passed_listener_(passed_listener),
      workers_(count) {}

void WorkerCrew::start_due(Clock::time_point now) {
    for (std::size_t slot = 0; slot < workers_.size(); ++slot)
        if (workers_[slot].pid == 0 && workers_[slot].start_at <= now) start(slot, now);
}

void WorkerCrew::start(std::size_t slot, Clock::time_point now) {
    const WorkerTicket ticket{.supervisor = ::getpid(), .port = port_, .slot = slot};
    try {
        workers_[slot].pid = spawn(worker_command_line(arguments_, ticket), status_.fd(), passed_listener_);
    } catch (const std::system_error& error) {
        spdlog::error("{}", error.what());
        back_off_.note_death(now);
        workers_[slot].start_at = now + std::max(back_off_.pause(), BackOff::first_pause);
    }
}

void WorkerCrew::reap(Clock::time_point now) {
    for (std::size_t slot = 0; slot < workers_.size(); ++slot) {
        int status = 0;
        const pid_t pid = workers_[slot].pid;
        if (pid == 0 || ::waitpid(pid, &status, WNOHANG) != pid) continue;
        status_->listening[slot].store(0, std::memory_order_relaxed);
        workers_[slot] = {};
        if (status_->draining.load(std::memory_order_relaxed) != 0) continue;
        back_off_.note_death(now);
        workers_[slot].start_at = now + back_off_.pause();
        spdlog::warn("Worker {} {}; it is replaced {}", pid, describe_end(status), describe_pause(back_off_.pause()));
    }
}

void WorkerCrew::signal_all(int signal) const {
    for (const Worker& worker : workers_)
        if (worker.pid != 0) ::kill(worker.pid, signal);
}

bool WorkerCrew::any_alive() const {
    return std::any_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.pid != 0; });
}

std::size_t WorkerCrew::listening() const {
    return static_cast<std::size_t>(
        std::count_if(status_->listening.begin(), status_->listening.end(),
                      [](const auto& pid) { return pid.load(std::memory_order_relaxed) != 0; }));
}

}  // namespace larder::tools
