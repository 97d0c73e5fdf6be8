// Hosts of a fleet: caches of their own, one database, told through NATS; documents that they share.
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <thread>

#include "core/assignment_stats_cache.hpp"
#include "core/fleet/fleet_database.hpp"
#include "core/nats/key_value_tier.hpp"
#include "tests/nats/nats_server.hpp"
#include "tests/postgres/postgres_server.hpp"

using namespace larder;
using namespace larder::test;

namespace {

/// Reads as a worker does, and is counted.
class CountedSource final : public SubmissionSource {
public:
    CountedSource(std::unique_ptr<SubmissionSource> source, std::atomic<int>& loads)
        : source_(std::move(source)), loads_(loads) {}
    std::uint64_t position() override { return source_->position(); }
    std::optional<AssignmentRecord> load(AssignmentId id) override {
        ++loads_;
        return source_->load(id);
    }
    std::optional<Ownership> ownership(AssignmentId id) override { return source_->ownership(id); }
    std::vector<AssignmentId> recent_of_author(UserId author, int limit) override {
        return source_->recent_of_author(author, limit);
    }
    std::vector<AssignmentId> all_ids() override { return source_->all_ids(); }
    std::vector<AssignmentId> active_since(Timestamp time) override { return source_->active_since(time); }

private:
    std::unique_ptr<SubmissionSource> source_;
    std::atomic<int>& loads_;
};

struct Fleet : PostgresSchool {
    explicit Fleet(bool shares_documents = true)
        : urls{.workers = url, .relay = url, .nats = shared_server().url(), .shares_documents = shares_documents} {
        for (const int id : {1, 2}) {
            add_assignment(id);
            add_score(10 * id, id, "90");
        }
        if (!shares_documents) return;
        const std::string identity = fleet::FleetDatabase(urls, {}).identity();
        REQUIRE(nats::KeyValueTier(shared_server().options(), identity).make());  // else who relays does, soon
    }
    void grade(int id, const std::string& score) {
        sql("UPDATE submissions SET score = " + score + " WHERE assignment_id = " + std::to_string(id));
    }
    DatabaseUrls urls;
};

struct Host {
    explicit Host(const Fleet& fleet, bool may_relay = true)
        : database(with_relay(fleet.urls, may_relay), {}),
          cache(Cache::open(cache_options(database.identity()))),
          tier(database.open_tier(database.identity(), {})),
          stats(cache, [this] { return std::make_unique<CountedSource>(database.open_source(), loads); },
                {.tier = tier}),
          notices(cache, {}),
          relay(database.open_relay(notices, {})),
          running([this](const std::stop_token& stop) { relay->run(stop); }) {
        REQUIRE(eventually([this] { return is_well(); }));
    }
    static DatabaseUrls with_relay(DatabaseUrls urls, bool may_relay) {
        if (!may_relay) urls.relay.clear();
        return urls;
    }
    Options cache_options(const std::string& identity) const {
        Options options;
        options.directory = directory.path();
        options.name = "school";
        options.size_bytes = 16ULL << 20;
        options.identity = identity;
        options.degraded_after = std::chrono::seconds(2);
        return options;
    }
    bool is_well() const {
        const std::optional<SyncState> state = cache.sync_state();
        return state && !state->degraded;
    }
    std::string page(AssignmentId id) {
        const std::optional<Document> document = stats.get_or_calculate(id);
        REQUIRE(document);
        const std::string text(document->bytes.value());
        const std::size_t mean = text.find("\"mean\":");
        return text.substr(mean + 7, text.find(',', mean) - mean - 7);
    }
    bool comes_to_show(AssignmentId id, const std::string& mean) {
        return eventually([&] { return page(id) == mean; });
    }
    int take_loads() { return loads.exchange(0); }

    const ScopedDirectory directory;
    std::atomic<int> loads{0};
    const fleet::FleetDatabase database;
    Cache cache;
    const std::shared_ptr<DocumentTier> tier;
    AssignmentStatsCache stats;
    AssignmentNotices notices;
    const std::unique_ptr<Relay> relay;
    std::jthread running;
};

}  // namespace

TEST_CASE("hosts are told by the one that is elected, and by another when that one ends", "[nats][postgres]") {
    Fleet fleet(false);
    auto first = std::make_unique<Host>(fleet);
    Host second(fleet), listener(fleet, false);
    for (Host* const host : {first.get(), &second, &listener}) CHECK(host->page(1) == "90.0");
    fleet.grade(1, "80");
    for (Host* const host : {first.get(), &second, &listener}) CHECK(host->comes_to_show(1, "80.0"));
    first.reset();
    fleet.grade(1, "70");
    for (Host* const host : {&second, &listener}) CHECK(host->comes_to_show(1, "70.0"));
    CHECK(fleet.number("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = "
                       "(SELECT oid FROM pg_database WHERE datname = current_database())") == 1);
}

TEST_CASE("without anybody who relays, hosts are degraded, and say what the database says", "[nats][postgres]") {
    Fleet fleet(false);
    auto leader = std::make_unique<Host>(fleet);
    Host listener(fleet, false);
    CHECK(listener.page(1) == "90.0");
    leader.reset();
    CHECK(eventually([&] { return !listener.is_well(); }));
    fleet.grade(1, "80");
    CHECK(listener.comes_to_show(1, "80.0"));  // computed anew within two seconds of its last reading
    const Host other(fleet);
    CHECK(eventually([&] { return listener.is_well(); }));
}

TEST_CASE("a change is computed by one host, and taken by the others", "[nats][postgres]") {
    Fleet fleet;
    Host one(fleet), other(fleet, false);
    for (Host* const host : {&one, &other}) CHECK(host->page(1) == "90.0");
    one.take_loads();
    other.take_loads();
    for (const std::string score : {"80", "70", "60"}) {
        fleet.grade(1, score);
        CHECK(other.comes_to_show(1, score + ".0"));
        CHECK(one.comes_to_show(1, score + ".0"));
        CHECK(one.take_loads() + other.take_loads() == 1);
    }
}

TEST_CASE("what a killed host was about to compute is computed by one of the others", "[nats][postgres]") {
    Fleet fleet;
    Host one(fleet), other(fleet, false);
    for (Host* const host : {&one, &other}) CHECK(host->page(1) == "90.0");
    one.take_loads();
    other.take_loads();
    nats::KeyValueTier killed(shared_server().options(), one.database.identity());
    REQUIRE(killed.take_lease("assignment_stats:1").state == TierLease::State::taken);  // and that was its end
    fleet.grade(1, "80");
    std::jthread asking([&one] {
        if (eventually([&one] { return !one.cache.contains("assignment_stats:1"); })) one.stats.get_or_calculate(1);
    });
    CHECK(other.comes_to_show(1, "80.0"));
    asking.join();
    CHECK(one.page(1) == "80.0");
    CHECK(one.take_loads() + other.take_loads() == 1);
}

TEST_CASE("what was invalidated at one host alone is not taken from before", "[nats][postgres]") {
    Fleet fleet;
    Host one(fleet), other(fleet, false);
    CHECK(one.page(1) == "90.0");
    CHECK(other.page(1) == "90.0");
    one.take_loads();
    other.take_loads();
    fleet.sql("ALTER TABLE submissions DISABLE TRIGGER USER");  // a change that only this host is told of
    fleet.grade(1, "80");
    other.stats.on_submission_changed(1);
    CHECK(other.page(1) == "80.0");
    CHECK(other.take_loads() == 1);
    CHECK(other.cache.contains("assignment_stats:1"));
    fleet.sql("ALTER TABLE submissions ENABLE TRIGGER USER");
    fleet.grade(1, "70");
    for (Host* const host : {&one, &other}) CHECK(host->comes_to_show(1, "70.0"));
}

TEST_CASE("without its servers' store a host computes by itself", "[nats][postgres]") {
    Fleet fleet;
    NatsServers servers;
    fleet.urls.nats = servers.url();
    Host one(fleet);
    CHECK(one.page(1) == "90.0");
    servers.kill(0);
    fleet.grade(2, "80");
    CHECK(one.comes_to_show(2, "80.0"));
    CHECK(eventually([&] { return !one.is_well(); }));
    servers.start(0);
    CHECK(eventually([&] { return one.is_well(); }, std::chrono::seconds(60)));
    fleet.grade(1, "60");
    CHECK(one.comes_to_show(1, "60.0"));
}

TEST_CASE("the doctor sees who relays, and how far the stream and a host are", "[nats][postgres]") {
    Fleet fleet(false);
    const auto names = [](const std::vector<shm::Finding>& findings, bool are_notes) {
        std::set<std::string> all;
        for (const shm::Finding& one : findings)
            if ((one.severity == shm::Severity::info) == are_notes) all.insert(one.name);
        return all;
    };
    using Names = std::set<std::string>;
    const fleet::FleetDatabase database(fleet.urls, {});
    CHECK(names(database.examine_links({}), false) == Names{"stream_missing", "nobody_relays", "outbox_lag"});
    OutboxPosition last;
    {
        Host host(fleet);
        const ToldPosition told = [&] { return host.notices.position(); };
        const auto findings = database.examine_links(told);
        CHECK(names(findings, false).empty());
        CHECK(names(findings, true) == Names{"stream_single", "stream_position", "relay", "outbox", "outbox_position"});
        last = told().value();
    }
    fleet.grade(1, "80");
    const ToldPosition late = [&] { return std::optional(OutboxPosition{last.seq - 1, last.database}); };
    CHECK(names(database.examine_links(late), false) ==
          Names{"relay_unanswered", "stream_lag", "nobody_relays", "outbox_lag"});
    DatabaseUrls elsewhere = fleet.urls;
    elsewhere.nats = "nats://127.0.0.1:1";
    CHECK(names(fleet::FleetDatabase(elsewhere, {}).examine_links(late), false) ==
          Names{"stream_unreachable", "nobody_relays"});
}
