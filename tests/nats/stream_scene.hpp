// A host of the fleet that only remembers what it was told, and who publishes to it.
#pragma once

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/nats/stream_publisher.hpp"
#include "core/nats/stream_relay.hpp"
#include "tests/nats/nats_server.hpp"

namespace larder::test {

/// Outlives relays, as a segment does.
class RecordingSink final : public NoticeSink {
public:
    void changed(std::span<const AssignmentId> ids) override {
        const std::lock_guard lock(mutex_);
        told_.insert(told_.end(), ids.begin(), ids.end());
    }
    void published(std::span<const AssignmentId> ids) override {
        const std::lock_guard lock(mutex_);
        published_.insert(published_.end(), ids.begin(), ids.end());
    }
    void everything_changed(std::string_view why) override {
        const std::lock_guard lock(mutex_);
        flushes_.emplace_back(why);
    }
    std::optional<OutboxPosition> position() override {
        const std::lock_guard lock(mutex_);
        return known_;
    }
    void remember(const OutboxPosition& position) override {
        const std::lock_guard lock(mutex_);
        known_ = position;
    }
    void look_begins() override {
        const std::lock_guard lock(mutex_);
        ++begun_;
    }
    void look_ended(std::uint64_t position) override {
        const std::lock_guard lock(mutex_);
        ended_.push_back({position, told_.size()});
    }
    /// A look that ended, and how many ids had been told and not taken by then.
    struct Look {
        std::uint64_t position = 0;
        std::size_t told = 0;
        friend bool operator==(const Look&, const Look&) = default;
    };

    std::vector<AssignmentId> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(told_, {});
    }
    std::vector<AssignmentId> take_published() {
        const std::lock_guard lock(mutex_);
        return std::exchange(published_, {});
    }
    std::vector<std::string> take_flushes() {
        const std::lock_guard lock(mutex_);
        return std::exchange(flushes_, {});
    }
    std::vector<Look> take_looks() {
        const std::lock_guard lock(mutex_);
        return std::exchange(ended_, {});
    }
    int begun() {
        const std::lock_guard lock(mutex_);
        return begun_;
    }
    void forget() {
        const std::lock_guard lock(mutex_);
        known_.reset();
    }

private:
    std::mutex mutex_;
    std::vector<AssignmentId> told_, published_;
    std::vector<std::string> flushes_;
    std::vector<Look> ended_;
    std::optional<OutboxPosition> known_;
    int begun_ = 0;
};

using Ids = std::vector<AssignmentId>;
using Texts = std::vector<std::string>;

/// A database of its own on a server, its publisher, and one host that has come as far as the stream.
struct StreamScene {
    explicit StreamScene(NatsServers& its_servers) : servers(its_servers) {
        restart_host();
        catch_up();
        host.take();
        host.take_flushes();
        host.take_published();
    }
    void restart_host() {
        relay.reset();
        relay.emplace(servers.options(), database, host, Log{});
    }
    /// The host reads all that the publisher sent.
    bool catch_up() {
        return eventually([&] {
            relay->poll();
            return relay->applied() >= publisher.last_sequence();
        });
    }
    void tell(AssignmentId id) { publisher.changed(std::vector{id}); }
    jsCtx* jet_stream() { return admin.jet_stream(); }
    const char* stream() const { return publisher.names().stream.c_str(); }

    NatsServers& servers;
    const std::string database = new_database();
    RecordingSink host;
    nats::Connection admin{servers.options()};
    nats::StreamPublisher publisher{servers.options(), database, Log{}};
    std::optional<nats::StreamRelay> relay;
};

/// Number of the server that leads the stream; none now: nullopt.
inline std::optional<std::size_t> leader_of(const NatsServers& servers, StreamScene& scene) {
    jsStreamInfo* info = nullptr;
    if (js_GetStreamInfo(&info, scene.jet_stream(), scene.stream(), nullptr, nullptr) != NATS_OK) return std::nullopt;
    const nats::Owned<jsStreamInfo> owned(info);
    for (std::size_t i = 0; i < servers.count(); ++i)
        if (info->Cluster != nullptr && info->Cluster->Leader != nullptr && servers.name(i) == info->Cluster->Leader)
            return i;
    return std::nullopt;
}

}  // namespace larder::test
