// How many notices go through publisher, stream and one host in a second, and how long one takes. By hand:
// nats_tests [.figures]
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <thread>

#include "core/nats/notice_message.hpp"
#include "tests/nats/stream_scene.hpp"
#include "tests/support/quantile.hpp"

using namespace larder;
using namespace larder::test;

namespace {

using SteadyClock = std::chrono::steady_clock;

/// Only counts, and says when the last one came.
class CountingSink final : public NoticeSink {
public:
    void changed(std::span<const AssignmentId> ids) override {
        came_at = SteadyClock::now().time_since_epoch().count();
        told += ids.size();
    }
    void everything_changed(std::string_view) override { ++flushes; }
    std::optional<OutboxPosition> position() override { return std::nullopt; }
    void remember(const OutboxPosition&) override {}
    void look_begins() override { begun_at = SteadyClock::now(); }
    void look_ended(std::uint64_t) override { rounds_ns.push_back((SteadyClock::now() - begun_at).count()); }

    std::atomic<std::size_t> told{0}, flushes{0};
    std::atomic<SteadyClock::rep> came_at{0};
    SteadyClock::time_point begun_at{};
    std::vector<std::int64_t> rounds_ns;  // the relay's thread's
};

void measure(NatsServers& servers, const char* which) {
    constexpr std::size_t messages = 5'000, alone = 1'000;
    const std::string database = new_database();
    nats::StreamPublisher publisher(servers.options(), database, Log{});
    CountingSink sink;
    nats::StreamRelay relay(servers.options(), database, sink, Log{}, std::chrono::milliseconds(50));
    std::jthread host([&](std::stop_token stop) { relay.run(stop); });
    REQUIRE(eventually([&] { return sink.flushes > 0; }));
    for (const std::size_t of_message : {std::size_t{1}, std::size_t{100}, nats::max_ids_of_message}) {
        const std::size_t count = of_message == 1 ? messages : messages / 5;
        Ids ids(of_message);
        std::iota(ids.begin(), ids.end(), 1'000'000);
        const std::size_t expected = sink.told + count * of_message;
        const SteadyClock::time_point begin = SteadyClock::now();
        for (std::size_t i = 0; i < count; ++i) publisher.changed(ids);
        REQUIRE(eventually([&] { return sink.told >= expected; }));
        const double seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
        std::printf("%s, %4zu ids a message: %6.0f messages/s, %8.0f notices/s\n", which, of_message,
                    static_cast<double>(count) / seconds, static_cast<double>(count * of_message) / seconds);
    }
    std::vector<std::int64_t> delays;
    for (std::size_t i = 0; i < alone; ++i) {
        const std::size_t before = sink.told;
        const SteadyClock::time_point begin = SteadyClock::now();
        publisher.look_begins();
        publisher.changed(Ids{7});
        publisher.look_ended(1);
        REQUIRE(eventually([&] { return sink.told > before; }));
        delays.push_back(sink.came_at - begin.time_since_epoch().count());
    }
    host = {};
    std::printf("%s, one notice: median %.2f ms, p99 %.2f ms; a round of a look, %zu of them: median %.2f ms\n", which,
                quantile(delays, 0.5, kMs), quantile(delays, 0.99, kMs), sink.rounds_ns.size(),
                quantile(sink.rounds_ns, 0.5, kMs));
    CHECK(sink.flushes == 1);
}

}  // namespace

/// From the death of the server that leads the stream to the first notice that is told after it.
void measure_death(NatsServers& servers) {
    StreamScene scene(servers);
    std::jthread host([&](std::stop_token stop) { scene.relay->run(stop); });
    std::optional<std::size_t> leader;
    REQUIRE(eventually([&] { return (leader = leader_of(servers, scene)).has_value(); }));
    servers.kill(*leader);
    const SteadyClock::time_point begin = SteadyClock::now();
    REQUIRE(eventually([&] {
        try {
            scene.tell(1);
        } catch (const SourceError&) {}
        return !scene.host.take().empty();
    }));
    std::printf("three servers, the stream's leader dies: %.1f s to the next notice\n",
                std::chrono::duration<double>(SteadyClock::now() - begin).count());
    servers.start(*leader);
    REQUIRE(eventually([&] { return servers.is_ready(); }, std::chrono::seconds(60)));
}

TEST_CASE("figures of one server and of three", "[.figures]") {
    {
        NatsServers one;
        measure(one, "one server");
    }
    NatsServers three(3);
    measure(three, "three servers");
    for (int i = 0; i < 3; ++i) measure_death(three);
}
