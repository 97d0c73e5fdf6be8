// Documents that hosts share: computed by one, never replaced by an older one.
#include "core/nats/key_value_tier.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <set>
#include <stdexcept>
#include <thread>

#include "core/fleet/shared_tier.hpp"
#include "core/nats/stream.hpp"
#include "tests/nats/nats_server.hpp"

using namespace larder;
using namespace larder::test;
using nats::KeyValueTier;
using LeaseState = TierLease::State;

namespace {

const std::string stream = "LARDER-0/1000";

TierDocument document(std::uint64_t sequence, std::string bytes = "{}") {
    return {.bytes = std::move(bytes), .stream = stream, .sequence = sequence, .ttl = std::chrono::seconds(300)};
}

/// Its name, once there is a tier for it.
std::string made(const std::string& database, nats::KeyValueTierOptions options = {}) {
    REQUIRE(KeyValueTier(shared_server().options(), database, options).make());
    return database;
}

/// A tier that cannot be reached, or is asked by nobody.
nats::ConnectionOptions nowhere() { return {.url = "nats://127.0.0.1:1"}; }

std::uint64_t sequence_in(KeyValueTier& tier, std::string_view key) {
    const std::optional<TierDocument> found = tier.get(key);
    return found ? found->sequence : 0;
}

}  // namespace

TEST_CASE("a document is found by every host as it was put", "[nats]") {
    const std::string database = new_database();
    KeyValueTier one(shared_server().options(), made(database));
    KeyValueTier other(shared_server().options(), database);
    CHECK_FALSE(one.get("assignment_stats:1"));
    CHECK(one.error().empty());
    TierDocument put = document(7, std::string("{\"a\":\0 1}\n", 10));
    put.tags = {"author:7", "course:Art & Craft: 2"};
    put.made_at = std::chrono::milliseconds(1'764'200'000'000);
    CHECK(one.put("assignment_stats:1", put));
    const std::optional<TierDocument> found = other.get("assignment_stats:1");
    REQUIRE(found);
    CHECK(found->bytes == put.bytes);
    CHECK(found->stream == stream);
    CHECK(found->sequence == 7);
    CHECK(found->ttl == put.ttl);
    CHECK(found->tags == put.tags);
    CHECK(found->made_at == put.made_at);
    KeyValueTier elsewhere(shared_server().options(), made(new_database()));
    CHECK_FALSE(elsewhere.get("assignment_stats:1"));
}

TEST_CASE("keys of any bytes have documents of their own", "[nats]") {
    KeyValueTier tier(shared_server().options(), made(new_database()));
    const std::vector<std::string> keys{"a:b",
                                        "a=3ab",
                                        "a.b",
                                        ".",
                                        "a b",
                                        "a*",
                                        ">",
                                        "A:b",
                                        std::string("\0\xff", 2),
                                        "schöne Aussicht",
                                        std::string(1'024, 'x'),
                                        std::string(1'023, 'x') + "y",
                                        std::string(256, ':')};
    for (std::size_t i = 0; i < keys.size(); ++i) CHECK(tier.put(keys[i], document(i + 1)));
    for (std::size_t i = 0; i < keys.size(); ++i) CHECK(sequence_in(tier, keys[i]) == i + 1);
    CHECK(tier.error().empty());
    std::set<std::string> encoded;
    for (const std::string& key : keys) encoded.insert(nats::tier_key_of(key));
    CHECK(encoded.size() == keys.size());
    CHECK_FALSE(nats::decode_document("b", nats::encode_document("a", document(1))));  // two of one hash
}

TEST_CASE("what lies in a bucket and cannot be read is no document", "[nats]") {
    const std::string text = nats::encode_document("key", document(1, "bytes"));
    CHECK(nats::decode_document("key", text)->bytes == "bytes");
    for (std::size_t size = 0; size < text.size() - std::string_view("bytes").size(); ++size)
        CHECK_FALSE(nats::decode_document("key", text.substr(0, size)));
    CHECK_FALSE(nats::decode_document("key", "larder/2" + text.substr(8)));
    CHECK_FALSE(nats::decode_document("key", "larder/1 1 1 0 99999 3:key1:s"));
    CHECK_FALSE(nats::decode_document("key", "larder/1 1 1 0 1 3:key1:s18446744073709551615:x"));
}

TEST_CASE("a late document does not replace one of a later sequence, or of a later stream", "[nats]") {
    KeyValueTier tier(shared_server().options(), made(new_database()));
    CHECK(tier.put("k", document(5, "five")));
    CHECK(tier.put("k", document(9, "nine")));
    CHECK_FALSE(tier.put("k", document(8, "eight")));
    CHECK(tier.get("k")->bytes == "nine");
    CHECK(tier.put("k", document(9, "again")));
    TierDocument anew = document(1, "of the stream that was made anew");
    anew.stream = "LARDER-0/2000";
    CHECK(tier.put("k", anew));
    CHECK_FALSE(tier.put("k", document(10)));
    CHECK(tier.get("k")->bytes == anew.bytes);
}

TEST_CASE("of many that put at once none replaces a later one", "[nats]") {
    constexpr int hosts = 4, puts = 150;
    const std::string database = new_database();
    KeyValueTier looker(shared_server().options(), made(database));
    looker.get("k");
    std::atomic<int> running{hosts};
    std::vector<std::jthread> threads;
    for (int host = 0; host < hosts; ++host)
        threads.emplace_back([&, host] {
            KeyValueTier tier(shared_server().options(), database);
            for (int i = 0; i < puts; ++i) tier.put("k", document(static_cast<std::uint64_t>(1 + i * hosts + host)));
            --running;
        });
    std::uint64_t last = 0;
    int went_back = 0;
    while (running > 0) {
        const std::uint64_t now = sequence_in(looker, "k");
        if (now < last) ++went_back;
        last = now;
    }
    CHECK(last > 0);
    CHECK(went_back == 0);
}

TEST_CASE("a lease is one host's, until it lets go or has been silent for too long", "[nats]") {
    const std::string database = new_database();
    const nats::KeyValueTierOptions options{.lease_ttl = std::chrono::seconds(1)};
    KeyValueTier one(shared_server().options(), made(database, options), options);
    KeyValueTier other(shared_server().options(), database, options);
    const TierLease lease = one.take_lease("a:1");
    CHECK(lease.state == LeaseState::taken);
    CHECK(other.take_lease("a:1").state == LeaseState::held);
    CHECK(other.take_lease("a:2").state == LeaseState::taken);
    one.release(lease);
    const TierLease next = other.take_lease("a:1");
    CHECK(next.state == LeaseState::taken);
    one.release(lease);  // late
    CHECK(one.take_lease("a:1").state == LeaseState::held);
    TierLease after;  // the holder says no more
    CHECK(eventually([&] { return (after = one.take_lease("a:1")).state == LeaseState::taken; }));
    other.release(next);
    CHECK(other.take_lease("a:1").state == LeaseState::held);
}

TEST_CASE("without a tier each host computes by itself, at once", "[nats]") {
    KeyValueTier tier(nowhere(), "d");
    int computed = 0;
    const auto compute = [&](LeaseState lease) -> std::optional<TierDocument> {
        CHECK(lease == LeaseState::unreachable);
        return document(static_cast<std::uint64_t>(++computed));
    };
    for (int i = 1; i <= 3; ++i)
        CHECK(compute_once(
                  tier, "k", [](const TierDocument&) { return true; }, compute)
                  ->sequence == static_cast<std::uint64_t>(i));
    CHECK_FALSE(tier.error().empty());
    CHECK_FALSE(tier.put("k", document(1)));
    CHECK(tier.take_lease("k").state == LeaseState::unreachable);
}

TEST_CASE("a server that goes and comes again is a tier again", "[nats]") {
    NatsServers servers;
    KeyValueTier tier(servers.options(), "d");
    CHECK_FALSE(tier.put("k", document(1)));
    CHECK_THAT(tier.error(), Catch::Contains("made by who relays"));
    CHECK(eventually([&] { return tier.make() && tier.put("k", document(1)); }));
    servers.kill(0);
    CHECK_FALSE(tier.get("k"));
    CHECK_FALSE(tier.error().empty());
    servers.start(0);
    CHECK(eventually([&] { return tier.make() && tier.put("k", document(2)); }));
    CHECK(sequence_in(tier, "k") == 2);
}

TEST_CASE("a document that is too large for the servers is not shared, and the tier stays", "[nats]") {
    const nats::KeyValueTierOptions options{.max_bytes = 100'000};
    KeyValueTier tier(shared_server().options(), made(new_database(), options), options);
    CHECK_FALSE(tier.put("k", document(1, std::string(2 << 20, 'x'))));
    CHECK_FALSE(tier.put("k", document(1, std::string(200'000, 'x'))));
    CHECK(tier.error().empty());
    CHECK(tier.put("k", document(1)));
}

TEST_CASE("one change costs one computation in the fleet, and one more where the holder died", "[nats]") {
    constexpr int hosts = 6;
    const std::string database = new_database();
    const nats::KeyValueTierOptions options{.lease_ttl = std::chrono::seconds(1)};
    KeyValueTier first(shared_server().options(), made(database, options), options);
    first.put("k", document(1));
    std::atomic<int> computed{0}, wrong{0};
    const auto ask_all = [&](std::uint64_t changed_at) {
        computed = 0;
        std::vector<std::jthread> threads;
        for (int host = 0; host < hosts; ++host)
            threads.emplace_back([&, changed_at] {
                KeyValueTier tier(shared_server().options(), database, options);
                const auto found = compute_once(
                    tier, "k", [&](const TierDocument& it) { return it.sequence >= changed_at; },
                    [&](LeaseState) {
                        ++computed;
                        ::poll(nullptr, 0, 20);
                        return std::optional(document(changed_at));
                    });
                if (!found || found->sequence < changed_at) ++wrong;
            });
    };
    ask_all(1);
    CHECK(computed == 0);
    ask_all(2);
    CHECK(computed == 1);
    {
        KeyValueTier dying(shared_server().options(), database, options);
        CHECK(dying.take_lease("k").state == LeaseState::taken);
    }
    ask_all(3);
    CHECK(computed == 1);  // beside that of the dead
    CHECK(wrong == 0);
}

TEST_CASE("a holder that takes longer than a lease lasts keeps it", "[nats]") {
    const std::string database = new_database();
    const nats::ConnectionOptions server = shared_server().options();  // which ends with the thread that starts it
    const nats::KeyValueTierOptions options{.lease_ttl = std::chrono::seconds(1)};
    const TierPatience patience{.renewal = std::chrono::milliseconds(200)};
    made(database, options);
    std::atomic<int> computed{0};
    std::atomic<bool> has_begun{false};
    const auto ask = [&](const std::function<void()>& work) {
        fleet::SharedTier shared(std::make_unique<KeyValueTier>(server, database, options), {});
        compute_once(
            shared, "k", [](const TierDocument&) { return true; },
            [&](LeaseState lease) {
                CHECK(lease == LeaseState::taken);
                ++computed;
                has_begun = true;
                work();
                return std::optional(document(1));
            },
            patience);
    };
    int lasted = 0;
    std::jthread slow([&] {
        ask([&] {
            KeyValueTier timer(server, database, options);
            const auto is_taken = [&] { return timer.take_lease("as long as one lasts").state == LeaseState::taken; };
            for (int i = 0; i < 3; ++i) lasted += eventually(is_taken) ? 1 : 0;  // two whole ones
        });
    });
    REQUIRE(eventually([&] { return has_begun.load(); }));
    ask([] {});
    slow.join();
    CHECK(lasted == 3);
    CHECK(computed == 1);
}

TEST_CASE("a lease that has ended is not renewed", "[nats]") {
    const std::string database = new_database();
    const nats::KeyValueTierOptions options{.lease_ttl = std::chrono::seconds(1)};
    KeyValueTier one(shared_server().options(), made(database, options), options);
    KeyValueTier other(shared_server().options(), database, options);
    const TierLease first = one.take_lease("k");
    const TierLease renewed = one.renew(first);
    CHECK(renewed.state == LeaseState::taken);
    CHECK(one.renew(first).state == LeaseState::held);
    one.release(first);
    CHECK(other.take_lease("k").state == LeaseState::held);
    TierLease others;
    CHECK(eventually([&] { return (others = other.take_lease("k")).state == LeaseState::taken; }));
    CHECK(one.renew(renewed).state == LeaseState::held);
    other.release(others);
    CHECK(one.renew(renewed).state == LeaseState::held);
}

TEST_CASE("where there is no more room the oldest documents go", "[nats]") {
    KeyValueTier tier(shared_server().options(), made(new_database(), {.max_bytes = 20'000}));
    int kept = 0, put = 0;
    for (int i = 0; i < 50; ++i) put += tier.put("k" + std::to_string(i), document(1, std::string(1'000, 'x'))) ? 1 : 0;
    CHECK(put == 50);
    CHECK(sequence_in(tier, "k49") == 1);
    CHECK(sequence_in(tier, "k0") == 0);
    for (int i = 0; i < 50; ++i) kept += sequence_in(tier, "k" + std::to_string(i)) == 1 ? 1 : 0;
    CHECK(kept > 10);
}

TEST_CASE("what keeps documents from being shared is said, once a minute", "[nats]") {
    const NatsServers servers(1, "relay:secret");
    KeyValueTier maker(servers.options(), "d");
    CHECK(maker.make());
    CHECK(KeyValueTier(servers.options(), "d").is_usable());
    const nats::ConnectionOptions options{.url = "nats://listener:listener@" + servers.host(0)};
    CHECK_FALSE(KeyValueTier(options, "d").is_usable());
    std::vector<std::string> said;
    fleet::SharedTier shared(std::make_unique<KeyValueTier>(options, "d"),
                             {.write = [&](LogLevel, std::string_view line) { said.emplace_back(line); }});
    for (const char* key : {"k", "another"}) {
        REQUIRE(eventually([&] { return shared.take_lease(key).state == LeaseState::unreachable && !said.empty(); }));
        shared.get(key);  // it may read
    }
    REQUIRE(said.size() == 1);
    CHECK_THAT(said[0], Catch::StartsWith("Documents are not shared") && Catch::Contains("larder-lease.") &&
                            Catch::Contains("Permissions Violation") && Catch::Contains("`larder help fleet` names"));
    const nats::ConnectionOptions deaf{.url = "nats://deaf:deaf@" + servers.host(0)};
    KeyValueTier unheard(deaf, "d");
    CHECK_FALSE(unheard.is_usable());
    CHECK_THAT(unheard.error(), Catch::Contains("Subscription to \"_INBOX.>\""));  // in the same words each time
}

TEST_CASE("that documents are shared again is said after a while without a failure", "[nats]") {
    NatsServers servers(1);
    KeyValueTier(servers.options(), "d").make();
    std::vector<std::string> said;
    fleet::SharedTier shared(std::make_unique<KeyValueTier>(servers.options(), "d"),
                             {.write = [&](LogLevel, std::string_view line) { said.emplace_back(line); }},
                             std::chrono::milliseconds(300));
    REQUIRE(eventually([&] { return shared.put("k", document(1)); }));
    servers.kill(0);
    CHECK(eventually([&] { return shared.get("k"), !said.empty(); }));
    servers.start(0);
    CHECK(eventually([&] {
        KeyValueTier(servers.options(), "d").make();
        shared.put("k", document(1));
        return said.back() == fleet::shared_again;
    }));
    for (int i = 0; i < 3; ++i) shared.put("k", document(1));
    CHECK(std::count(said.begin(), said.end(), fleet::shared_again) == 1);
}

TEST_CASE("a bucket, or leases, that others made otherwise are not used, and it is said what to do", "[nats]") {
    const std::string database = new_database();
    const nats::StreamNames names(database);
    const std::string bucket = "KV_" + names.stream + "-DOCUMENTS", leases = names.stream + "-LEASES";
    const std::string documents = "$KV." + names.stream + "-DOCUMENTS.>", keys = names.leases + ">";
    const nats::Connection connection(shared_server().options());
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    const char* subject = documents.c_str();
    config.Name = bucket.c_str();
    config.Subjects = &subject;
    config.SubjectsLen = 1;
    config.Storage = js_MemoryStorage;
    config.MaxMsgsPerSubject = 1;
    config.MaxAge = 300'000'000'000;
    config.AllowDirect = true;
    const auto [what, change] = GENERATE(table<std::string, std::function<void(jsStreamConfig&)>>(
        {{"discard", [](jsStreamConfig& one) { one.Discard = js_DiscardNew; }},
         {"allow_direct", [](jsStreamConfig& one) { one.AllowDirect = false; }},
         {"max_msg_size", [](jsStreamConfig& one) { one.MaxMsgSize = 300; }},
         {"max_msgs_per_subject", [](jsStreamConfig& one) { one.MaxMsgsPerSubject = 2; }},
         {"no_ack", [](jsStreamConfig& one) { one.NoAck = true; }},
         {"max_consumers", [](jsStreamConfig& one) { one.MaxConsumers = 1; }},
         {"max_age", [](jsStreamConfig& one) { one.MaxAge = 0; }},
         {"max_age", [](jsStreamConfig& one) { one.MaxAge = 3'600'000'000'000; }}}));
    change(config);
    if (what == "max_age") {
        subject = keys.c_str();
        config.Name = leases.c_str();
    }
    REQUIRE(js_AddStream(nullptr, connection.jet_stream(), &config, nullptr, nullptr) == NATS_OK);
    KeyValueTier tier(shared_server().options(), database);
    CHECK_FALSE(tier.make());
    CHECK_THAT(tier.error(), Catch::Contains(config.Name) && Catch::Contains("(" + what + "): delete it"));
    KeyValueTier user(shared_server().options(), database);
    CHECK_FALSE(user.put("k", document(1)));
    CHECK_THAT(user.error(), Catch::Contains("(" + what + "): delete it"));
}

TEST_CASE("a lease is let go of after an error, too", "[nats]") {
    const std::string database = new_database();
    KeyValueTier tier(shared_server().options(), made(database));
    KeyValueTier other(shared_server().options(), database);
    const TierLease lease = tier.take_lease("k");
    REQUIRE(lease.state == LeaseState::taken);
    REQUIRE(other.take_lease("k").state == LeaseState::held);
    const nats::Connection connection(shared_server().options());
    const std::string bucket = "KV_" + nats::StreamNames(database).stream + "-DOCUMENTS";
    REQUIRE(js_DeleteStream(connection.jet_stream(), bucket.c_str(), nullptr, nullptr) == NATS_OK);
    CHECK_FALSE(tier.put("k", document(1)));
    CHECK_FALSE(tier.error().empty());
    tier.release(lease);
    CHECK(other.take_lease("k").state == LeaseState::taken);
}

TEST_CASE("a computation that throws lets go of its lease", "[nats]") {
    const std::string database = new_database();
    KeyValueTier tier(shared_server().options(), made(database));
    const auto never = [](const TierDocument&) { return false; };
    CHECK_THROWS_AS(
        compute_once(tier, "k", never,
                     [](LeaseState) -> std::optional<TierDocument> { throw std::runtime_error("no source"); }),
        std::runtime_error);
    CHECK(tier.take_lease("k").state == LeaseState::taken);
}

TEST_CASE("a host waits for another's computation no longer than it wants to", "[nats]") {
    KeyValueTier tier(shared_server().options(), made(new_database()));
    CHECK(tier.take_lease("k").state == LeaseState::taken);
    int computed = 0;
    compute_once(
        tier, "k", [](const TierDocument&) { return true; },
        [&](LeaseState lease) {
            CHECK(lease == LeaseState::held);
            ++computed;
            return std::optional(document(1));
        },
        {.limit = std::chrono::milliseconds(100)});
    CHECK(computed == 1);
    CHECK(sequence_in(tier, "k") == 1);
    CHECK(tier.take_lease("k").state == LeaseState::held);  // it did not wait for that to end
}
