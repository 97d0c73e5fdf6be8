// Reloader: what a supervisor does at SIGHUP: reads its files again, and has the workers replaced by ones that know
// what they say now.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tools/handover.hpp"
#include "tools/serve_config.hpp"
#include "tools/settings.hpp"
#include "tools/terminal_watch.hpp"
#include "tools/worker_crew.hpp"

namespace larder::tools {

/// What has changed between two readings of the files.
struct ReloadPlan {
    Handover handover;  ///< what is in force from now on; of what needs a restart, the old
    std::size_t workers = 0;
    std::string log_level;
    std::vector<std::string> changed;        ///< `ttl = 60s (was 300s)`
    std::vector<std::string> needs_restart;  ///< the same
};

/// Flags and variables stay as they are, and the file's changes of them are not seen. `address`: where is listened, on
/// whichever socket. Throws ConfigFileError, KeyFileError, AddressError, or std::invalid_argument, of whatever is
/// wrong.
ReloadPlan plan_reload(const SettingsInUse& in_use, const Handover& running, const ListenAddress& address);

/// One thread. Says in the log what it does.
class Reloader {
public:
    /// `on_reloaded` hears what all options say when the workers are new.
    Reloader(const ListenAddress& address, Handover running, std::function<void(const SettingText&)> on_reloaded)
        : address_(address), running_(std::move(running)), on_reloaded_(std::move(on_reloaded)) {}

    /// A SIGHUP came.
    void ask(WorkerCrew::Clock::time_point now);
    /// The SIGHUP was no wish to reload: nobody is there any more.
    bool terminal_has_closed(WorkerCrew::Clock::time_point now) { return terminal_.has_closed(now); }
    /// To be called a few times a second: begins what was asked for when the workers are not being replaced already.
    void step(WorkerCrew& workers, WorkerCrew::Clock::time_point now);
    /// Between the begin of a reload and its end.
    bool is_reloading() const { return reloading_; }

private:
    void begin(WorkerCrew& workers);
    void end(bool failed);
    void succeed();
    std::string log_level() const;

    const ListenAddress address_;
    Handover running_;
    const std::function<void(const SettingText&)> on_reloaded_;
    Handover before_;  // while reloading: what is returned to if the workers cannot do with the new
    std::string log_level_before_;
    TerminalWatch terminal_;
    bool asked_ = false;
    bool reloading_ = false;
};

}  // namespace larder::tools
