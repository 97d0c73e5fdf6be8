// Tokens as an attacker would write them: any header, any claims, any secret.
#pragma once

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <string>
#include <string_view>

namespace larder::test {

inline std::string base64url(std::string_view bytes) {
    static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string text;
    unsigned value = 0;
    int bits = 0;
    for (const char byte : bytes) {
        value = value << 8 | static_cast<unsigned char>(byte);
        for (bits += 8; bits >= 6; bits -= 6) text += letters[value >> (bits - 6) & 63];
    }
    if (bits > 0) text += letters[value << (6 - bits) & 63];
    return text;
}

inline std::string hmac(const EVP_MD* hash, std::string_view key, std::string_view text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    HMAC(hash, key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
         text.size(), digest, &size);
    return std::string(reinterpret_cast<const char*>(digest), size);
}

inline std::string forge(std::string_view header, std::string_view claims, std::string_view secret,
                         const EVP_MD* hash = EVP_sha256()) {
    const std::string signed_part = base64url(header) + "." + base64url(claims);
    return signed_part + "." + base64url(hmac(hash, secret, signed_part));
}

}  // namespace larder::test
