#include "tests/damage/trial.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>

#include "shm/location.hpp"
#include "shm/system.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shared_object.hpp"

namespace larder::damage {
namespace {

constexpr unsigned kAlarmSeconds = 20;  // R6: what counts as a hang
constexpr int kWrong = 3, kThrew = 4;

/// One process at a time, with a directory and an outcome of its own.
struct Lane {
    const test::ScopedDirectory directory;
    const test::SharedObject<Outcome> outcome;
    pid_t pid = 0;
    std::int64_t started_ns = 0;
    Trial trial;
};

void say(char* into, std::size_t size, const std::string& text) { std::snprintf(into, size, "%s", text.c_str()); }

void add(Outcome& outcome, const Tally& tally) {
    outcome.hits += tally.hits;
    outcome.misses += tally.misses;
    outcome.wrong_bytes += tally.wrong_bytes;
}

/// The life of the process.
class Subject {
public:
    Subject(const Specimen& specimen, const Mutant& mutant, const Lane& lane, const TrialRules& rules)
        : specimen_(specimen), mutant_(mutant), lane_(lane), rules_(rules), outcome_(*lane.outcome) {}

    int live() {
        const std::string path = shm::locate(lane_.directory.path(), kCacheName, false).segment_path();
        ::unlink(path.c_str());
        specimen_.write(path, mutant_.edits, mutant_.file_bytes);
        enter(Stage::inspecting);
        const Inspected inspected = inspect(specimen_, lane_.directory.path());
        say(outcome_.findings, sizeof outcome_.findings, inspected.findings);
        add(outcome_, inspected.dumped);
        if (inspected.verified.wrong_bytes != 0) fail("a dump with checksums shows wrong bytes");
        use(path);
        enter(Stage::done);
        return outcome_.failure[0] == '\0' ? 0 : kWrong;
    }

private:
    void use(const std::string& path) try {
        enter(Stage::attaching);
        Options options;
        options.name = kCacheName;
        options.directory = lane_.directory.path();
        options.size_bytes = 12 << 20;  // where the damage says that the segment is abandoned, a new one is made
        Cache cache = Cache::open(options);
        options.verify_checksums = true;
        Cache verified = Cache::open(options);
        enter(Stage::reading);
        const Tally plain = read(cache, path, outcome_.kept);
        if (plain.wrong_bytes != 0 && !mutant_.touches_arenas(specimen_)) fail("wrong bytes, with all values whole");
        enter(Stage::verifying);
        Hits kept;
        if (read(verified, path, kept).wrong_bytes != 0) fail("wrong bytes in spite of checksums");
        outcome_.kept &= kept;
        if (!rules_.writes) return;
        enter(Stage::writing);
        write_all(cache, specimen_, mutant_.number);
        read(cache, path, kept);
    } catch (const OpenError&) {
        outcome_.refused = 1;
    }

    Tally read(Cache& cache, const std::string& path, Hits& kept) {
        Reader reader(cache, specimen_, path, mutant_.number);
        kept = reader.read_each();
        reader.read(rules_.reads - std::min<std::uint64_t>(rules_.reads, specimen_.shape().keys));
        add(outcome_, reader.tally());
        if (!reader.failure().empty()) fail(reader.failure());
        return reader.tally();
    }

    void enter(Stage stage) { outcome_.stage.store(stage, std::memory_order_relaxed); }
    void fail(const std::string& what) {
        if (outcome_.failure[0] == '\0') say(outcome_.failure, sizeof outcome_.failure, what);
    }

    const Specimen& specimen_;
    const Mutant& mutant_;
    const Lane& lane_;
    const TrialRules& rules_;
    Outcome& outcome_;
};

class Trials {
public:
    Trials(const std::vector<Specimen>& specimens, const TrialRules& rules) : specimens_(specimens), rules_(rules) {
        const unsigned lanes = std::max(2U, std::thread::hardware_concurrency());
        for (unsigned i = 0; i < lanes; ++i) lanes_.push_back(std::make_unique<Lane>());
    }

    void start(Mutant mutant, const std::function<void(const Trial&)>& told) {
        while (running_ == lanes_.size()) await(told);
        Lane& lane = **std::find_if(lanes_.begin(), lanes_.end(), [](const auto& one) { return one->pid == 0; });
        lane.trial = {std::move(mutant)};
        new (&*lane.outcome) Outcome{};
        const pid_t parent = ::getpid();
        lane.started_ns = shm::system::monotonic_ns();
        lane.pid = ::fork();
        if (lane.pid < 0) throw std::runtime_error("fork");
        if (lane.pid == 0) ::_exit(run(lane, parent));
        ++running_;
    }

    void finish(const std::function<void(const Trial&)>& told) {
        while (running_ != 0) await(told);
    }

private:
    int run(const Lane& lane, pid_t parent) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) return 1;
        ::alarm(kAlarmSeconds);
        try {
            return Subject(specimens_[lane.trial.mutant.specimen], lane.trial.mutant, lane, rules_).live();
        } catch (const std::exception& error) {
            say(lane.outcome->failure, sizeof lane.outcome->failure, std::string("threw ") + error.what());
            return kThrew;
        }
    }

    void await(const std::function<void(const Trial&)>& told) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, 0);
        const auto lane =
            std::find_if(lanes_.begin(), lanes_.end(), [pid](const auto& one) { return one->pid == pid; });
        if (pid <= 0 || lane == lanes_.end()) throw std::runtime_error("waitpid");
        (*lane)->pid = 0;
        --running_;
        Trial& trial = (*lane)->trial;
        trial.outcome = &*(*lane)->outcome;
        trial.took_ns = shm::system::monotonic_ns() - (*lane)->started_ns;
        trial.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        if (trial.signal == SIGALRM)
            trial.ending = Ending::hung;
        else if (WIFEXITED(status) && WEXITSTATUS(status) == kWrong)
            trial.ending = Ending::wrong;
        else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            trial.ending = Ending::crashed;
        told(trial);
    }

    const std::vector<Specimen>& specimens_;
    const TrialRules rules_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::size_t running_ = 0;
};

}  // namespace

void run_trials(const std::vector<Specimen>& specimens, const Mutants& mutants, const TrialRules& rules,
                const std::function<void(const Trial&)>& told) {
    Trials trials(specimens, rules);
    while (std::optional<Mutant> next = mutants()) trials.start(std::move(*next), told);
    trials.finish(told);
}

}  // namespace larder::damage
