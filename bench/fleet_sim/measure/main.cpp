// larder_fleet_costs: measures what larder_fleet_sim is given, with servers of its own: larder_fleet_costs FILE.json
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "bench/fleet_sim/measure/nats_costs.hpp"
#include "bench/fleet_sim/measure/postgres_costs.hpp"
#include "bench/machine.hpp"

namespace larder::bench::sim {
namespace {

class Directory {
public:
    Directory() {
        std::string name = "/tmp/larder-costs-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no directory in /tmp");
        path_ = name;
        ::chmod(name.c_str(), 0755);
        std::filesystem::create_directories(path_ + "/postgres");
        std::filesystem::create_directories(path_ + "/nats");
        std::filesystem::create_directories(path_ + "/again");
    }
    ~Directory() {
        std::error_code left;
        std::filesystem::remove_all(path_, left);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

/// What no measurement here says: the machines of a fleet are others.
void assume(CostFile& costs) {
    constexpr const char* assumed = "assumed";
    costs.add("postgres.processors", 8, "processors", assumed);
    costs.add("nats.processors", 4, "processors", assumed);
    costs.add("nats.servers", 3, "servers", "as fleets are to run it");
    costs.add("network.round_trip", 500, "us", "assumed: one data centre");
}

}  // namespace
}  // namespace larder::bench::sim

int main(int argc, char** argv) {
    using namespace larder::bench;
    if (argc != 2) {
        std::fputs("usage: larder_fleet_costs FILE.json\n", stderr);
        return 2;
    }
    try {
        const std::string machine = machine_text();
        const sim::Directory directory;
        sim::CostFile costs;
        sim::measure_postgres(directory.path() + "/postgres", costs);
        sim::measure_nats(directory.path() + "/nats", costs);
        sim::assume(costs);
        costs.write(argv[1], machine);
        sim::compare_with_relays(directory.path() + "/again", sim::read_costs(argv[1]));
        return 0;
    } catch (const std::exception& error) {
        std::fputs(fmt::format("larder_fleet_costs: {}\n", error.what()).c_str(), stderr);
        return 1;
    }
}
