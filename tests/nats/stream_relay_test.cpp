// Notices from a publisher to a host, through a stream: none is missed.
#include "core/nats/stream_relay.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <numeric>
#include <thread>

#include "core/nats/stream_links.hpp"
#include "tests/nats/stream_scene.hpp"

using namespace larder;
using namespace larder::test;
using nats::StreamPublisher;
using nats::StreamRelay;

TEST_CASE("a host is told what was published, in its order", "[nats]") {
    StreamScene scene(shared_server());
    scene.publisher.changed(std::vector<AssignmentId>{3, 1, 2});
    scene.publisher.published(std::vector<AssignmentId>{1});
    scene.tell(9);
    CHECK(scene.catch_up());
    CHECK(scene.host.take() == Ids{3, 1, 2, 9});
    CHECK(scene.host.take_published() == Ids{1});
    CHECK(scene.host.take_flushes().empty());
    scene.publisher.everything_changed("a table\nwas emptied");
    CHECK(scene.catch_up());
    CHECK(scene.host.take_flushes() == Texts{"a table was emptied"});
}

TEST_CASE("many ids at once come as several messages, each id once", "[nats]") {
    StreamScene scene(shared_server());
    Ids ids(5'000);
    std::iota(ids.begin(), ids.end(), 1);
    scene.publisher.changed(ids);
    CHECK(scene.publisher.last_sequence() == 3);
    CHECK(scene.catch_up());
    CHECK(scene.host.take() == ids);
}

TEST_CASE("a host that was away goes on where it was", "[nats]") {
    StreamScene scene(shared_server());
    scene.tell(1);
    scene.catch_up();
    CHECK(eventually([&] { return scene.relay->poll() == 0 && scene.host.position()->seq == 1; }));
    CHECK(scene.host.take() == Ids{1});
    scene.relay.reset();
    scene.tell(2);
    scene.tell(3);
    scene.restart_host();
    CHECK(scene.catch_up());
    CHECK(scene.host.take() == Ids{2, 3});
    CHECK(scene.host.take_flushes().empty());
}

TEST_CASE("a host that does not know where it was announces everything once, and goes on from the stream's end",
          "[nats]") {
    StreamScene scene(shared_server());
    scene.tell(1);
    scene.catch_up();
    scene.host.take();
    scene.tell(2);
    scene.host.forget();
    scene.restart_host();
    CHECK(scene.catch_up());
    CHECK(scene.host.take_flushes().size() == 1);
    CHECK(scene.host.take().empty());
    scene.tell(3);
    CHECK(scene.catch_up());
    CHECK(scene.host.take() == Ids{3});
    for (const char* strange : {"", "another", "another/1@2", "@", "@1x"}) {
        scene.relay.reset();
        scene.host.remember({1, strange});
        scene.restart_host();
        CHECK(scene.catch_up());
        CHECK(scene.host.take_flushes().size() == 1);
    }
}

TEST_CASE("what left the stream before a host read it is everything", "[nats]") {
    StreamScene scene(shared_server());
    SECTION("it was purged") {
        scene.relay.reset();
        scene.tell(1);
        REQUIRE(js_PurgeStream(scene.jet_stream(), scene.stream(), nullptr, nullptr) == NATS_OK);
    }
    SECTION("a limit pushed it out") {
        scene.relay.reset();
        jsStreamInfo* info = nullptr;
        REQUIRE(js_GetStreamInfo(&info, scene.jet_stream(), scene.stream(), nullptr, nullptr) == NATS_OK);
        const nats::Owned<jsStreamInfo> owned(info);
        info->Config->MaxMsgs = 5;
        REQUIRE(js_UpdateStream(nullptr, scene.jet_stream(), info->Config, nullptr, nullptr) == NATS_OK);
        for (AssignmentId id = 1; id <= 20; ++id) scene.tell(id);
    }
    SECTION("one message in the middle was deleted") {
        scene.relay.reset();
        for (AssignmentId id = 1; id <= 3; ++id) scene.tell(id);
        REQUIRE(js_DeleteMsg(scene.jet_stream(), scene.stream(), 2, nullptr, nullptr) == NATS_OK);
    }
    if (scene.relay == std::nullopt) scene.restart_host();
    CHECK(scene.catch_up());
    CHECK(scene.host.take_flushes().size() == 1);
    scene.host.take();
    scene.tell(99);
    CHECK(scene.catch_up());
    CHECK(scene.host.take() == Ids{99});
    CHECK(scene.host.take_flushes().empty());
}

TEST_CASE("a stream that was deleted and made anew is everything, also to a host that was there", "[nats]") {
    StreamScene scene(shared_server());
    for (AssignmentId id = 1; id <= 3; ++id) scene.tell(id);
    scene.catch_up();
    scene.host.take();
    REQUIRE(js_DeleteStream(scene.jet_stream(), scene.stream(), nullptr, nullptr) == NATS_OK);
    CHECK_THROWS_AS(scene.tell(4), SourceError);  // nobody takes it
    scene.tell(4);                                // made anew
    Texts flushes;
    CHECK(eventually([&] {
        try {
            scene.relay->poll();
        } catch (const SourceError&) {
            return false;
        }
        for (std::string& why : scene.host.take_flushes()) flushes.push_back(std::move(why));
        return std::find(flushes.begin(), flushes.end(), "the stream was made anew") != flushes.end();
    }));
    scene.catch_up();
    scene.host.take();
    scene.host.take_flushes();
    scene.tell(5);
    CHECK(scene.catch_up());
    CHECK(scene.host.take() == Ids{5});
    CHECK(scene.host.take_flushes().empty());
}

TEST_CASE("a message that this version cannot read is everything, and what comes after it is told", "[nats]") {
    StreamScene scene(shared_server());
    scene.admin.publish(scene.publisher.names().notices, "larder/2 changed 1");
    REQUIRE(natsConnection_FlushTimeout(scene.admin.get(), 20'000) == NATS_OK);  // the next is another connection's
    scene.tell(2);
    CHECK(scene.catch_up());
    CHECK(scene.host.take_flushes().size() == 1);
    CHECK(scene.host.take() == Ids{2});
}

TEST_CASE("a server that has lost what it had acknowledged makes everything be announced", "[nats]") {
    NatsServers servers;
    StreamScene scene(servers);
    scene.tell(1);
    scene.catch_up();
    REQUIRE(eventually([&] { return scene.relay->poll() == 0 && scene.host.position()->seq == 1; }));
    servers.kill(0);
    servers.keep_store();
    servers.start(0);
    const auto tell = [&](AssignmentId id) {
        return eventually([&] {
            try {
                scene.tell(id);
                return true;
            } catch (const SourceError&) {
                return false;
            }
        });
    };
    REQUIRE(tell(2));
    REQUIRE(tell(3));
    RecordingSink slow_host;
    slow_host.remember(*scene.host.position());  // it knows 1
    const auto read = [&](StreamRelay& relay) {
        return eventually([&] {
            try {
                relay.poll();
            } catch (const SourceError&) {}
            return relay.applied() >= scene.publisher.last_sequence();
        });
    };
    CHECK(read(*scene.relay));
    CHECK(eventually([&] { return scene.relay->poll() == 0 && scene.host.position()->seq == 3; }));
    CHECK(scene.host.take() == Ids{1, 2, 3});
    scene.host.take_flushes();
    servers.kill(0);
    servers.restore_store();
    servers.start(0);
    REQUIRE(tell(4));  // stored under the number that 2 had
    CHECK(scene.publisher.last_sequence() == 3);
    scene.restart_host();
    CHECK(read(*scene.relay));
    CHECK(scene.host.take_flushes() == Texts{"the stream has lost messages, and given their numbers again"});
    StreamRelay slow(servers.options(), scene.database, slow_host, Log{});
    CHECK(read(slow));
    CHECK(slow_host.take() == Ids{4});
    CHECK(slow_host.take_flushes() == Texts{"the stream has lost messages"});
}

TEST_CASE("a host that may not ask says which right lacks", "[nats]") {
    const NatsServers servers(1, "relay:secret");
    const StreamPublisher publisher(servers.options(), "d", Log{});
    const nats::ConnectionOptions options{.url = "nats://mute:mute@" + servers.host(0)};
    RecordingSink host;
    StreamRelay relay(options, "d", host, {});
    std::string said;
    CHECK(eventually([&] {
        try {
            relay.poll();
        } catch (const SourceError& error) {
            said = error.what();
        }
        return !said.empty();
    }));
    CHECK_THAT(said, Catch::Contains("Permissions Violation for Publish to \"larder-look.") &&
                         Catch::Contains("`larder help fleet` names"));
    std::vector<shm::Finding> findings;
    CHECK_THROWS_WITH(
        nats::examine_stream(nats::Connection(with_patience(options, std::chrono::seconds(5))), "d", {}, findings),
        Catch::Contains("Publish to \"larder-look."));
}

TEST_CASE("a relay that runs goes on when the servers are there again", "[nats]") {
    NatsServers servers;
    StreamScene scene(servers);
    scene.relay.reset();
    std::mutex mutex;
    Texts lines;
    const auto count = [&] {
        const std::lock_guard lock(mutex);
        return lines.size();
    };
    StreamRelay relay(servers.options(), scene.database, scene.host,
                      Log{LogLevel::info, [&](LogLevel, std::string_view line) {
                              const std::lock_guard lock(mutex);
                              lines.emplace_back(line);
                          }});
    std::jthread running([&](std::stop_token stop) { relay.run(stop); });
    scene.tell(1);
    CHECK(eventually([&] { return scene.host.take() == Ids{1}; }));
    CHECK(count() == 0);
    servers.kill(0);
    CHECK(eventually([&] { return count() > 0; }));
    servers.start(0);
    Ids told;
    CHECK(eventually([&] {
        try {
            scene.tell(2);
        } catch (const SourceError&) {}
        told = scene.host.take();
        return !told.empty();
    }));
    CHECK(told.front() == 2);
    const auto works_again = [&] {
        const std::lock_guard lock(mutex);
        return lines.back() == "Stream relay: works again";
    };
    CHECK_FALSE(works_again());  // nobody answers it yet
    CHECK(eventually([&] {
        scene.publisher.look_begins();
        scene.publisher.look_ended(0);
        return works_again();
    }));
    running = {};
    CHECK(lines.front().starts_with("Stream relay: cannot "));
    CHECK(lines.front().find(servers.host(0)) != std::string::npos);
}

TEST_CASE("a relay that runs says the same error once, however often it tries", "[nats]") {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    REQUIRE(::listen(listener, 8) == 0);
    RecordingSink host;
    std::atomic<int> lines{0}, tries{0};
    {
        StreamRelay relay({.url = "nats://127.0.0.1:" + std::to_string(ntohs(address.sin_port))}, "d", host,
                          Log{LogLevel::error, [&](LogLevel, std::string_view) { ++lines; }});
        std::jthread running([&](std::stop_token stop) { relay.run(stop); });
        CHECK(eventually([&] {
            if (const int caller = ::accept(listener, nullptr, nullptr); caller >= 0) {
                ::close(caller);
                ++tries;
            }
            return tries >= 4;
        }));
    }
    CHECK(lines == 1);
    CHECK(host.take_flushes().empty());
    ::close(listener);
}
