// A program in a network namespace: started, stopped, killed.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace larder::fleet {

struct ProgramStart {
    std::vector<std::string> words;  ///< the program's path first
    int network = -1;                ///< descriptor of a namespace; -1: the caller's
    std::string log;                 ///< file for what it prints, appended to; empty: /dev/null
    std::string user;                ///< whose it is; empty: the caller's
};

/// Killed at the end of its scope. Threads: one at a time.
class Program {
public:
    /// Throws std::system_error.
    explicit Program(const ProgramStart& start);
    Program(Program&& other) noexcept;
    Program(const Program&) = delete;
    ~Program();

    pid_t pid() const { return pid_; }
    void signal(int number) const;
    bool has_ended();
    /// Waits for its end; kills it where it takes longer than the watchdog's time. Its exit code; -1: it was killed.
    int wait();

private:
    pid_t pid_ = -1;
    int code_ = -1;
};

/// Runs it to its end. Throws std::runtime_error with what it printed when it fails.
void run_program(const std::vector<std::string>& words, int network = -1, const std::string& user = {});

/// What it prints, whatever its exit code.
std::string output_of(const std::vector<std::string>& words);

/// A file's text; "": there is none.
std::string text_of(const std::string& path);

/// The first place where such a program is; "": nowhere.
std::string find_program(const std::string& name);

}  // namespace larder::fleet
