#include "core/promise.hpp"

#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <stdexcept>

#include "tests/support/scoped_directory.hpp"

namespace larder {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

Promise figure(const std::string& op, double goal, double measured, const std::string& command = "measure") {
    return {"R1", "ms", {op, goal}, measured, 10, {measured}, command};
}

}  // namespace

TEST_CASE("promise: a figure reaches its goal, or it does not", "[core][promise]") {
    CHECK(holds({"<=", 10}, 10));
    CHECK_FALSE(holds({"<=", 10}, 10.1));
    CHECK(holds({">=", 2.5}, 2.5));
    CHECK_FALSE(holds({">=", 2.5}, 2.4));
    CHECK(holds({"==", 0}, 0));
    CHECK_FALSE(holds({"==", 0}, 1));
    CHECK_FALSE(holds({"==", 0}, -1));
}

TEST_CASE("promise: what was not measured reaches no goal", "[core][promise]") {
    for (const char* const op : {"<=", ">=", "=="}) CHECK_FALSE(holds({op, 0}, kNothing));
    CHECK_FALSE(to_json(Promise{"R1", "ms", {"<=", 10}}).at("holds").as_bool());
    CHECK(to_json(Promise{"R1", "ms", {"<=", 10}}).at("measured").is_null());
}

TEST_CASE("promise: a figure without samples was not measured, whatever others measured of it", "[core][promise]") {
    Promise nothing = figure("<=", 10, 0);
    nothing.samples = 0;
    CHECK_FALSE(to_json(nothing).at("holds").as_bool());
    CHECK(to_json(nothing).at("measured").is_null());
    const test::ScopedDirectory directory;
    append_promise(directory.file("promises"), figure("<=", 10, 1));
    append_promise(directory.file("promises"), nothing);
    CHECK(std::isnan(read_promises(directory.file("promises"))[0].measured));
}

TEST_CASE("promise: an unknown comparison is an error, not a promise kept", "[core][promise]") {
    CHECK_THROWS_AS(holds({"<", 10}, 1), std::invalid_argument);
}

TEST_CASE("promise: the line that others read", "[core][promise]") {
    CHECK(
        boost::json::serialize(to_json(figure("<=", 10, 1.5))) ==
        R"({"promise":"R1","unit":"ms","goal":{"op":"<=","value":1E1},"measured":1.5E0,"samples":10,"rounds":[1.5E0],)"
        R"("holds":true,"command":"measure"})");
}

TEST_CASE("promise: a failing figure among several decides", "[core][promise]") {
    const test::ScopedDirectory directory;
    const std::string path = directory.path() + "/promises";
    struct Case {
        const char* op;
        double goal, good, bad;
    };
    for (const Case& one :
         {Case{"<=", 10, 1, 11}, Case{">=", 4, 9, 3}, Case{"==", 0, 0, 2}, Case{"==", 0, 0, kNothing}}) {
        for (const bool bad_first : {false, true}) {
            std::ofstream(path, std::ios::trunc).flush();
            append_promise(path, figure(one.op, one.goal, bad_first ? one.bad : one.good, "first"));
            append_promise(path, figure(one.op, one.goal, bad_first ? one.good : one.bad, "second"));
            const std::vector<Promise> promises = read_promises(path);
            REQUIRE(promises.size() == 1);
            CHECK_FALSE(holds(promises[0].goal, promises[0].measured));
            CHECK(promises[0].samples == 20);
            CHECK(promises[0].rounds.size() == 2);
            CHECK(promises[0].command == "first && second");
        }
    }
}

TEST_CASE("promise: a file that is none says so", "[core][promise]") {
    const test::ScopedDirectory directory;
    const std::string path = directory.path() + "/promises";
    CHECK_THROWS_WITH(read_promises(path), Catch::Contains(path) && Catch::Contains("cannot be read"));
    std::ofstream(path) << "{}\n";
    CHECK_THROWS_AS(read_promises(path), std::runtime_error);
    std::ofstream(path, std::ios::trunc).flush();
    append_promise(path, figure("<=", 10, 1));
    append_promise(path, figure("<=", 20, 1));
    CHECK_THROWS_WITH(read_promises(path), Catch::Contains("two goals"));
}

}  // namespace larder
