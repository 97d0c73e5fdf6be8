#include "tests/fleet/program.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "tests/fleet/sandbox.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"

namespace larder::fleet {
namespace {

/// Between fork and exec: nothing but system calls, for other threads may have held any lock.
[[noreturn]] void become(const ProgramStart& start, const passwd* user, char* const* argv) {
    const char* const log = start.log.empty() ? "/dev/null" : start.log.c_str();
    const int in = ::open("/dev/null", O_RDONLY);
    const int out = ::open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(in, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    if (start.network >= 0 && ::setns(start.network, CLONE_NEWNET) != 0) ::_exit(81);
    if (user != nullptr && (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0))
        ::_exit(82);
    ::close_range(STDERR_FILENO + 1, ~0U, 0);
    ::execv(argv[0], argv);
    ::_exit(83);
}

std::string log_of_its_own() {
    static std::atomic<int> number{0};
    return std::string(kFiles) + "/output-" + std::to_string(++number);
}

}  // namespace

Program::Program(const ProgramStart& start) {
    std::vector<char*> argv;
    for (const std::string& word : start.words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const passwd* const user = start.user.empty() ? nullptr : ::getpwnam(start.user.c_str());
    if (!start.user.empty() && user == nullptr) throw std::runtime_error("there is no user " + start.user);
    pid_ = ::fork();
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid_ == 0) become(start, user, argv.data());
}

Program::Program(Program&& other) noexcept : pid_(std::exchange(other.pid_, -1)), code_(other.code_) {}

Program::~Program() {
    signal(SIGKILL);
    wait();
}

void Program::signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);
}

bool Program::has_ended() {
    int status = 0;
    if (pid_ <= 0) return true;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
    pid_ = -1;
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return true;
}

int Program::wait() {
    if (!test::eventually([this] { return has_ended(); }, test::kWatchdog)) {
        signal(SIGKILL);
        test::eventually([this] { return has_ended(); }, test::kWatchdog);
    }
    return code_;
}

void run_program(const std::vector<std::string>& words, int network, const std::string& user) {
    const std::string log = log_of_its_own();
    std::ofstream(log).close();
    Program program({.words = words, .network = network, .log = log, .user = user});
    const int code = program.wait();
    const std::string said = text_of(log);
    ::unlink(log.c_str());
    if (code == 0) return;
    std::string line;
    for (const std::string& word : words) line += word + " ";
    throw std::runtime_error(line + "ended with " + std::to_string(code) + ": " + said);
}

std::string output_of(const std::vector<std::string>& words) {
    const std::string log = log_of_its_own();
    Program({.words = words, .network = -1, .log = log, .user = {}}).wait();
    std::string said = text_of(log);
    ::unlink(log.c_str());
    return said;
}

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string find_program(const std::string& name) {
    for (const char* directory : {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/", "/usr/local/bin/"})
        if (::access((directory + name).c_str(), X_OK) == 0) return directory + name;
    return {};
}

}  // namespace larder::fleet
