#include "tests/fleet/host.hpp"

#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <boost/json/parse.hpp>
#include <filesystem>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/fleet/sandbox.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"

namespace larder::fleet {
namespace {

constexpr std::chrono::seconds kStarting{30};
constexpr int kMostStarts = 500;  // a few milliseconds apart

std::string end_of(const std::string& text) {
    return text.substr(text.size() - std::min<std::size_t>(text.size(), 500));
}

std::string make_directory() {
    static std::atomic<int> number{0};
    std::string path = std::string(kFiles) + "/host-" + std::to_string(++number);
    ::mkdir(path.c_str(), 0700);
    return path;
}

}  // namespace

Abilities Abilities::of(const std::string& program) {
    const std::string help = output_of({program, "serve", "--help"});
    const auto has = [&help](const char* option) { return help.find(option) != std::string::npos; };
    return {.program = program,
            .has_degraded = has("--degraded-after "),
            .has_nats = has("--nats "),
            .has_tier = has("--fleet-tier ")};
}

Host::Host(int number, int node, const Abilities& abilities)
    : number_(number), abilities_(abilities), node_(node), directory_(make_directory()) {}

void Host::start_without_waiting() {
    supervisor_.emplace(ProgramStart{
        .words = words(), .network = node_.network().descriptor(), .log = directory_ + ".log", .user = {}});
}

/// As a service manager would: the workers of one that was killed may keep its port for a moment.
void Host::start() {
    start_without_waiting();
    std::set<std::string> ready;
    int starts = 1;
    const auto is_up = [&] {
        if (supervisor_->has_ended() && ++starts <= kMostStarts) start_without_waiting();
        const test::HttpAnswer answer = test::http_get(port, "/healthz");
        if (answer.status == 200) ready.insert(answer.header("X-Worker"));
        return ready.size() == workers;
    };
    std::thread([&] {
        node_.network().enter();
        test::eventually([&] { return is_up() || starts > kMostStarts; }, kStarting);
    }).join();
    if (ready.size() != workers)
        throw std::runtime_error("host " + std::to_string(number_) + " does not come up: " + end_of(log()));
}

void Host::kill() {
    supervisor_->signal(SIGKILL);
    supervisor_->wait();
}

void Host::kill_worker() const {
    const std::string pid = std::to_string(supervisor_->pid());
    std::istringstream children(text_of("/proc/" + pid + "/task/" + pid + "/children"));
    if (pid_t worker = 0; children >> worker) ::kill(worker, SIGKILL);
}

std::int64_t Host::computations() const {
    const auto stat = boost::json::parse(output_of({abilities_.program, "stat", "--directory", directory_, "--json"}));
    return stat.at("counters").at("computations").to_number<std::int64_t>();
}

std::string Host::log() const { return text_of(directory_ + ".log"); }

bool Host::shares_documents() const {
    std::string found;
    std::thread([&] {
        node_.network().enter();
        found = output_of({abilities_.program, "doctor", "--directory", directory_, "--db", servers_.database, "--nats",
                           servers_.nats, "--fleet-tier", "true"});
    }).join();
    return found.find("stream_position") != std::string::npos && found.find("tier_unusable") == std::string::npos;
}

/// No value ends by its time to live within a run: what was missed stays missed.
std::vector<std::string> Host::words() const {
    std::vector<std::string> words{abilities_.program,
                                   "serve",
                                   "--db",
                                   servers_.database,
                                   "--relay-db",
                                   servers_.relay_database,
                                   "--directory",
                                   directory_,
                                   "--size",
                                   "96MiB",
                                   "--listen",
                                   "127.0.0.1:" + std::to_string(port),
                                   "--workers",
                                   std::to_string(workers),
                                   "--ttl",
                                   "1d"};
    const auto add = [&words](const char* option, const std::string& value) {
        words.insert(words.end(), {option, value});
    };
    if (abilities_.has_degraded) {
        add("--degraded-after", std::to_string(abilities_.degraded_after_ms) + "ms");
        add("--max-stale", std::to_string(abilities_.max_stale_ms) + "ms");
    }
    if (abilities_.uses_nats) add("--nats", servers_.nats);
    if (abilities_.uses_tier) add("--fleet-tier", "true");
    return words;
}

}  // namespace larder::fleet
