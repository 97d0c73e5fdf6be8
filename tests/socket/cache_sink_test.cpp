// What a client of the socket says reaches the cache behind it.
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <string>

#include "tests/support/scoped_cache.hpp"
#include "tests/support/socket_client.hpp"

using namespace larder;
using namespace larder::test;

TEST_CASE("Each verb of the socket does in the cache what it says", "[socket]") {
    Options options;
    options.listen = true;
    options.shards = 2;
    ScopedCache scoped(options);
    Cache& cache = scoped.cache;
    const auto store = [&cache] {
        for (const char* key : {"ns:tagged", "ns:plain", "other"})
            cache.put(key, "v", {.tags = {key == std::string("ns:tagged") ? "t" : "u"}});
    };
    const auto present = [&cache] {
        std::string found;
        for (const char* key : {"ns:tagged", "ns:plain", "other"}) found += cache.peek(key) ? '1' : '0';
        return found;
    };
    REQUIRE(test::eventually([&] { return SocketClient(cache.socket_path()).ask("ping") == "ok"; }));
    SocketClient client(cache.socket_path());
    const auto left_by = [&](const std::string& line) {
        store();
        REQUIRE(present() == "111");
        CHECK_THAT(client.ask(line), Catch::StartsWith("ok ") && Catch::Contains("notice="));
        return present();
    };
    CHECK(left_by("invalidate other absent") == "110");
    CHECK(left_by("invalidate-tag t") == "011");
    CHECK(left_by("invalidate-namespace ns") == "001");
    CHECK(left_by("invalidate-all") == "000");

    store();
    const std::string answer = client.ask("stat");
    REQUIRE_THAT(answer, Catch::StartsWith("ok {"));
    const boost::json::value stat = boost::json::parse(answer.substr(3));
    CHECK(stat.at("shards").to_number<int>() == 2);
    CHECK(stat.at("size_bytes").to_number<std::uint64_t>() == scoped.options.size_bytes);
    CHECK(stat.at("entries").to_number<std::uint64_t>() == scoped.entries());
    CHECK(stat.at("payload_bytes").to_number<std::uint64_t>() == shm::read_gauges(scoped.view()).payload_bytes);
    CHECK(stat.at("counters").at("puts").to_number<int>() == 15);
}
