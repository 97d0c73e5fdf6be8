#include "bench/server_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace larder::bench {
namespace {

using namespace std::chrono_literals;

[[noreturn]] void become(const std::string& program, const std::vector<std::string>& arguments, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    const int nothing = ::open("/dev/null", O_RDWR);
    for (int descriptor = 0; descriptor < 3; ++descriptor) ::dup2(nothing, descriptor);
    std::vector<char*> words{const_cast<char*>(program.c_str())};
    for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
    words.push_back(nullptr);
    ::execv(program.c_str(), words.data());
    ::_exit(127);
}

}  // namespace

ServerProcess::ServerProcess(const std::string& program, const std::vector<std::string>& arguments,
                             const std::function<bool()>& ready) {
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) become(program, arguments, parent);
    try {
        await(program, ready);
    } catch (...) {
        end();
        throw;
    }
}

ServerProcess::~ServerProcess() { end(); }

void ServerProcess::await(const std::string& program, const std::function<bool()>& ready) const {
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (!ready()) {
        siginfo_t info{};
        if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid_)
            throw std::runtime_error(program + " ended as it began");
        if (std::chrono::steady_clock::now() > until) throw std::runtime_error(program + " does not get ready");
        std::this_thread::sleep_for(10ms);
    }
}

void ServerProcess::end() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

std::string output_of(const std::string& command) {
    FILE* const pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error(command);
    std::string output;
    for (char buffer[4096]; std::fgets(buffer, sizeof buffer, pipe) != nullptr;) output += buffer;
    if (::pclose(pipe) != 0) throw std::runtime_error("this failed: " + command);
    return output;
}

std::string find_program(const std::string& name) {
    const char* const path = ::getenv("PATH");
    std::istringstream directories(path == nullptr ? "" : path);
    for (std::string directory; std::getline(directories, directory, ':');)
        if (const std::string file = directory + "/" + name; ::access(file.c_str(), X_OK) == 0) return file;
    return {};
}

std::string program_beside(const std::string& name) {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

}  // namespace larder::bench
