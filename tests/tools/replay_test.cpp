// larder replay against traces counted by hand and the table of an exact LRU.
#include <zlib.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shared_data.hpp"
#include "tools/trace_file.hpp"
#include "tools/trace_replay.hpp"

using namespace larder;
using namespace std::chrono_literals;
using test::CommandResult;
using test::ScopedDirectory;
using tools::ReplayOptions;
using tools::ReplayResult;

namespace {

class Trace {
public:
    explicit Trace(const std::string& text, const std::string& name = "trace.csv") : path_(directory_.file(name)) {
        std::ofstream(path_) << text;
    }
    const std::string& path() const { return path_; }
    const std::string& directory() const { return directory_.path(); }
    ReplayResult strict(std::uint64_t entries, std::chrono::milliseconds ttl = 0ms) const {
        ReplayOptions options;
        options.trace = path_;
        options.entries = entries;
        options.ttl = ttl;
        options.strict = true;
        return tools::replay(options);
    }

private:
    ScopedDirectory directory_;
    std::string path_;
};

}  // namespace

TEST_CASE("the least recently used of exactly N entries makes room", "[cli][replay]") {
    // a b a c: c drops b where two fit; then a is a hit, b a miss.
    const Trace trace("time,key,size\n1,a,9\n2,b,9\n3,a,9\n4,c,9\n5,a,9\n6,b,9\n");
    const ReplayResult two = trace.strict(2);
    CHECK(two.requests == 6);
    CHECK(two.hits == 2);
    CHECK(two.misses == 4);
    CHECK(trace.strict(1).hits == 0);
    CHECK(trace.strict(3).hits == 3);
    CHECK(two.refused == 0);
}

TEST_CASE("an entry is dead at insertion + ttl, whatever was read since", "[cli][replay]") {
    const Trace trace("1.0,a,1\n1.9,a,1\n2.999999999,a,1\n3.0,a,1\n4.5,a,1\n");
    CHECK(trace.strict(4, 2s).hits == 3);  // 1.9 and 2.999999999; 3.0 is a miss, 4.5 hits what was put at 3.0
    CHECK(trace.strict(4).hits == 4);
    CHECK(trace.strict(4, 1ms).hits == 1);  // 3.0, a nanosecond after the put before it
}

TEST_CASE("entries are counted, bytes never bind", "[cli][replay]") {
    std::string text;
    const std::string pad(900, 'k');
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 5'000; ++i) text += "1," + pad + std::to_string(i) + ",1000000000\n";
    CHECK(Trace(text).strict(5'000).hits == 5'000);
    CHECK(Trace(text).strict(4'999).hits == 0);  // a loop one longer than the cache
}

TEST_CASE("a size holds as many bytes as it says", "[cli][replay]") {
    std::string text;
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 100; ++i) text += std::to_string(round) + ",key" + std::to_string(i) + ",10000\n";
    const Trace trace(text);
    const auto hits = [&trace](std::uint64_t size_bytes) {
        ReplayOptions options;
        options.trace = trace.path();
        options.size_bytes = size_bytes;
        options.strict = true;
        return tools::replay(options).hits;
    };
    CHECK(hits(32 << 20) == 100);
    CHECK(hits(2'000'000) == 100);
    CHECK(hits(500'000) == 0);
    CHECK(hits(5'000) == 0);
    CHECK_THAT(test::run_larder("/dev/shm", {"replay", "--help"}).out, Catch::Contains("below 16MiB"));
}

TEST_CASE("a value that the cache never takes is not made, and is told of with its limit", "[cli][replay]") {
    const Trace trace("1,a,1000000000000\n2,b,4000000000\n3,c,1\n4,a,1000000000000\n");
    const auto run = [&trace](std::vector<std::string> more) {
        more.insert(more.begin(), {"replay", trace.path()});
        const CommandResult result = test::run_larder(trace.directory(), more);
        CHECK(result.code == 0);
        CHECK(result.lines().size() == 4);
        return result.err;
    };
    const std::string large = run({"--size", "32MiB"});
    CHECK_THAT(large, Catch::Contains("3 requests were for values that are never stored") &&
                          Catch::Contains("a larger --size or fewer --shards"));
    CHECK_THAT(run({"--size", "1000000"}), Catch::Contains("at most 1000000 bytes of key and value"));
    CHECK(run({"--entries", "2"}).empty());
}

TEST_CASE("a value that the cache never takes costs no memory", "[cli][replay][no_asan]") {
    const Trace trace("1,a,1000000000000\n2,b,4000000000\n3,c,1\n4,a,1000000000000\n");
    const CommandResult poor = test::run_shell(
        trace.directory(), "ulimit -v 3000000; \"$LARDER\" replay --size 1GiB --shards 16 " + trace.path());
    CHECK(poor.code == 0);
    CHECK(poor.out == "requests 4\nhits 0\nmisses 4\nhit_ratio 0.000000\n");
}

TEST_CASE("replay prints four lines, or their names in JSON, and reads gzip", "[cli][replay]") {
    const std::string text = "time,key,size\n1,a,1\n2,a,1\n3,b,1\n4,a,1\n";
    const Trace trace(text, "trace.csv.gz");
    gzFile file = gzopen(trace.path().c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    const CommandResult plain =
        test::run_larder(trace.directory(), {"replay", trace.path(), "--entries", "2", "--strict"});
    CHECK(plain.code == 0);
    CHECK(plain.out == "requests 4\nhits 2\nmisses 2\nhit_ratio 0.500000\n");
    CHECK(plain.err.empty());
    const CommandResult json =
        test::run_larder(trace.directory(), {"replay", trace.path(), "--entries", "2", "--json"});
    CHECK(json.out == "{\"requests\":4,\"hits\":2,\"misses\":2,\"hit_ratio\":0.5}\n");
}

TEST_CASE("a trace may come from a pipe", "[cli][replay]") {
    const Trace trace("time,key,size\n1,a,1\n2,a,1\n3,b,1\n4,a,1\n");
    const auto piped = [&trace](const std::string& script) {
        const CommandResult result = test::run_shell(trace.directory(), script, "1,a,1\n2,a,1\n");
        CHECK(result.code == 0);
        return result.out;
    };
    const std::string replay = "\"$LARDER\" replay --entries 2 --strict ";
    CHECK(piped(replay + "/dev/stdin") == "requests 2\nhits 1\nmisses 1\nhit_ratio 0.500000\n");
    const std::string four = "requests 4\nhits 2\nmisses 2\nhit_ratio 0.500000\n";
    CHECK(piped("cat " + trace.path() + " | " + replay + "/dev/stdin") == four);
    CHECK(piped("gzip <" + trace.path() + " | " + replay + "/dev/stdin") == four);
    CHECK(piped("mkfifo fifo$$; cat " + trace.path() + " >fifo$$ & " + replay + "fifo$$; rm fifo$$") == four);
}

TEST_CASE("a bad line from a pipe is named as in a file, and too long a pipe is refused", "[cli][replay]") {
    const Trace trace("");
    const CommandResult wrong =
        test::run_shell(trace.directory(), "\"$LARDER\" replay --entries 2 /dev/stdin", "1,a,1\n1,\"a,1\n");
    CHECK(wrong.code == 3);
    CHECK_THAT(wrong.err, Catch::StartsWith("larder: /dev/stdin, line 2, column 2"));
    CHECK_THROWS_WITH(tools::TraceFile("/dev/zero", 1 << 20), Catch::Contains("more than 1 MiB"));
    CHECK_THROWS_WITH(tools::TraceFile(trace.directory()), Catch::Contains("cannot be read to its end"));
    CHECK_THROWS_WITH(tools::TraceFile("absent"), Catch::StartsWith("absent: cannot be opened"));
}

TEST_CASE("a trace that grows while it is replayed is an error", "[cli][replay]") {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += "1,key" + std::to_string(i % 100) + ",1\n";
    const Trace trace(text);
    ReplayOptions options;
    options.trace = trace.path();
    options.entries = 100;
    const auto grow = [&trace](std::uint64_t, std::uint64_t) {
        std::ofstream(trace.path(), std::ios::app) << "1,more,1\n";
    };
    CHECK_THROWS_WITH(tools::replay(options, grow), Catch::Contains("was changed while it was read"));
}

TEST_CASE("more shards than entries are a usage error", "[cli][replay]") {
    const Trace trace("1,a,1\n");
    const CommandResult result =
        test::run_larder(trace.directory(), {"replay", trace.path(), "--entries", "4", "--shards", "8"});
    CHECK(result.code == 2);
    CHECK_THAT(result.err, Catch::StartsWith("larder: --shards: "));
    CHECK(test::run_larder(trace.directory(), {"replay", trace.path(), "--entries", "4", "--shards", "4"}).code == 0);
}

TEST_CASE("a bad line of a trace is named with its number, and nothing is printed", "[cli][replay]") {
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"1,a,1\nx,a,1\n", "line 2, column 1"},
        {"1,a,1\n\n-1,a,1\n", "line 3, column 1"},
        {"2,a,1\n1,a,1\n", "line 2, column 1"},
        {"1,a\n", "line 1"},
        {"1,a,1,1\n", "line 1"},
        {"1,,1\n", "line 1, column 2"},
        {"1,a,big\n", "line 1, column 3"},
        {"1,a,-1\n", "line 1, column 3"},
        {"1.,a,1\n", "line 1, column 1"},
        {"1e3,a,1\n", "line 1, column 1"},
        {"1700000000000,a,1\n", "line 1, column 1"},
        {"1," + std::string(1025, 'k') + ",1\n", "line 1, column 2"}};
    for (const auto& [text, place] : wrong) {
        INFO(text.substr(0, 40));
        const Trace trace(text);
        const CommandResult result = test::run_larder(trace.directory(), {"replay", trace.path(), "--entries", "9"});
        CHECK(result.code == 3);
        CHECK(result.out.empty());
        CHECK_THAT(result.err, Catch::Contains(place));
    }
    CHECK(test::run_larder("/dev/shm", {"replay", "/nonexistent.csv", "--entries", "9"}).code == 3);
}

TEST_CASE("an empty trace has a hit ratio of 0", "[cli][replay]") {
    const ReplayResult result = Trace("time,key,size\n").strict(5);
    CHECK(result.requests == 0);
    CHECK(result.hit_ratio() == 0.0);
}

TEST_CASE("replay of GLI is an exact LRU when strict, and within 0.3 points of it by the clock", "[cli][replay]") {
    const auto shared = testing::shared_dir();
    if (!shared || !std::filesystem::exists(*shared / "data/traces/gli.csv.gz")) {
        WARN("skipped: the traces of the shared data are not here");
        return;
    }
    std::ifstream table(*shared / "data/traces/gli_expected.tsv");
    std::string header;
    std::getline(table, header);
    std::uint64_t entries = 0, hits = 0, misses = 0, rows = 0;
    for (; table >> entries >> hits >> misses; ++rows) {
        INFO(entries << " entries");
        ReplayOptions options;
        options.trace = (*shared / "data/traces/gli.csv.gz").string();
        options.entries = entries;
        options.strict = true;
        const ReplayResult strict = tools::replay(options);
        CHECK(strict.hits == hits);
        CHECK(strict.misses == misses);
        options.strict = false;
        const ReplayResult by_the_clock = tools::replay(options);
        CHECK(by_the_clock.hits + by_the_clock.misses == hits + misses);
        CHECK(static_cast<double>(hits) - static_cast<double>(by_the_clock.hits) <=
              0.003 * static_cast<double>(hits + misses));
    }
    CHECK(rows == 8);
}
