// Who publishes: positions, several at once, and what is answered to hosts.
#include "core/nats/stream_publisher.hpp"

#include <catch2/catch.hpp>

#include "core/nats/notice_message.hpp"
#include "tests/nats/stream_scene.hpp"

using namespace larder;
using namespace larder::test;
using nats::StreamPublisher;
using Look = RecordingSink::Look;
using Kind = nats::NoticeMessage::Kind;
using Looks = std::vector<Look>;

namespace {

/// A question of the host has come to who publishes, and waits there.
void let_host_ask(StreamScene& scene) {
    const nats::Subscription questions = scene.admin.subscribe(scene.publisher.names().looks, 100);
    const int begun = scene.host.begun();
    REQUIRE(eventually([&] {
        scene.relay->poll();
        return scene.host.begun() > begun;
    }));
    REQUIRE(eventually([&] { return scene.admin.next(questions.get(), std::chrono::milliseconds(10)) != nullptr; }));
    scene.publisher.position();  // an answer on the connection on which the question came before
}

/// What ended at the host within the next two of its rounds.
Looks next_looks(StreamScene& scene, std::uint64_t position) {
    Looks looks;
    REQUIRE(eventually([&] {
        scene.publisher.look_begins();
        scene.publisher.look_ended(position);
        scene.relay->poll();
        for (const Look& look : scene.host.take_looks()) looks.push_back(look);
        return !looks.empty() && looks.back().position == position;
    }));
    return looks;
}

}  // namespace

TEST_CASE("the next publisher goes on where the last one was", "[nats]") {
    StreamScene scene(shared_server());
    CHECK_FALSE(scene.publisher.position());
    scene.publisher.remember({17, "system/1/5"});
    CHECK(scene.publisher.position() == OutboxPosition{17, "system/1/5"});
    scene.publisher.remember({18, "system/1/5"});  // soon after
    CHECK(eventually([&] {
        scene.publisher.look_ended(0);
        return scene.publisher.position() == OutboxPosition{18, "system/1/5"};
    }));
    {
        StreamPublisher other(scene.servers.options(), scene.database, Log{});
        CHECK(other.position() == OutboxPosition{18, "system/1/5"});
        other.changed(Ids{7});  // and dies before it says how far it came
    }
    StreamPublisher next(scene.servers.options(), scene.database, Log{});
    CHECK(next.position() == OutboxPosition{18, "system/1/5"});
    next.changed(Ids{7});
    CHECK(eventually([&] {
        scene.relay->poll();
        return scene.relay->applied() >= next.last_sequence();
    }));
    CHECK(scene.host.take() == Ids{7, 7});
    CHECK(scene.host.take_flushes().empty());
}

TEST_CASE("of two publishers at once each notice is told", "[nats]") {
    StreamScene scene(shared_server());
    StreamPublisher older(scene.servers.options(), scene.database, Log{});
    Ids expected;
    for (AssignmentId id = 1; id <= 20; ++id) {
        (id % 3 == 0 ? older : scene.publisher).changed(Ids{id});
        expected.push_back(id);
    }
    scene.publisher.remember({30, "d"});
    older.remember({20, "d"});
    CHECK(scene.publisher.position() == OutboxPosition{20, "d"});  // tells more than it had to, nothing less
    scene.tell(21);
    expected.push_back(21);
    CHECK(scene.catch_up());
    CHECK(scene.host.take() == expected);
    CHECK(scene.host.take_flushes().empty());
}

TEST_CASE("without anybody who looks, no look ends", "[nats]") {
    StreamScene scene(shared_server());
    CHECK(eventually([&] {
        scene.relay->poll();
        return scene.host.begun() >= 3;
    }));
    CHECK(scene.host.take_looks().empty());
    CHECK_FALSE(scene.relay->caught_up());
    CHECK(next_looks(scene, 5) == Looks{{5, 0}});
    CHECK(scene.relay->caught_up());
}

TEST_CASE("a look that began before a host asked does not answer it", "[nats]") {
    StreamScene scene(shared_server());
    next_looks(scene, 1);
    scene.publisher.look_begins();
    let_host_ask(scene);
    scene.publisher.look_ended(2);
    CHECK(next_looks(scene, 3) == Looks{{3, 0}});
}

TEST_CASE("a look that failed answers nobody, the next one does", "[nats]") {
    StreamScene scene(shared_server());
    let_host_ask(scene);
    scene.publisher.look_begins();
    scene.publisher.look_begins();
    scene.publisher.look_ended(4);
    CHECK(eventually([&] {
        scene.relay->poll();
        return scene.host.take_looks() == Looks{{4, 0}};
    }));
}

TEST_CASE("an answer names the last sequence there is, whoever put it there", "[nats]") {
    StreamScene scene(shared_server());
    StreamPublisher next(scene.servers.options(), scene.database, Log{});
    const std::string inbox = scene.admin.make_inbox();
    const nats::Subscription answers = scene.admin.subscribe(inbox, 100);
    const auto answer_of = [&](StreamPublisher& publisher, std::uint64_t question) {
        const std::string text = nats::encode({.kind = Kind::ask, .question = question});
        REQUIRE(natsConnection_PublishRequest(scene.admin.get(), publisher.names().looks.c_str(), inbox.c_str(),
                                              text.data(), static_cast<int>(text.size())) == NATS_OK);
        std::optional<nats::NoticeMessage> said;
        REQUIRE(eventually([&] {
            publisher.look_begins();
            publisher.look_ended(8);
            const nats::Message message = scene.admin.next(answers.get(), std::chrono::milliseconds(1));
            if (message != nullptr) said = nats::decode(nats::data_of(message));
            return said && said->question == question;  // the other publisher answers older ones, too
        }));
        CHECK((said->kind == Kind::looked && said->position == 8));
        return said->sequence;
    };
    CHECK(answer_of(scene.publisher, 1) == 0);
    scene.publisher.changed(Ids{1, 2});
    scene.publisher.changed(Ids{3});
    CHECK(answer_of(scene.publisher, 2) == 2);
    CHECK(answer_of(next, 3) == 2);  // it has sent nothing
}

TEST_CASE("a look ends at a host when all up to the answer's sequence was told there", "[nats]") {
    StreamScene scene(shared_server());
    const nats::Subscription questions = scene.admin.subscribe(scene.publisher.names().looks, 100);
    nats::Message question;
    REQUIRE(eventually([&] {
        scene.relay->poll();
        question = scene.admin.next(questions.get(), std::chrono::milliseconds(1));
        return question != nullptr;
    }));
    REQUIRE(eventually([&] { return scene.relay->poll() == 0 && scene.host.position(); }));
    const std::string place = scene.host.position()->database;
    scene.admin.publish(natsMsg_GetReply(question.get()),
                        nats::encode({.kind = Kind::looked,
                                      .question = nats::decode(nats::data_of(question))->question,
                                      .sequence = 1,
                                      .position = 8,
                                      .text = place.substr(0, place.rfind('@'))}));
    scene.admin.check(natsConnection_Flush(scene.admin.get()), "flush");
    for (int i = 0; i < 5; ++i) scene.relay->poll();
    CHECK(scene.host.take_looks().empty());
    scene.tell(5);
    Looks looks;
    CHECK(eventually([&] {
        scene.relay->poll();
        looks = scene.host.take_looks();
        return !looks.empty();
    }));
    CHECK(looks == Looks{{8, 1}});
}

TEST_CASE("an answer of another stream is none", "[nats]") {
    StreamScene scene(shared_server());
    const nats::Subscription questions = scene.admin.subscribe(scene.publisher.names().looks, 100);
    int answered = 0;
    CHECK(eventually([&] {
        scene.relay->poll();
        const nats::Message question = scene.admin.next(questions.get(), std::chrono::milliseconds(1));
        if (question == nullptr) return answered > 2;
        const auto said = nats::decode(nats::data_of(question));
        scene.admin.publish(
            natsMsg_GetReply(question.get()),
            nats::encode(
                {.kind = Kind::looked, .question = said->question, .text = scene.publisher.names().stream + "/1"}));
        return ++answered > 2;
    }));
    CHECK(scene.host.take_looks().empty());
}

TEST_CASE("what is not acknowledged throws, and names the servers but no password", "[nats]") {
    NatsServers servers(1, "writer:topsecret");
    StreamPublisher publisher(servers.options(), "d", Log{});
    publisher.changed(Ids{1});
    servers.kill(0);
    std::string said;
    try {
        for (int i = 0; i < 3; ++i) publisher.changed(Ids{2});
    } catch (const SourceError& error) {
        said = error.what();
    }
    INFO(said);
    CHECK(said.find(servers.host(0)) != std::string::npos);
    CHECK(said.find("topsecret") == std::string::npos);
    servers.start(0);
    CHECK(eventually([&] {
        try {
            publisher.changed(Ids{2});
            return true;
        } catch (const SourceError&) {
            return false;
        }
    }));
    for (const std::string& url : {"nats://writer:wrongsecret@" + servers.host(0), std::string("nats://"),
                                   std::string(), std::string("nats://u:wrongsecret@127.0.0.1:1")}) {
        try {
            StreamPublisher refused({.url = url, .patience = std::chrono::seconds(1)}, "d", Log{});
            FAIL(url);
        } catch (const SourceError& error) {
            INFO(error.what());
            CHECK(std::string_view(error.what()).find("wrongsecret") == std::string_view::npos);
        }
    }
}

TEST_CASE("a stream that refuses notices, or forgets them, is another's, and said to be", "[nats]") {
    const std::string database = new_database();
    const nats::StreamNames names(database);
    const nats::Connection connection(shared_server().options());
    const char* subject = names.subjects.c_str();
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Name = names.stream.c_str();
    config.Subjects = &subject;
    config.SubjectsLen = 1;
    SECTION("it refuses") { config.Discard = js_DiscardNew; }
    SECTION("it forgets what one has read") { config.Retention = js_WorkQueuePolicy; }
    REQUIRE(js_AddStream(nullptr, connection.jet_stream(), &config, nullptr, nullptr) == NATS_OK);
    CHECK_THROWS_WITH(StreamPublisher(shared_server().options(), database, Log{}),
                      Catch::Contains(names.stream) && Catch::Contains("delete it, it is made anew"));
    CHECK_THROWS_WITH(nats::find_stream(connection, names), Catch::Contains("delete it"));
}

TEST_CASE("who may not hear what hosts ask does not publish, and says which right lacks", "[nats]") {
    const NatsServers servers(1, "relay:secret");
    const nats::ConnectionOptions options{.url = "nats://listener:listener@" + servers.host(0)};
    CHECK_THROWS_WITH(StreamPublisher(options, "d", Log{}),
                      Catch::Contains("Permissions Violation for Subscription to \"larder-look.") &&
                          Catch::Contains("`larder help fleet` names"));
}

TEST_CASE("who may not answer hosts fails, so that another relays, and says which right lacks", "[nats]") {
    const NatsServers servers(1, "relay:secret");
    StreamPublisher publisher({.url = "nats://silent:silent@" + servers.host(0)}, "d", Log{});
    RecordingSink host;
    nats::StreamRelay relay(servers.options(), "d", host, {});
    std::string said;
    CHECK(eventually([&] {
        try {
            relay.poll();
            publisher.look_begins();
            publisher.look_ended(1);
        } catch (const SourceError& error) {
            said = error.what();
        }
        return !said.empty();
    }));
    CHECK_THAT(said, Catch::Contains("Permissions Violation for Publish to \"_INBOX.>\""));
}

TEST_CASE("a credentials file without a user's key is told of", "[nats]") {
    const ScopedDirectory directory;
    nats::ConnectionOptions options = shared_server().options();
    options.credentials_file = directory.file("host.creds");
    std::ofstream(options.credentials_file) << "-----BEGIN NATS USER JWT-----\n";
    CHECK_THROWS_WITH(nats::Connection(options), Catch::Contains("check what is in the credentials file"));
}

TEST_CASE("servers that let in whom they know, by TLS, are named with a user and who signed their certificates",
          "[nats]") {
    if (std::system("openssl version >/dev/null 2>&1") != 0) {
        WARN("skipped: no openssl to make a certificate with");
        return;
    }
    NatsServers servers(1, "larder:hunter2", true);
    StreamScene scene(servers);
    scene.tell(1);
    CHECK(scene.catch_up());
    CHECK(scene.host.take() == Ids{1});
    nats::ConnectionOptions stranger = servers.options();
    SECTION("another password") { stranger.url.replace(stranger.url.find("hunter2"), 7, "hunter3"); }
    SECTION("a certificate of nobody known") { stranger.ca_file.clear(); }
    try {
        StreamPublisher publisher(stranger, scene.database, Log{});
        FAIL("let in");
    } catch (const SourceError& error) {
        CHECK_THAT(error.what(), Catch::Contains("check") && !Catch::Contains("hunter"));
    }
}
