// What a host knows of documents that another has read: AssignmentNotices and the marks that it leaves in the cache.
#include <array>
#include <catch2/catch.hpp>

#include "core/assignment_notices.hpp"
#include "core/cache_keys.hpp"
#include "tests/support/scoped_cache.hpp"

using namespace larder;
using namespace larder::test;

namespace {

struct Host {
    ScopedCache scoped;
    Cache& cache = scoped.cache;
    AssignmentNotices notices{cache, {}};

    Host() {
        look();
        notices.applied(1);
    }
    void look() {
        notices.look_begins();
        notices.look_ended(0);
    }
    void apply(std::uint64_t sequence, AssignmentId id) {
        notices.changed(std::array{id});
        notices.applied(sequence);
    }
    bool takes(std::uint64_t sequence, AssignmentId id) const {
        return cache.is_current_at(stream_position(sequence), stats_key(id), {});
    }
};

}  // namespace

TEST_CASE("A document is taken where no notice of its own came later than it was read", "[notices]") {
    Host host;
    host.apply(2, 7);
    host.apply(3, 8);
    CHECK(host.takes(3, 7));
    CHECK(host.takes(2, 7));
    CHECK_FALSE(host.takes(1, 7));
    CHECK_FALSE(host.takes(2, 8));
    CHECK(host.takes(3, 8));
    CHECK(host.takes(2, 9));
    SECTION("nor one after everything has changed") {
        host.notices.everything_changed("a test");
        host.notices.applied(4);
        CHECK_FALSE(host.takes(3, 9));
        CHECK(host.takes(4, 9));
    }
}

TEST_CASE("A notice of all keys, whose ever, does not make a host forget what it was told", "[notices]") {
    Host host;
    host.notices.remember({7, "db"});
    host.cache.invalidate_all();
    CHECK_FALSE(host.notices.position());
    host.look();
    REQUIRE(host.notices.position());
    CHECK(host.notices.position()->seq == 7);
    host.notices.everything_changed("a test");
    host.look();
    CHECK_FALSE(host.notices.position());
}

TEST_CASE("What this host alone was told is seen by what was read after a look that began later", "[notices]") {
    Host host;
    host.apply(2, 7);
    host.cache.invalidate(stats_key(7));
    CHECK_FALSE(host.takes(2, 7));
    host.apply(3, 8);  // sent before or after that invalidation: nobody knows
    CHECK_FALSE(host.takes(3, 7));
    host.look();  // which says how far the stream was when it was answered: 3
    CHECK_FALSE(host.takes(3, 7));
    host.apply(4, 8);
    CHECK(host.takes(4, 7));
    CHECK_FALSE(host.takes(3, 7));
}

TEST_CASE("What came while a look was on its way waits for the next one", "[notices]") {
    Host host;
    host.notices.look_begins();
    host.cache.invalidate(stats_key(7));
    host.notices.look_ended(0);
    host.apply(2, 8);
    CHECK_FALSE(host.takes(2, 7));
    host.notices.look_begins();
    host.apply(3, 8);
    host.notices.look_ended(0);
    CHECK_FALSE(host.takes(3, 7));
    host.apply(4, 8);
    CHECK(host.takes(4, 7));
    CHECK(host.takes(4, 8));
}
