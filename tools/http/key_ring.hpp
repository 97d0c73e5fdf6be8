// KeyRing: the secrets that tokens are signed with, read from the key file.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace larder::tools {

/// The key file cannot be used; what() says why and what to do.
struct KeyFileError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Key {
    std::string id;      ///< `kid` of the tokens that it signs; empty: unnamed
    std::string secret;  ///< bytes, at least min_secret_bytes
};

/// One or more keys, the first of which signs. Threads: immutable after it was made.
class KeyRing {
public:
    static constexpr std::size_t min_secret_bytes = 32;  // RFC 7518, 3.2: a key as long as the hash
    static constexpr std::size_t max_file_bytes = 64 * 1024;
    static constexpr std::size_t max_keys = 16;

    /// Reads the file: a regular one of ours (or root's) that nobody else can read. Throws KeyFileError.
    static KeyRing from_file(const std::string& path);
    /// Its bytes, which parse takes. Throws KeyFileError.
    static std::string read_file(const std::string& path);

    /// A file's bytes, without its trailing newline. Printable text: a key on each line, `kid:secret` where it starts
    /// with a name of [A-Za-z0-9._-]{1,64} and a colon. Anything else is one secret as it is. Throws KeyFileError.
    static KeyRing parse(std::string_view bytes);

    /// Each key of the other one is one of these, by the same name.
    bool has_all_of(const KeyRing& other) const;
    const Key& signing_key() const { return keys_.front(); }

    /// The keys that may have signed a token: the one that `kid` names, else the unnamed ones; without a `kid` all of
    /// them.
    std::vector<const Key*> candidates(std::string_view kid) const;

private:
    std::vector<Key> keys_;
};

}  // namespace larder::tools
