// Documents that hosts of a fleet share, as one of them sees it: what it gives, what it takes, how long it keeps that.
#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "shm/counters.hpp"
#include "shm/segment.hpp"
#include "tests/core/stats_cache_fixture.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;

namespace {

const std::string stream = "LARDER-0/1000";

OutboxPosition message(std::int64_t sequence) { return {sequence, stream + "@7"}; }

/// A tier in memory, whose leases are always to be had.
class Shelf final : public DocumentTier {
public:
    std::optional<TierDocument> get(std::string_view key) override {
        if (looks_before_found > 0) return --looks_before_found, std::nullopt;
        return get_latest(key);
    }
    std::optional<TierDocument> get_latest(std::string_view key) override {
        const auto found = documents.find(std::string(key));
        return found == documents.end() ? std::nullopt : std::optional(found->second);
    }
    TierLease take_lease(std::string_view) override { return {lease_state, 1}; }
    TierLease renew(const TierLease& lease) override { return lease; }
    void release(const TierLease&) override {
        if (before_release) before_release();
    }
    bool put(std::string_view key, const TierDocument& document) override {
        documents[std::string(key)] = document;
        return true;
    }
    std::uint64_t sequence_of(AssignmentId id) const {
        const auto found = documents.find("assignment_stats:" + std::to_string(id));
        return found == documents.end() ? 0 : found->second.sequence;
    }

    std::map<std::string, TierDocument> documents;
    int looks_before_found = 0;
    TierLease::State lease_state = TierLease::State::taken;
    std::function<void()> before_release;
};

/// A host that is told by messages of the stream, of which 4 have been applied.
struct SharingHost {
    SharingHost() {
        look();
        notices.applied(4);
        notices.remember(message(4));
    }
    Options cache_options() {
        Options options = school.cache_options();
        options.name = "sharing";
        options.degraded_after = 2s;
        return options;
    }
    StatsCacheOptions stats_options() {
        StatsCacheOptions options;
        options.tier = std::shared_ptr<DocumentTier>(std::shared_ptr<void>(), &shelf);
        return options;
    }
    void look(std::uint64_t position = 0) {
        notices.look_begins();
        notices.look_ended(position);
    }
    void apply(std::int64_t sequence, AssignmentId id) {
        notices.arrived(message(sequence));
        notices.changed(std::array{id});
        notices.applied(static_cast<std::uint64_t>(sequence));
        notices.remember(message(sequence));
    }
    std::string page(AssignmentId id) { return CachedSchool::page_through(stats, id); }
    std::uint64_t count(shm::Counter counter) const {
        const auto segment = shm::Segment::attach_read_only(cache.segment_path());
        return shm::read_totals(segment.view())[counter];
    }
    std::uint64_t tier_hits() const { return count(shm::Counter::tier_hits); }
    int take_loads() { return school.watch.loads.exchange(0); }
    /// Computed elsewhere: the document of assignment 2, under the name of 1.
    void put_by_another(std::uint64_t sequence) {
        REQUIRE(page(2) == "miss 50.0");
        TierDocument document = shelf.documents.at("assignment_stats:2");
        document.sequence = sequence;
        shelf.documents["assignment_stats:1"] = document;
        take_loads();
    }

    CachedSchool school;
    Shelf shelf;
    Cache cache = Cache::open(cache_options());
    AssignmentNotices notices{cache, {}};
    AssignmentStatsCache stats{cache, school.factory(), stats_options()};
};

}  // namespace

TEST_CASE("a document is shared with what had arrived before it was read, applied or not") {
    SharingHost host;
    CHECK(host.page(1) == "miss 90.0");
    CHECK(host.shelf.sequence_of(1) == 4);
    host.notices.arrived(message(5));
    host.notices.changed(std::array<AssignmentId, 1>{1});
    CHECK(host.page(1) == "miss 90.0");
    CHECK(host.shelf.sequence_of(1) == 5);
}

TEST_CASE("a document that lacks a change which had been told is not shared, though it was just read") {
    SharingHost host;
    host.school.watch.position = 100;  // a replica's
    host.look(100);
    CHECK(host.page(1) == "miss 90.0");
    CHECK(host.shelf.sequence_of(1) == 4);
    host.apply(5, 1);
    host.notices.arrived(message(6));
    host.look(200);
    host.school.watch.position = 200;
    host.school.watch.after_load = [&, is_told = false]() mutable {
        if (!std::exchange(is_told, true)) host.apply(6, 1);
    };
    CHECK(host.page(1) == "miss 90.0");
    CHECK(host.shelf.sequence_of(1) == 4);
    host.look(300);
    host.school.watch.position = 300;
    CHECK(host.page(1) == "miss 90.0");
    CHECK(host.shelf.sequence_of(1) == 6);
}

TEST_CASE("nothing is shared by a host that does not know what it was told, or is told nothing") {
    SharingHost host;
    SECTION("everything may have changed, and messages be counted anew") {
        host.notices.arrived(message(5));
        host.notices.everything_changed("a test");
        CHECK_FALSE(host.notices.position());
        CHECK_FALSE(host.notices.contained());
    }
    SECTION("degraded") { host.school.clock->advance(3s); }
    CHECK(host.page(1) == "miss 90.0");
    CHECK(host.shelf.documents.empty());
}

TEST_CASE("a document of another host is taken where it contains what this host was told") {
    SharingHost host;
    host.put_by_another(4);
    CHECK(host.page(1) == "miss 50.0");
    CHECK(host.take_loads() == 0);
    CHECK(host.page(1) == "hit 50.0");
    CHECK(host.tier_hits() == 1);
    host.apply(5, 1);
    CHECK(host.page(1) == "miss 90.0");
    CHECK(host.take_loads() == 1);
    CHECK(host.tier_hits() == 1);
}

TEST_CASE("what a host computes since the tier is away is counted") {
    SharingHost host;
    CHECK(host.page(1) == "miss 90.0");
    CHECK(host.count(shm::Counter::tier_unreachable) == 0);
    host.shelf.lease_state = TierLease::State::unreachable;
    CHECK(host.page(2) == "miss 50.0");
    CHECK(host.count(shm::Counter::tier_unreachable) == 1);
}

TEST_CASE("a document that was taken is no reading of the source: it is served while this host is told, no longer") {
    SharingHost host;
    host.put_by_another(4);
    host.school.clock->advance(1s);
    CHECK(host.page(1) == "miss 50.0");
    host.school.clock->advance(1500ms);
    CHECK(host.page(1) == "miss 90.0");  // its own reading, good for two seconds without anybody
    host.school.clock->advance(1500ms);
    CHECK(host.page(1) == "hit 90.0");
}

TEST_CASE("a document that a server nearby has not heard of is found by who has the lease") {
    SharingHost host;
    host.put_by_another(4);
    host.shelf.looks_before_found = 2;
    CHECK(host.page(1) == "miss 50.0");
    CHECK(host.take_loads() == 0);
}

TEST_CASE("a document is not kept that a notice overtook while it was taken") {
    SharingHost host;
    host.put_by_another(4);
    host.shelf.looks_before_found = 1;
    host.shelf.before_release = [&host] { host.apply(5, 1); };
    CHECK(host.page(1) == "miss 50.0");
    host.shelf.before_release = {};
    CHECK(host.page(1) == "miss 90.0");
}

TEST_CASE("what a replica has is waited for, or refused, where it lacks what was told") {
    SharingHost host;
    host.school.watch.position = 100;
    host.look(100);
    host.apply(5, 1);
    host.look(200);
    SECTION("it follows") {
        host.school.watch.before_position = [&host, asked = 0]() mutable {
            if (++asked == 5) host.school.watch.position = 200;
        };
        CHECK(host.page(1) == "miss 90.0");
        CHECK(host.page(1) == "hit 90.0");
    }
    SECTION("it does not") {
        CHECK_THROWS_WITH(host.stats.get_or_calculate(1), Catch::Contains("replica"));
        CHECK(host.page(2) == "miss 50.0");  // of which nothing was told
    }
}

TEST_CASE("what a replica does not have yet is not kept as absent") {
    SharingHost host;
    host.school.watch.position = 100;
    host.look(100);
    host.apply(5, 77);
    host.look(200);
    host.school.clock->advance(3s);  // degraded: nobody knows what it lacks, and it is given
    CHECK(host.page(77) == "none");
    host.look(200);
    host.school.watch.position = 200;
    host.school.watch.owner_lookups = 0;
    CHECK(host.page(77) == "none");
    CHECK(host.school.watch.owner_lookups == 1);
    CHECK(host.page(77) == "none");
    CHECK(host.school.watch.owner_lookups == 1);
}

TEST_CASE("a document that was taken lives for as long as it would have lived where it was computed") {
    SharingHost host;
    host.put_by_another(4);
    TierDocument& shared = host.shelf.documents.at("assignment_stats:1");
    const auto of_age = [&](std::chrono::milliseconds age) { shared.made_at -= age; };
    SECTION("it is taken with its age") {
        of_age(250s);
        CHECK(host.page(1) == "miss 50.0");
        CHECK(host.take_loads() == 0);
        CHECK(host.page(1) == "hit 50.0");
        host.school.clock->advance(51s);
        of_age(51s);
        host.look();
        CHECK(host.page(1) == "miss 90.0");
    }
    SECTION("it is over") {
        of_age(301s);
        CHECK(host.page(1) == "miss 90.0");
    }
    SECTION("it would be stale") {
        StatsCacheOptions options = host.stats_options();
        options.soft_ttl = 100s;
        AssignmentStatsCache stats(host.cache, host.school.factory(), options);
        of_age(101s);
        CHECK(CachedSchool::page_through(stats, 1) == "miss 90.0");
    }
}
