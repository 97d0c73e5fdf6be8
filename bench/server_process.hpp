// ServerProcess: a program that runs as long as this object lives.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace larder::bench {

class ServerProcess {
public:
    /// Its output goes nowhere. It dies with this process. Returns once ready() is true. Throws std::runtime_error: the
    /// program ended, or is not ready within 20 s.
    ServerProcess(const std::string& program, const std::vector<std::string>& arguments,
                  const std::function<bool()>& ready);
    ~ServerProcess();
    ServerProcess(const ServerProcess&) = delete;
    ServerProcess& operator=(const ServerProcess&) = delete;

    pid_t pid() const { return pid_; }

private:
    void await(const std::string& program, const std::function<bool()>& ready) const;
    void end();

    pid_t pid_ = 0;
};

/// What a shell's command prints. Throws std::runtime_error: it failed.
std::string output_of(const std::string& command);
/// Where PATH has it; "": nowhere.
std::string find_program(const std::string& name);
/// A program that lies beside this one.
std::string program_beside(const std::string& name);

}  // namespace larder::bench
