#include <catch2/catch.hpp>

#include "core/json_writer.hpp"
#include "core/points.hpp"
#include "core/rounding.hpp"
#include "core/timestamp.hpp"
#include "core/utf8.hpp"

using namespace larder;

namespace {

std::int64_t scaled(const char* text) {
    const auto points = parse_points(text);
    REQUIRE(points);
    return points->ten_thousandths;
}

std::string round_trip(const char* text) {
    const auto time = parse_timestamp(text);
    return time ? to_iso8601(*time) : "none";
}

}  // namespace

TEST_CASE("points are read as exact decimals of up to four places") {
    CHECK(scaled("0") == 0);
    CHECK(scaled("78") == 780'000);
    CHECK(scaled("78.5") == 785'000);
    CHECK(scaled("78.0001") == 780'001);
    CHECK(scaled("-0.5") == -5'000);
    CHECK(scaled(".25") == 2'500);
    CHECK(scaled("999999999.9999") == 9'999'999'999'999);
}

TEST_CASE("what is not a decimal of four places below the limit is not points") {
    for (const char* text : {"", "-", ".", "-.", "78.50000", "1e3", "+5", "--5", "5-", "1,5", " 5", "5 ", "0x10", "nan",
                             "inf", "1.2.3", "1000000000", "99999999999999999999999"}) {
        INFO(text);
        CHECK_FALSE(parse_points(text));
    }
}

TEST_CASE("points survive the way through a double, up to the limit") {
    for (const std::int64_t value :
         {0L, 1L, -1L, 899'999L, 9'999'999'999'999L, -9'999'999'999'999L, 3'333'333'333'333L}) {
        CHECK(points_from(to_double(Points{value})) == Points{value});
    }
    CHECK_FALSE(points_from(1e9));
    CHECK_FALSE(points_from(-1e300));
    CHECK_FALSE(points_from(std::numeric_limits<double>::quiet_NaN()));
}

TEST_CASE("halves are rounded to even, on both sides of zero") {
    CHECK(round_half_even(1, 2) == 0);
    CHECK(round_half_even(3, 2) == 2);
    CHECK(round_half_even(5, 2) == 2);
    CHECK(round_half_even(-1, 2) == 0);
    CHECK(round_half_even(-3, 2) == -2);
    CHECK(round_half_even(-5, 2) == -2);
    CHECK(round_half_even(7, 3) == 2);
    CHECK(round_half_even(8, 3) == 3);
    CHECK(round_half_even(-7, 3) == -2);
    CHECK(round_half_even(-8, 3) == -3);
}

TEST_CASE("percentages have two decimals and are zero of nothing") {
    CHECK(percentage(42, 50) == Hundredths{8'400});
    CHECK(percentage(1, 3) == Hundredths{3'333});
    CHECK(percentage(5, 0) == Hundredths{0});
    CHECK(percentage(3, 2) == Hundredths{15'000});
}

TEST_CASE("rounded numbers are written with one or two decimals") {
    CHECK(to_text(Hundredths{0}) == "0.0");
    CHECK(to_text(Hundredths{8'400}) == "84.0");
    CHECK(to_text(Hundredths{7'031}) == "70.31");
    CHECK(to_text(Hundredths{5}) == "0.05");
    CHECK(to_text(Hundredths{-25}) == "-0.25");
    CHECK(to_text(Hundredths{-150}) == "-1.5");
}

TEST_CASE("times are read in UTC and with offsets, and written with milliseconds") {
    CHECK(round_trip("2013-10-20T23:59:59Z") == "2013-10-20T23:59:59.000Z");
    CHECK(round_trip("2013-10-20T23:59:59.125999Z") == "2013-10-20T23:59:59.125Z");
    CHECK(round_trip("2013-10-20 23:59:59") == "2013-10-20T23:59:59.000Z");
    CHECK(round_trip("2013-10-20T23:59:59+01:30") == "2013-10-20T22:29:59.000Z");
    CHECK(round_trip("2013-10-20T23:59:59-01:00") == "2013-10-21T00:59:59.000Z");
    CHECK(round_trip("2012-02-29T00:00:00Z") == "2012-02-29T00:00:00.000Z");
    CHECK(round_trip("1969-12-31T23:59:59.5Z") == "1969-12-31T23:59:59.500Z");
}

TEST_CASE("what is not a time is not read as one") {
    for (const char* text :
         {"", "2013", "2013-10-20", "2013-02-29T00:00:00Z", "2013-13-01T00:00:00Z", "2013-10-20T24:00:00Z",
          "2013-10-20T23:60:00Z", "2013-10-20T23:59:60Z", "2013-10-20T23:59:59.Z", "2013-10-20T23:59:59Zx",
          "2013-10-20T23:59Z", "2013-10-20T23:59:59.1234567890Z", "2013-10-20T23:59:59*01:00", "x"}) {
        INFO(text);
        CHECK_FALSE(parse_timestamp(text));
    }
    CHECK(is_utc_timestamp("2013-10-20T23:59:59Z"));
    CHECK_FALSE(is_utc_timestamp("2013-10-20 23:59:59Z"));
    CHECK_FALSE(is_utc_timestamp("2013-10-20T23:59:59"));
    CHECK_FALSE(is_utc_timestamp("2013-10-20T23:59:59+00:00"));
}

TEST_CASE("bytes that are not UTF-8 are found and replaced") {
    CHECK(
        is_utf8("Gr\xC3\xBC\xC3\x9F"
                "e \xE2\x82\xAC \xF0\x9F\x98\x80"));
    for (const char* text : {"\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xF4\x90\x80\x80",
                             "\xC3", "\xE2\x82", "\xFF"}) {
        CHECK_FALSE(is_utf8(text));
        CHECK(is_utf8(to_utf8(text)));
    }
    CHECK(to_utf8("a\xFF"
                  "b") ==
          "a\xEF\xBF\xBD"
          "b");
}

TEST_CASE("JSON is written in the order of the calls, its strings escaped") {
    JsonWriter json;
    json.begin_object().field("b", std::int64_t{1}).field("a", "\"x\"\n\t\x01\\");
    json.key("list").begin_array().value(std::int64_t{1}).null().begin_object().end_object().end_array();
    json.key("none").begin_array().end_array().field("no", std::optional<Hundredths>{}).end_object();
    CHECK(json.take() == R"({"b":1,"a":"\"x\"\n\t\u0001\\","list":[1,null,{}],"none":[],"no":null})");
}
