// The soak: a mixed load and one kill a second, for as long as one likes, and the figures that must not grow meanwhile.
#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "core/promise.hpp"
#include "shm/location.hpp"
#include "shm/socket/notifier.hpp"
#include "shm/system.hpp"
#include "tests/soak/sampler.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/harness.hpp"
#include "tests/torture/kill_scene.hpp"

namespace larder::soak {
namespace {

using torture::kActors;
using torture::KillScene;

constexpr std::uint32_t kResidents = 2;  // the first actors are never killed, so that they show what grows
constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kNoticeNs = 1'000'000;  // from one of a client to the next

struct Settings {
    std::uint64_t seconds = 1200, every = 30, seed = 1;
    std::string promises;

    std::string command() const {
        return "build/release/tests/larder_soak --seconds " + std::to_string(seconds) + " --every " +
               std::to_string(every) + " --seed " + std::to_string(seed);
    }
};

/// A reader beside the actors that times its lookups, and listens to the socket; it lives as long as they do.
int read_for_ever(Options options, torture::KillWorld& world, LatencyHistogram& lookups, std::uint64_t seed) {
    options.listen = true;
    Cache cache = Cache::open(options);
    std::mt19937_64 random(seed);
    while (!world->stop) {
        const std::string key = torture::key_of(static_cast<std::uint32_t>(random() % torture::kKeys));
        const std::int64_t began_ns = shm::system::monotonic_ns();
        const Pinned got = cache.get(key);
        lookups.add(static_cast<std::uint64_t>(shm::system::monotonic_ns() - began_ns));
    }
    return 0;
}

/// A client that connects for each notice. While the listener comes and goes nobody answers.
int announce_for_ever(const Options& options, torture::KillWorld& world, std::atomic<std::uint64_t>& acknowledged,
                      std::uint64_t seed) {
    const Notifier notifier(shm::locate(options.directory, options.name, true).socket_path());
    std::mt19937_64 random(seed);
    while (!world->stop) {
        const auto key = static_cast<std::uint32_t>(random() % torture::kKeys);
        if (notifier.invalidate(torture::key_of(key))) ++acknowledged;
        shm::system::sleep_ns(kNoticeNs);
    }
    return 0;
}

class Soak {
public:
    explicit Soak(const Settings& settings) : settings_(settings), random_(settings.seed) {
        for (std::uint32_t actor = 0; actor < kActors; ++actor) start(actor);
        reader_ = test::fork_to(
            [&] { return read_for_ever(scene_.options(), scene_.world(), sampler_.lookups(), settings_.seed); });
        client_ = test::fork_to(
            [&] { return announce_for_ever(scene_.options(), scene_.world(), *notices_, settings_.seed); });
    }
    ~Soak() {
        for (pid_t* const one : all()) test::end(*one);
    }
    Soak(const Soak&) = delete;
    Soak& operator=(const Soak&) = delete;

    /// What went wrong, beginning with the promise that it breaks ("R15 ..."); empty: nothing.
    std::string run() {
        sampler_.print_heading();
        const std::int64_t began_ns = shm::system::monotonic_ns();
        for (std::uint64_t second = 1; second <= settings_.seconds; ++second) {
            const std::int64_t due_ns = began_ns + static_cast<std::int64_t>(second) * kSecondNs;
            shm::system::sleep_ns(std::max<std::int64_t>(0, due_ns - shm::system::monotonic_ns()));
            if (std::string wrong = look(); !wrong.empty()) return wrong;
            kill_one();
            if (second % settings_.every == 0) sampler_.sample(second, {actors_[0], actors_[1], reader_, client_});
        }
        if (std::string wrong = end(); !wrong.empty()) return wrong;
        const std::string grown = sampler_.growth();
        return grown.empty() ? "" : "R15 " + grown;
    }
    std::uint64_t kills() const { return kills_; }
    std::uint64_t notices() const { return *notices_; }
    std::uint64_t checked() const {
        std::uint64_t all = 0;
        for (const torture::ActorState& actor : scene_.world()->actors) all += actor.checked;
        return all;
    }

private:
    std::vector<pid_t*> all() {
        std::vector<pid_t*> all{&reader_, &client_};
        for (pid_t& actor : actors_) all.push_back(&actor);
        return all;
    }
    void start(std::uint32_t actor) { actors_[actor] = scene_.start_actor(actor, settings_.seed + 7919 * ++started_); }

    std::string look() {
        std::string dead;
        for (const pid_t* const one : all())
            if (test::is_dead(*one)) dead = "R1 process " + std::to_string(*one) + " died by itself";
        const std::string read = look_at_reads();  // after that: an exception ends its process
        return read.empty() ? dead : read;
    }

    std::string look_at_reads() {
        const torture::KillWorldState& world = *scene_.world();
        return world.wrong != torture::Wrong::none ? std::string(world.broken()) + " " + world.what_is_wrong() : "";
    }

    void kill_one() {
        const auto victim = static_cast<std::uint32_t>(kResidents + random_() % (kActors - kResidents));
        test::end(actors_[victim]);
        ++kills_;
        start(victim);
    }

    std::string end() {
        scene_.world()->stop = true;
        std::string ended;
        for (pid_t* const one : all())
            if (std::string wrong = test::end_in_order(*one); !wrong.empty()) ended = "R1 " + wrong;
        if (std::string wrong = look_at_reads(); !wrong.empty()) return wrong;
        if (!ended.empty()) return ended;
        if (*notices_ <= kills_) return "aim: fewer notices were acknowledged than processes died";
        const std::string left = scene_.leftovers();
        return left.empty() ? "" : "R15 " + left;
    }

    const Settings& settings_;
    std::mt19937_64 random_;
    KillScene scene_;
    Sampler sampler_{scene_.view(), scene_.path()};
    test::SharedObject<std::atomic<std::uint64_t>> notices_;  // that were acknowledged
    pid_t actors_[kActors] = {}, reader_ = 0, client_ = 0;
    std::uint64_t started_ = 0, kills_ = 0;
};

/// R3 and R15; that a process died or hung (R1) the exit code tells.
void keep_promises(const Settings& settings, const std::string& wrong, const Soak& soak) {
    if (settings.promises.empty()) return;
    const auto tell = [&](const std::string& name, std::uint64_t samples) {
        const double violations = wrong.rfind(name + " ", 0) == 0 ? 1 : 0;
        append_promise(settings.promises,
                       {name, "violations", {"==", 0}, violations, samples, {violations}, settings.command()});
    };
    tell("R3", soak.checked());
    tell("R15", soak.kills());
}

int soak(const Settings& settings) {
    if (settings.seconds / settings.every < Sampler::kFewest)
        return std::fprintf(stderr,
                            "larder_soak: growth shows in %zu samples or more: more --seconds, or less --every\n",
                            Sampler::kFewest),
               2;
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    Soak soak(settings);
    const std::string wrong = soak.run();
    keep_promises(settings, wrong, soak);
    if (wrong.empty()) return std::printf("%lu kills, %lu notices; nothing grew\n", soak.kills(), soak.notices()), 0;
    return std::printf("FAILED: %s\nagain: %s\n", wrong.c_str(), settings.command().c_str()), 1;
}

}  // namespace
}  // namespace larder::soak

int main(int argc, char** argv) {
    CLI::App program("Works on a cache and kills a process each second, and checks that nothing grows");
    larder::soak::Settings settings;
    program.add_option("--seconds", settings.seconds, "How long; a day has 86400")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    program.add_option("--every", settings.every, "Seconds from one line to the next")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    program.add_option("--seed", settings.seed, "Of all random choices but the moment")->capture_default_str();
    program.add_option("--promises", settings.promises, "Append R3 and R15 to this file");
    CLI11_PARSE(program, argc, argv);
    return larder::test::run_harness(settings.command(), [&] { return larder::soak::soak(settings); });
}
