// Three servers, one of which dies while notices are published and read.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <thread>

#include "core/nats/key_value_tier.hpp"
#include "tests/nats/stream_scene.hpp"

using namespace larder;
using namespace larder::test;
using nats::StreamPublisher;
using nats::StreamRelay;

namespace {

/// Publishes 1, 2, 3, ... one by one, each until it is acknowledged, while it lives; answers hosts as a relay does.
class BusyPublisher {
public:
    explicit BusyPublisher(StreamPublisher& publisher)
        : thread_([this, &publisher](std::stop_token stop) {
              while (!stop.stop_requested()) try {
                      publisher.look_begins();
                      publisher.changed(Ids{last_ + 1});
                      ++last_;
                      publisher.remember({last_, "d"});
                      publisher.look_ended(static_cast<std::uint64_t>(last_));
                  } catch (const SourceError&) {  // said again
                  }
          }) {}
    AssignmentId last() const { return last_; }
    void stop() { thread_ = {}; }

private:
    std::atomic<AssignmentId> last_{0};
    std::jthread thread_;
};

}  // namespace

TEST_CASE("while servers of three die, the stream's leader too, no host misses a notice", "[nats]") {
    NatsServers servers(3);
    StreamScene scene(servers);
    jsStreamInfo* info = nullptr;
    REQUIRE(js_GetStreamInfo(&info, scene.jet_stream(), scene.stream(), nullptr, nullptr) == NATS_OK);
    CHECK(info->Config->Replicas == 3);
    CHECK(info->Config->Storage == js_FileStorage);
    jsStreamInfo_Destroy(info);
    BusyPublisher publisher(scene.publisher);
    std::jthread host([&](std::stop_token stop) { scene.relay->run(stop); });
    std::set<AssignmentId> told;
    const auto all_told_up_to = [&](AssignmentId last) {
        return eventually(
            [&] {
                for (const AssignmentId id : scene.host.take()) told.insert(id);
                return !told.empty() && *told.rbegin() >= last;
            },
            std::chrono::seconds(60));
    };
    CHECK(all_told_up_to(100));
    for (const bool is_leader : {true, false}) {
        std::optional<std::size_t> leader;
        REQUIRE(eventually([&] { return (leader = leader_of(servers, scene)).has_value(); }));
        const std::size_t victim = is_leader ? *leader : (*leader + 1) % servers.count();
        servers.kill(victim);
        const AssignmentId then = publisher.last();
        CHECK(all_told_up_to(then + 100));
        scene.host.take_looks();
        CHECK(eventually([&] { return !scene.host.take_looks().empty(); }));
        CHECK(scene.relay->caught_up());
        servers.start(victim);
        REQUIRE(eventually([&] { return servers.is_ready(); }, std::chrono::seconds(60)));
    }
    publisher.stop();
    CHECK(all_told_up_to(publisher.last()));
    CHECK(told.size() == static_cast<std::size_t>(publisher.last()));  // without a gap
}

TEST_CASE("documents and leases outlive one of three servers", "[nats]") {
    NatsServers servers(3);
    nats::KeyValueTier tier(servers.options(), "d", {.lease_ttl = std::chrono::minutes(5)});
    const TierDocument document{.bytes = "{}", .stream = "S/1", .sequence = 5, .ttl = std::chrono::seconds(1)};
    REQUIRE(eventually([&] { return tier.make() && tier.put("k", document); }));
    REQUIRE(tier.take_lease("k").state == TierLease::State::taken);
    servers.kill(0);
    CHECK(eventually([&] { return tier.get("k").has_value(); }));
    TierLease lease;
    CHECK(eventually([&] { return (lease = tier.take_lease("k")).state != TierLease::State::unreachable; }));
    CHECK(lease.state == TierLease::State::held);
}

TEST_CASE("what was made on one server is kept by three when there are three", "[nats]") {
    NatsServers servers(3);
    const nats::Connection connection(servers.options());
    const auto info_of = [&](const std::string& stream) {
        jsStreamInfo* info = nullptr;
        REQUIRE(js_GetStreamInfo(&info, connection.jet_stream(), stream.c_str(), nullptr, nullptr) == NATS_OK);
        return nats::Owned<jsStreamInfo>(info);
    };
    nats::KeyValueTier tier(servers.options(), "d");
    const std::string notices = nats::StreamNames("d").stream;
    const std::vector<std::string> streams{notices, "KV_" + notices + "-DOCUMENTS", notices + "-LEASES"};
    const auto make = [&] {
        const StreamPublisher publisher(servers.options(), "d", {});
        REQUIRE(eventually([&] { return tier.make(); }));
    };
    make();
    for (const std::string& stream : streams) {
        const auto info = info_of(stream);
        info->Config->Replicas = 1;
        REQUIRE(js_UpdateStream(nullptr, connection.jet_stream(), info->Config, nullptr, nullptr) == NATS_OK);
        REQUIRE(info_of(stream)->Config->Replicas == 1);
    }
    make();
    for (const std::string& stream : streams) CHECK(info_of(stream)->Config->Replicas == 3);
}

TEST_CASE("once the place for documents is made, all hosts can use it", "[nats]") {
    NatsServers servers(3);
    int refused = 0;
    for (int number = 0; number < 5; ++number) {
        const std::string database = std::to_string(number);
        const auto tier_by = [&](std::size_t server, std::chrono::milliseconds patience) {
            return nats::KeyValueTier({.url = "nats://" + servers.host(server), .patience = patience}, database);
        };
        REQUIRE(tier_by(0, std::chrono::seconds(20)).make());
        for (std::size_t server = 0; server < servers.count(); ++server) {
            nats::KeyValueTier tier = tier_by(server, std::chrono::seconds(5));
            const TierDocument document{.bytes = "x", .stream = "S/1", .sequence = 1};
            const std::string key = std::to_string(server);
            refused += tier.put(key, document) && tier.take_lease(key).state == TierLease::State::taken ? 0 : 1;
        }
    }
    CHECK(refused == 0);
}

TEST_CASE("what one host has put the others see at once, whichever server they are connected to", "[nats]") {
    NatsServers servers(3);
    std::vector<std::unique_ptr<nats::KeyValueTier>> hosts;
    for (std::size_t i = 0; i < servers.count(); ++i)
        hosts.push_back(std::make_unique<nats::KeyValueTier>(
            nats::ConnectionOptions{.url = "nats://" + servers.host(i), .patience = std::chrono::seconds(20)}, "d"));
    REQUIRE(eventually([&] { return hosts[0]->make(); }));
    std::vector<std::jthread> others;  // so that servers have something to catch up with
    for (std::size_t i = 0; i < 4; ++i)
        others.emplace_back([&, i](std::stop_token stop) {
            nats::KeyValueTier busy({.url = "nats://" + servers.host(i % 3), .patience = std::chrono::seconds(20)},
                                    "d");
            TierDocument document{.bytes = std::string(20'000, 'x'), .stream = "S/1"};
            while (!stop.stop_requested()) busy.put("busy" + std::to_string(++document.sequence % 9), document);
        });
    int unseen = 0;
    for (std::uint64_t sequence = 1; sequence <= 200; ++sequence) {
        const TierDocument document{.bytes = "x", .stream = "S/1", .sequence = sequence};
        REQUIRE(hosts[sequence % 3]->put("k", document));
        for (const auto& host : hosts)
            unseen += host->get_latest("k").value_or(TierDocument{}).sequence == sequence ? 0 : 1;
    }
    CHECK(unseen == 0);
}
