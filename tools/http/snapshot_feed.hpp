// SnapshotFeed: what the dashboards that watch a worker are sent, once a second, however many they are.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/access.hpp"
#include "core/source_pool.hpp"
#include "core/warm_queue.hpp"
#include "shm/cache.hpp"
#include "tools/http/event_stream.hpp"

namespace larder::tools {

/// Its thread looks at the cache while somebody watches, and is at rest else. A look costs what TopSource says, and a
/// slice of the assignments; it changes nothing in the segment. Each audience (the admins; the assignments' author) has
/// one text made for it. Threads: safe.
class SnapshotFeed {
public:
    static constexpr std::size_t most_watchers = 16;
    static constexpr std::chrono::milliseconds interval{1'000};

    /// `jobs` outlives it. `relay_caught_up`: any thread.
    SnapshotFeed(Options cache, SourceFactory open_source, WarmQueue& jobs, std::function<bool()> relay_caught_up);
    ~SnapshotFeed();
    SnapshotFeed(const SnapshotFeed&) = delete;
    SnapshotFeed& operator=(const SnapshotFeed&) = delete;

    /// Null: as many watch as may. What it returns may outlive the feed: then it says nothing more.
    std::unique_ptr<EventStream> watch(const Caller& caller);

private:
    struct Watchers;
    class Looker;
    class Watcher;
    void run(const std::stop_token& stop);

    const Options options_;
    SourcePool sources_;
    WarmQueue& jobs_;
    const std::function<bool()> relay_caught_up_;
    const std::shared_ptr<Watchers> watchers_;
    std::jthread thread_;  // the last member: it ends first
};

}  // namespace larder::tools
