#include "shm/fences.hpp"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "shm/inspector.hpp"
#include "shm/mapping.hpp"
#include "shm/record.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder::shm;
using larder::test::ScopedCache;
using larder::test::Watchdog;

namespace {

/// The fences of a real segment, and a record that depends on key `page:1`, its namespace and the tag `tag`.
struct Fixture {
    ScopedCache scoped;
    Mapping* mapping = Mapping::open(scoped.options, nullptr);
    SegmentView view = mapping->view();
    Fences fences{view};
    alignas(Record) std::array<char, 512> bytes{};

    Record& record(std::uint64_t as_of) {
        Record& made = *new (bytes.data()) Record{};
        made.key_bytes = 6;
        made.tags = 1;
        made.as_of = as_of;
        made.checked.store(~std::uint64_t{0});
        const std::uint64_t seed = view.header().hash_seed;
        const std::array<std::uint32_t, 3> stripes = {stripe_of(FenceKind::key, "page:1", seed),
                                                      stripe_of(FenceKind::name_space, "page", seed),
                                                      stripe_of(FenceKind::tag, "tag", seed)};
        std::memcpy(bytes.data() + shape_of(made).stripes_at(), stripes.data(), sizeof stripes);
        made.value_at = static_cast<std::uint32_t>(shape_of(made).value_at());
        return made;
    }
    bool alive(Record& record) { return fences.alive(record, fences.load_applied()); }
};

}  // namespace

TEST_CASE("A namespace is what stands before the first colon, else the whole key", "[fences]") {
    CHECK(namespace_of("page:1:2") == "page");
    CHECK(namespace_of("page") == "page");
    CHECK(namespace_of(":1").empty());
}

TEST_CASE("One text has other fences as key, as tag and as namespace, and by another seed", "[fences]") {
    std::set<std::uint32_t> stripes;
    for (const FenceKind kind : {FenceKind::key, FenceKind::tag, FenceKind::name_space})
        for (std::uint64_t seed = 0; seed < 4; ++seed) stripes.insert(stripe_of(kind, "text", seed));
    CHECK(stripes.size() == 12);
    CHECK(*stripes.rbegin() < kFences);
}

TEST_CASE("A record is alive until a notice names what it depends on after its as_of", "[fences]") {
    Fixture f;
    Record& record = f.record(f.fences.now());
    REQUIRE(f.alive(record));
    f.fences.announce(FenceKind::key, "page:2");
    f.fences.announce(FenceKind::tag, "page:1");
    f.fences.announce(FenceKind::name_space, "page:1");
    f.fences.announce(FenceKind::key, "page");
    REQUIRE(f.alive(record));
    SECTION("its key") { f.fences.announce(FenceKind::key, "page:1"); }
    SECTION("its key among others") {
        f.fences.announce_keys(std::array<std::string_view, 3>{"page:0", "page:1", "page:2"});
    }
    SECTION("its tag") { f.fences.announce(FenceKind::tag, "tag"); }
    SECTION("its namespace") { f.fences.announce(FenceKind::name_space, "page"); }
    SECTION("everything") { f.fences.announce(FenceKind::everything, {}); }
    CHECK_FALSE(f.alive(record));
    CHECK(f.fences.highest(record) == f.fences.now());
    CHECK(f.alive(f.record(f.fences.now())));
}

TEST_CASE("A reader looks at the fences again only after a notice", "[fences]") {
    Fixture f;
    Record& record = f.record(f.fences.now());
    REQUIRE(f.alive(record));
    CHECK(record.checked.load() == f.fences.load_applied());
    f.fences.announce(FenceKind::key, "page:1");
    REQUIRE_FALSE(f.alive(record));
    CHECK(record.checked.load() != f.fences.load_applied());
}

TEST_CASE("Several keys share one number", "[fences]") {
    Fixture f;
    const std::uint64_t before = f.fences.now();
    CHECK(f.fences.announce_keys(std::vector<std::string_view>{"a", "b", "c"}) == before + 1);
    const std::uint64_t seed = f.view.header().hash_seed;
    for (const char* key : {"a", "b", "c"}) CHECK(f.fences.fence(stripe_of(FenceKind::key, key, seed)) == before + 1);
}

TEST_CASE("Overtaking a key kills what is as old as that, and nothing that is newer", "[fences]") {
    Fixture f;
    const std::uint64_t as_of = f.fences.now();
    f.fences.announce(FenceKind::tag, "tag");
    f.fences.overtake_key("page:1", as_of);
    CHECK_FALSE(f.alive(f.record(as_of)));
    CHECK(f.alive(f.record(f.fences.now())));
}

TEST_CASE("Fences only grow, whoever raises them at once", "[fences][tsan]") {
    const Watchdog watchdog;
    Fixture f;
    std::atomic<int> wrong{0};
    const std::uint32_t stripe = stripe_of(FenceKind::key, "key", f.view.header().hash_seed);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 2'000; ++n)
                if (const std::uint64_t number = f.fences.announce(FenceKind::key, "key");
                    f.fences.fence(stripe) < number)
                    ++wrong;
        });
    }
    std::uint64_t last = 0;
    for (int n = 0; n < 2'000; ++n) {
        const std::uint64_t seen = f.fences.fence(stripe);
        wrong += seen < last ? 1 : 0;
        last = seen;
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(f.fences.fence(stripe) == f.fences.now());
    CHECK(f.fences.load_applied() == f.fences.now());
}

TEST_CASE("The last notices can be looked at, long names cut", "[fences]") {
    Fixture f;
    f.fences.announce(FenceKind::tag, "tag");
    const std::uint64_t number = f.fences.announce(FenceKind::key, std::string(100, 'k'));
    const std::vector<NoticeFacts> notices = read_notices(f.view);
    REQUIRE(notices.size() >= 2);
    CHECK(notices.back().number == number);
    CHECK(notices.back().text == std::string(64, 'k'));
    CHECK(notices.back().cut);
    CHECK(notices[notices.size() - 2].kind == FenceKind::tag);
    for (std::uint32_t i = 0; i < 2 * kNotices; ++i) f.fences.announce(FenceKind::everything, {});
    CHECK(read_notices(f.view).size() == kNotices);
}
