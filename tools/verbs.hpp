// The verbs of `larder`: one function each, which adds a subcommand to the program.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

namespace CLI {
class App;
}

namespace larder::tools {

/// What a verb ends with; scripts rely on these.
enum ExitCode : int { kOk = 0, kNegative = 1, kUsage = 2, kFailure = 3 };

/// Thrown by a verb that ends early: one clear sentence for stderr, and the exit code.
struct Refusal : std::runtime_error {
    Refusal(ExitCode exit_code, const std::string& what) : std::runtime_error(what), code(exit_code) {}
    ExitCode code;
};

/// A mistake in the command line or a variable that is found late; the message is given where its verb's help is.
struct UsageError : Refusal {
    explicit UsageError(const std::string& what) : Refusal(kUsage, what) {}
};

/// What the chosen verb does after the whole command line was parsed; returns an exit code, may throw Refusal or any
/// std::exception (exit code 3).
using Action = std::function<int()>;

// Each adds its verb to `program`; when the command line names the verb, it sets `action`. `action` outlives `program`.
void add_import(CLI::App& program, Action& action);
void add_serve(CLI::App& program, Action& action);
void add_token(CLI::App& program, Action& action);
void add_analytics(CLI::App& program, Action& action);
void add_hit_rate(CLI::App& program, Action& action);
void add_ls(CLI::App& program, Action& action);
void add_stat(CLI::App& program, Action& action);
void add_top(CLI::App& program, Action& action);
void add_dump(CLI::App& program, Action& action);
void add_get(CLI::App& program, Action& action);
void add_put(CLI::App& program, Action& action);
void add_invalidate(CLI::App& program, Action& action);
void add_listen(CLI::App& program, Action& action);
void add_doctor(CLI::App& program, Action& action);
void add_rm(CLI::App& program, Action& action);
void add_replay(CLI::App& program, Action& action);
void add_advise(CLI::App& program, Action& action);
void add_record(CLI::App& program, Action& action);
void add_help(CLI::App& program, Action& action);
void add_warm(CLI::App& program, Action& action);
void add_triggers(CLI::App& program, Action& action);
void add_config(CLI::App& program, Action& action);

}  // namespace larder::tools
