// The program `larder`, run as a user would: arguments, standard input, environment; its output and exit code.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace larder::test {

struct CommandResult {
    int code = -1;   ///< exit code; -1: it did not exit by itself within the watchdog's time
    int signal = 0;  ///< that it died of
    std::string out, err;

    boost::json::value json() const { return boost::json::parse(out); }
    /// Standard output, line by line.
    std::vector<std::string> lines() const {
        std::vector<std::string> lines;
        for (std::size_t at = 0; at < out.size();) {
            const std::size_t end = std::min(out.find('\n', at), out.size());
            lines.push_back(out.substr(at, end - at));
            at = end + 1;
        }
        return lines;
    }
};

/// One running `larder`. What it prints is collected by finish(), which every path should reach: its destructor kills.
class LarderCommand {
public:
    LarderCommand(const std::string& directory, const std::vector<std::string>& arguments,
                  const std::vector<std::pair<std::string, std::string>>& environment = {},
                  const char* program = LARDER_BINARY) {
        int in[2], out[2], err[2];
        if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0)
            throw std::runtime_error("pipe");
        pid_ = ::fork();
        if (pid_ < 0) throw std::runtime_error("fork");
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::dup2(in[0], STDIN_FILENO);
            ::dup2(out[1], STDOUT_FILENO);
            ::dup2(err[1], STDERR_FILENO);
            execute(directory, arguments, environment, program);
        }
        ::close(in[0]);
        ::close(out[1]);
        ::close(err[1]);
        in_ = in[1];
        out_ = out[0];
        err_ = err[0];
    }
    LarderCommand(const LarderCommand&) = delete;
    LarderCommand& operator=(const LarderCommand&) = delete;
    ~LarderCommand() {
        for (const int descriptor : {in_, out_, err_})
            if (descriptor >= 0) ::close(descriptor);
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    pid_t pid() const { return pid_; }
    void signal(int number) { ::kill(pid_, number); }
    /// Nobody reads its standard error any more.
    void close_errors() { ::close(std::exchange(err_, -1)); }

    /// The next line of standard output, without its end; what came before the end of output or of patience.
    std::string read_line(std::chrono::milliseconds patience = std::chrono::seconds(20)) {
        std::string line;
        for (char byte = 0;;) {
            pollfd ready{out_, POLLIN, 0};
            if (::poll(&ready, 1, static_cast<int>(patience.count())) != 1 || ::read(out_, &byte, 1) != 1) return line;
            if (byte == '\n') return line;
            line += byte;
        }
    }

    /// Writes `input`, closes standard input, reads all output, waits for the end.
    CommandResult finish(const std::string& input = {}, std::chrono::seconds patience = std::chrono::seconds(30)) {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        CommandResult result;
        std::size_t written = 0;
        while (out_ >= 0 || err_ >= 0) {
            if (in_ >= 0 && written == input.size()) ::close(std::exchange(in_, -1));
            pollfd ends[] = {{in_, POLLOUT, 0}, {out_, POLLIN, 0}, {err_, POLLIN, 0}};
            if (std::chrono::steady_clock::now() > deadline || ::poll(ends, 3, 1'000) < 0) return result;
            if (ends[0].revents != 0) feed(input, written);
            if (ends[1].revents != 0) drain(out_, result.out);
            if (ends[2].revents != 0) drain(err_, result.err);
        }
        int status = 0;
        ::waitpid(std::exchange(pid_, -1), &status, 0);
        result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        return result;
    }

private:
    [[noreturn]] static void execute(const std::string& directory, std::vector<std::string> arguments,
                                     const std::vector<std::pair<std::string, std::string>>& environment,
                                     const char* program) {
        for (const char* const name : {"LARDER_CACHE", "LARDER_SIZE", "LARDER_TTL", "LARDER_LOG", "LARDER_CONFIG"})
            ::unsetenv(name);
        ::setenv("LARDER_DIR", directory.c_str(), 1);
        ::setenv("LARDER", LARDER_BINARY, 1);
        ::signal(SIGPIPE, SIG_DFL);
        for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
        arguments.insert(arguments.begin(), program);
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        ::execv(program, argv.data());
        ::_exit(127);
    }
    void feed(const std::string& input, std::size_t& written) {
        ::signal(SIGPIPE, SIG_IGN);  // it need not read all that it is given
        const ssize_t n = ::write(in_, input.data() + written, std::min<std::size_t>(input.size() - written, 4'096));
        written = n <= 0 ? input.size() : written + static_cast<std::size_t>(n);
    }
    static void drain(int& descriptor, std::string& into) {
        char buffer[1 << 14];
        const ssize_t n = ::read(descriptor, buffer, sizeof buffer);
        if (n > 0) return void(into.append(buffer, static_cast<std::size_t>(n)));
        ::close(std::exchange(descriptor, -1));
    }

    pid_t pid_ = -1;
    int in_ = -1, out_ = -1, err_ = -1;
};

inline CommandResult run_larder(const std::string& directory, const std::vector<std::string>& arguments,
                                const std::string& input = {},
                                const std::vector<std::pair<std::string, std::string>>& environment = {}) {
    return LarderCommand(directory, arguments, environment).finish(input);
}

/// A script for /bin/sh, in which "$LARDER" is the program.
inline CommandResult run_shell(const std::string& directory, const std::string& script, const std::string& input = {}) {
    return LarderCommand(directory, {"-c", script}, {}, "/bin/sh").finish(input);
}

}  // namespace larder::test
