#include "tools/http/token.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <string>

#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/tools/forged_token.hpp"

using namespace larder;
using namespace larder::tools;
using namespace std::chrono_literals;
using larder::test::forge;

namespace {

const std::string secret = "0123456789abcdef0123456789abcdef";
const std::string other_secret = "ffffffffffffffffffffffffffffffff";
const std::string header = R"({"alg":"HS256","typ":"JWT"})";

WallClock::time_point now() { return WallClock::now(); }

std::int64_t in(std::chrono::seconds time) {
    return std::chrono::duration_cast<std::chrono::seconds>((now() + time).time_since_epoch()).count();
}

std::string claims(const std::string& exp = std::to_string(in(1h)), const std::string& more = {}) {
    return R"({"sub":"7","role":"teacher","exp":)" + exp + more + "}";
}

bool accepted(const std::string& token, const std::string& key = secret) {
    return verify_token(token, KeyRing::parse(key), now()).has_value();
}

std::string write_key(const test::ScopedDirectory& directory, const std::string& bytes, mode_t mode) {
    const std::string path = directory.file("key");
    std::ofstream(path, std::ios::binary) << bytes;
    ::chmod(path.c_str(), mode);
    return path;
}

}  // namespace

TEST_CASE("a token that was made is accepted and says who it was made for", "[token]") {
    const KeyRing keys = KeyRing::parse(secret);
    const std::string token = make_token({.user_id = 42, .role = Role::tutor}, 1h, keys, now());
    const auto caller = verify_token(token, keys, now());
    REQUIRE(caller);
    CHECK(caller->user_id == 42);
    CHECK(caller->role == Role::tutor);
    CHECK(accepted(forge(header, claims(), secret)));
    CHECK(accepted(forge(R"({"alg":"HS256"})", claims(), secret)));
    CHECK(accepted(forge(R"({"alg":"HS256","typ":"jwt"})", claims(), secret)));
}

TEST_CASE("a token ends at the second that it names, without leeway", "[token]") {
    const KeyRing keys = KeyRing::parse(secret);
    const auto start = std::chrono::time_point_cast<std::chrono::seconds>(now());
    const std::string token = make_token({.user_id = 1, .role = Role::admin}, 1h, keys, start);
    CHECK(verify_token(token, keys, start + 1h - 1s));
    CHECK_FALSE(verify_token(token, keys, start + 1h));
    CHECK_FALSE(verify_token(token, keys, start + 2h));
}

TEST_CASE("a token is judged at the time that is given, whatever the machine's clock says", "[token]") {
    const KeyRing keys = KeyRing::parse(secret);
    for (const auto then : {WallClock::time_point(std::chrono::seconds(1'000'000'000)), now() + 1000h}) {
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(then.time_since_epoch()).count();
        CHECK(verify_token(make_token({.user_id = 1, .role = Role::admin}, 1h, keys, then), keys, then));
        const std::string begins = claims(std::to_string(seconds + 60), ",\"nbf\":" + std::to_string(seconds));
        CHECK(verify_token(forge(header, begins, secret), keys, then));
        CHECK_FALSE(verify_token(forge(header, begins, secret), keys, then - 1s));
        CHECK_FALSE(verify_token(forge(header, begins, secret), keys, then + 60s));
    }
}

TEST_CASE("no other algorithm is accepted, whatever the signature", "[token]") {
    const std::string unsigned_part =
        test::base64url(R"({"alg":"none","typ":"JWT"})") + "." + test::base64url(claims()) + ".";
    CHECK_FALSE(accepted(unsigned_part));
    CHECK_FALSE(accepted(unsigned_part + test::base64url(std::string(32, 'x'))));
    for (const std::string algorithm : {"none", "None", "NONE", "hs256", "HS384", "HS512", "RS256", "ES256", "", "x"})
        CHECK_FALSE(accepted(forge(R"({"alg":")" + algorithm + R"(","typ":"JWT"})", claims(), secret)));
    CHECK_FALSE(accepted(forge(R"({"alg":"HS512","typ":"JWT"})", claims(), secret, EVP_sha512())));
    CHECK_FALSE(accepted(forge(R"({"alg":"HS384","typ":"JWT"})", claims(), secret, EVP_sha384())));
}

TEST_CASE("a header of any other shape is refused", "[token]") {
    for (const char* shape : {R"({"alg":256})", R"({"alg":["HS256"]})", R"({"alg":null})", R"({})", R"([])",
                              R"("HS256")", R"(7)", R"(null)", R"({"alg":"HS256","typ":"JWE"})",
                              R"({"alg":"HS256","typ":7})", R"({"alg":"HS256","typ":""})", R"({"alg":"HS256","kid":7})",
                              R"({"alg":"HS256","kid":""})", R"({"alg":"HS256","crit":["exp"]})", R"({"alg")", ""})
        CHECK_FALSE(accepted(forge(shape, claims(), secret)));
}

TEST_CASE("exp must be there, a positive integer, and not over", "[token]") {
    CHECK_FALSE(accepted(forge(header, R"({"sub":"7","role":"teacher"})", secret)));
    CHECK_FALSE(accepted(forge(header, claims(std::to_string(in(-1s))), secret)));
    CHECK_FALSE(accepted(forge(header, claims(std::to_string(in(0s))), secret)));
    const std::string later = std::to_string(in(1h));
    for (const std::string exp : {"-1", "-99999999999", "0", "null", "true", "[]", "{}", "1e300", "1e30", "9e999"})
        CHECK_FALSE(accepted(forge(header, claims(exp), secret)));
    CHECK_FALSE(accepted(forge(header, claims(later + ".5"), secret)));
    CHECK_FALSE(accepted(forge(header, claims("-" + later), secret)));
    CHECK_FALSE(accepted(forge(header, claims('"' + later + '"'), secret)));
}

TEST_CASE("sub is the decimal text of a number, and role one of four", "[token]") {
    const auto with = [](const std::string& sub, const std::string& role) {
        return forge(header, R"({"sub":)" + sub + R"(,"role":)" + role + R"(,"exp":)" + std::to_string(in(1h)) + "}",
                     secret);
    };
    CHECK(accepted(with(R"("7")", R"("student")")));
    CHECK(accepted(with(R"("9223372036854775807")", R"("admin")")));
    for (const char* sub : {"7", "7.0", R"("")", R"("-7")", R"("+7")", R"(" 7")", R"("7 ")", R"("7.0")", R"("0x7")",
                            R"("07")", R"("9223372036854775808")", R"("sieben")", "null", R"(["7"])", R"("7\u0000")"})
        CHECK_FALSE(accepted(with(sub, R"("teacher")")));
    for (const char* role : {R"("root")", R"("Teacher")", R"("")", "1", "null", R"(["admin"])", R"("teacher\u0000")"})
        CHECK_FALSE(accepted(with(R"("7")", role)));
    CHECK_FALSE(accepted(forge(header, R"({"role":"teacher","exp":)" + std::to_string(in(1h)) + "}", secret)));
    CHECK_FALSE(accepted(forge(header, R"({"sub":"7","exp":)" + std::to_string(in(1h)) + "}", secret)));
    for (const char* shape : {"[]", "7", "null", R"("sub")", "", "{"})
        CHECK_FALSE(accepted(forge(header, shape, secret)));
}

TEST_CASE("nbf and iat are checked where they are there, and a token for an audience is not for us", "[token]") {
    const std::string exp = std::to_string(in(1h));
    CHECK(accepted(forge(header, claims(exp, R"(,"nbf":)" + std::to_string(in(-10s))), secret)));
    CHECK(accepted(forge(header, claims(exp, R"(,"iat":)" + std::to_string(in(-10s))), secret)));
    CHECK_FALSE(accepted(forge(header, claims(exp, R"(,"nbf":)" + std::to_string(in(60s))), secret)));
    for (const char* more :
         {R"(,"nbf":-1)", R"(,"nbf":1.5)", R"(,"nbf":"1")", R"(,"iat":"1")", R"(,"iat":-5)", R"(,"aud":"else")"})
        CHECK_FALSE(accepted(forge(header, claims(exp, more), secret)));
}

TEST_CASE("a token that was changed, cut or made with another secret is refused", "[token]") {
    const std::string token = forge(header, claims(), secret);
    CHECK_FALSE(accepted(forge(header, claims(), other_secret)));
    for (std::size_t i = 0; i < token.size(); ++i) {
        std::string changed = token;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        CHECK_FALSE(accepted(changed));
        CHECK_FALSE(accepted(token.substr(0, i)));
    }
    const std::size_t first = token.find('.');
    const std::size_t second = token.find('.', first + 1);
    CHECK_FALSE(accepted(token + "."));
    CHECK_FALSE(accepted(token + "="));
    CHECK_FALSE(accepted(" " + token));
    CHECK_FALSE(accepted(token.substr(0, second)));
    CHECK_FALSE(accepted(token.substr(0, second + 1)));
    CHECK_FALSE(accepted("." + token.substr(first + 1)));
}

TEST_CASE("bytes that are no token are refused, however long", "[token]") {
    for (const char* text : {"", ".", "..", "...", "a.b.c", "\xff\xfe.\x80\x81.\xff"}) CHECK_FALSE(accepted(text));
    CHECK_FALSE(accepted(std::string(10'000'000, 'A')));
    CHECK_FALSE(accepted(std::string(1'000'000, '.')));
    const std::string long_one =
        forge(header, claims(std::to_string(in(1h)), R"(,"x":")" + std::string(4'000, 'x') + '"'), secret);
    CHECK_FALSE(accepted(long_one));
    const std::string deep = forge(header, std::string(1'400, '['), secret);
    CHECK_FALSE(accepted(deep));
    unsigned state = 20'240'101;
    for (int round = 0; round < 2'000; ++round) {
        std::string noise(1 + round % 200, '\0');
        for (char& byte : noise) byte = static_cast<char>((state = state * 1'664'525 + 1'013'904'223) >> 24);
        noise[noise.size() / 3] = '.';
        noise[noise.size() * 2 / 3] = '.';
        CHECK_FALSE(accepted(noise));
    }
}

TEST_CASE("of two keys both are accepted, and a kid chooses", "[token]") {
    const KeyRing keys = KeyRing::parse("new:" + other_secret + "\n" + "old:" + secret + "\n");
    const auto accepts = [&keys](const std::string& token) { return verify_token(token, keys, now()).has_value(); };
    CHECK(accepts(forge(header, claims(), secret)));
    CHECK(accepts(forge(header, claims(), other_secret)));
    CHECK(accepts(forge(R"({"alg":"HS256","kid":"old"})", claims(), secret)));
    CHECK_FALSE(accepts(forge(R"({"alg":"HS256","kid":"new"})", claims(), secret)));
    CHECK_FALSE(accepts(forge(R"({"alg":"HS256","kid":"gone"})", claims(), secret)));
    CHECK_FALSE(accepts(forge(header, claims(), "old:" + secret)));
    CHECK(accepts(make_token({.user_id = 1, .role = Role::teacher}, 1h, keys, now())));
    CHECK_FALSE(verify_token(make_token({.user_id = 1, .role = Role::teacher}, 1h, keys, now()), KeyRing::parse(secret),
                             now()));
}

TEST_CASE("a key is at least 32 bytes, without the trailing newline", "[token]") {
    CHECK_THROWS_AS(KeyRing::parse(""), KeyFileError);
    CHECK_THROWS_AS(KeyRing::parse("\n\n"), KeyFileError);
    CHECK_THROWS_AS(KeyRing::parse(std::string(31, 'k')), KeyFileError);
    CHECK_THROWS_AS(KeyRing::parse(std::string(31, 'k') + "\n"), KeyFileError);
    CHECK_THROWS_AS(KeyRing::parse("kid:" + std::string(31, 'k')), KeyFileError);
    CHECK_THROWS_AS(KeyRing::parse(secret + "\nshort\n"), KeyFileError);
    CHECK(KeyRing::parse(secret + "\n").signing_key().secret == secret);
    CHECK(KeyRing::parse("k-1:" + secret).signing_key().id == "k-1");
    CHECK(KeyRing::parse("k-1:" + secret).signing_key().secret == secret);
}

TEST_CASE("a ring has all keys of another one, by their names, in any order", "[token]") {
    const std::string one(40, '1'), two(40, '2');
    const KeyRing both = KeyRing::parse("a:" + one + "\nb:" + two), turned = KeyRing::parse("b:" + two + "\na:" + one);
    CHECK(both.has_all_of(turned));
    CHECK(both.has_all_of(KeyRing::parse("b:" + two)));
    CHECK_FALSE(KeyRing::parse("b:" + two).has_all_of(both));
    CHECK_FALSE(both.has_all_of(KeyRing::parse("c:" + one)));
    CHECK_FALSE(both.has_all_of(KeyRing::parse("a:" + two)));
}

TEST_CASE("what somebody means for something else is no key", "[token]") {
    const std::string key(40, 'k');
    for (const std::string& wrong : std::vector<std::string>{
             "# keys of the school service, rotated monthly", "new:" + key + "\n#" + key, key + "\r\n",
             "new:" + key + "\r\nold:" + key + "\r\n", " " + key, key + " ", "new:" + key + "\t"}) {
        INFO(wrong);
        CHECK_THROWS_AS(KeyRing::parse(wrong), KeyFileError);
    }
    CHECK_NOTHROW(KeyRing::parse("new:" + key + "\n\nold:" + key));
}

TEST_CASE("a key of random bytes is taken as it is, newlines and colons included", "[token]") {
    const std::string bytes = std::string("\x01k:\n\xff", 5) + std::string(30, '\x80');
    CHECK(KeyRing::parse(bytes + "\n").signing_key().secret == bytes);
    CHECK(accepted(forge(header, claims(), bytes), bytes));
}

TEST_CASE("a key file that others can read is refused", "[token]") {
    const test::ScopedDirectory directory;
    CHECK(KeyRing::from_file(write_key(directory, secret + "\n", 0600)).signing_key().secret == secret);
    CHECK(KeyRing::from_file(write_key(directory, secret + "\n", 0400)).signing_key().secret == secret);
    for (const mode_t mode : {0640, 0604, 0660, 0644, 0610})
        CHECK_THROWS_AS(KeyRing::from_file(write_key(directory, secret, mode)), KeyFileError);
    CHECK_THROWS_AS(KeyRing::from_file(directory.file("absent")), KeyFileError);
    CHECK_THROWS_AS(KeyRing::from_file(directory.path()), KeyFileError);
    CHECK_THROWS_AS(KeyRing::from_file(write_key(directory, std::string(70'000, 'k'), 0600)), KeyFileError);
    CHECK_THROWS_WITH(KeyRing::from_file(write_key(directory, "a secret that is too short", 0600)),
                      !Catch::Contains("a secret"));
}

TEST_CASE("the user of a token is a decimal number", "[cli][token]") {
    const test::ScopedDirectory directory;
    const std::string key_file = write_key(directory, secret + "\n", 0600);
    const auto token = [&](const std::string& user) {
        return test::run_larder(directory.path(),
                                {"token", "--user", user, "--role", "teacher", "--auth-key-file", key_file});
    };
    for (const char* const user : {"0x10", "-1", "1.5", "", "9223372036854775808", "one"}) {
        INFO(user);
        const test::CommandResult refused = token(user);
        CHECK(refused.code == 2);
        CHECK(refused.out.empty());
        CHECK_THAT(refused.err, Catch::StartsWith("larder: --user: "));
    }
    const test::CommandResult padded = token("010");
    REQUIRE(padded.code == 0);
    const auto caller = verify_token(padded.out.substr(0, padded.out.size() - 1), KeyRing::parse(secret), now());
    REQUIRE(caller);
    CHECK(caller->user_id == 10);
}
