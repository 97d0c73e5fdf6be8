// A token and a key file as strangers may write them.
//
//     flags: u8 (1: the token is made of a header and claims, and signed), key file, 0x1e, token | header, 0x1e, claims
#include <sys/stat.h>

#include <boost/json/parse.hpp>
#include <fstream>
#include <optional>
#include <string>

#include "tests/fuzz/fuzz.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/tools/forged_token.hpp"
#include "tools/http/key_ring.hpp"
#include "tools/http/token.hpp"

using namespace larder;
using namespace larder::fuzz;
using namespace larder::tools;

namespace {

namespace json = boost::json;

constexpr char kSeparator = '\x1e';
constexpr std::int64_t kNow = 1'700'000'000;
const WallClock::time_point now{std::chrono::seconds(kNow)};

/// nullopt: the file is refused.
template <class Read>
std::optional<KeyRing> ring_of(Read read) {
    try {
        return read();
    } catch (const KeyFileError&) {
        return std::nullopt;
    }
}

std::optional<KeyRing> read_keys(std::string_view bytes) {
    static const test::ScopedDirectory directory(scratch_parent());
    static const std::string path = directory.file("key");
    std::ofstream(path, std::ios::binary) << bytes;
    ::chmod(path.c_str(), 0600);
    std::optional<KeyRing> ring = ring_of([&] { return KeyRing::parse(bytes); });
    const std::optional<KeyRing> from_file = ring_of([] { return KeyRing::from_file(path); });
    require(ring.has_value() == (from_file.has_value() || bytes.size() > KeyRing::max_file_bytes),
            "a file is read as its bytes are");
    return ring;
}

void check_ring(const KeyRing& ring) {
    for (const Key* key : ring.candidates({}))
        require(key->secret.size() >= KeyRing::min_secret_bytes, "a secret is long enough");
    const Caller made{.user_id = 42, .role = Role::tutor};
    const auto read = verify_token(make_token(made, std::chrono::hours(1), ring, now), ring, now);
    require(read && read->user_id == made.user_id && read->role == made.role, "a token that was made is accepted");
}

/// By another JSON parser: what an accepted token must say. False as well: that parser does not read it.
void check_accepted(std::string_view header, std::string_view claims, const Caller& caller) {
    boost::system::error_code header_error, claims_error;
    const json::value head = json::parse({header.data(), header.size()}, header_error);
    const json::value body = json::parse({claims.data(), claims.size()}, claims_error);
    if (header_error || claims_error) return;  // nested deeper than that parser goes
    require(head.is_object() && head.get_object().at("alg") == "HS256", "the algorithm is the one");
    require(!head.get_object().contains("crit"), "no extension is critical");
    const json::object& said = body.get_object();
    require(said.at("sub").get_string() == std::to_string(caller.user_id), "the caller is who it says");
    require(said.at("role").get_string() == std::string(name_of(caller.role)), "the role is what it says");
    const json::value& expiry = said.at("exp");
    require(expiry.is_uint64() || (expiry.is_int64() && expiry.get_int64() > kNow), "it is not over");
    require(!said.contains("aud"), "it is for everybody");
    if (const json::value* start = said.if_contains("nbf"))
        require(start->is_int64() && start->get_int64() <= kNow && start->get_int64() >= 0, "it has begun");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes input(data, size);
    const bool is_signed = (input.byte() & 1) != 0;
    const std::optional<KeyRing> ring = read_keys(input.take_until(kSeparator));
    if (!ring) return 0;
    check_ring(*ring);
    if (!is_signed) {
        const std::string_view token = input.rest();
        require(!verify_token(token, *ring, now) || token.size() <= max_token_bytes, "an accepted token is short");
        return 0;
    }
    const std::string_view header = input.take_until(kSeparator), claims = input.rest();
    const std::string token = test::forge(header, claims, ring->signing_key().secret);
    if (const auto caller = verify_token(token, *ring, now)) check_accepted(header, claims, *caller);
    std::string other = token;
    other.back() = other.back() == 'A' ? 'Q' : 'A';  // of the last character all but the two lowest bits count
    require(!verify_token(other, *ring, now), "a token with another signature is refused");
    return 0;
}
