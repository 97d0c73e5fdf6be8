#include "tests/torture/kill_scene.hpp"

#include <sys/wait.h>

#include <chrono>

#include "shm/inspector.hpp"
#include "shm/location.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/invariants.hpp"
#include "tests/torture/kill_actor.hpp"

namespace larder::torture {
namespace {

Options options_in(const std::string& directory) {
    Options options;
    options.directory = directory;
    options.size_bytes = 64ULL << 20;
    options.shards = kShards;
    options.expected_entries = 2 * kKeys;
    options.max_entries = kKeys * 3 / 4;  // so that there are evictions
    options.tracked_keys = 1024;
    return options;
}

std::string made(const Options& options) {
    const pid_t maker = test::fork_to([&] { return Cache::open(options).tend(), 0; });
    ::waitpid(maker, nullptr, 0);
    return shm::locate(options.directory, options.name, true).segment_path();
}

}  // namespace

KillScene::KillScene()
    : options_(options_in(directory_.path())),
      path_(made(options_)),
      segment_(shm::Segment::attach_read_only(path_)),
      fresh_bytes_(shm::read_gauges(view()).arena_used_bytes) {}

pid_t KillScene::start_actor(std::uint32_t number, std::uint64_t seed) {
    return test::fork_to([&] { return KillActor(Cache::open(options_), view(), world_, number, seed).live(); });
}

std::string KillScene::leftovers() const {
    Cache cache = Cache::open(options_);
    for (std::uint32_t n = 0; n < kKeys; ++n) cache.erase(key_of(n));
    for (int i = 0; i < 300; ++i) cache.tend();
    const shm::Gauges gauges = shm::read_gauges(view());
    if (gauges.entries != 0) return std::to_string(gauges.entries) + " entries are left";
    if (gauges.arena_used_bytes != fresh_bytes_)
        return std::to_string(gauges.arena_used_bytes - fresh_bytes_) + " bytes leaked";
    return test::first_violation(view());
}

}  // namespace larder::torture
