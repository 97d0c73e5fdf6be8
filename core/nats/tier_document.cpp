// How documents, and their keys, lie in a bucket.
#include <array>
#include <charconv>
#include <cstdio>

#include "core/nats/key_value_tier.hpp"
#include "shm/hash.hpp"

namespace larder::nats {
namespace {

constexpr std::string_view version = "larder/1";
constexpr std::size_t max_plain = 256, max_tags = 16;

void put_text(std::string& out, std::string_view text) {
    out += std::to_string(text.size()) + ":";
    out += text;
}

/// Ends with `end`.
template <class Number>
bool take_number(std::string_view& rest, char end, Number& number) {
    const auto [at, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc() || at == rest.data() + rest.size() || *at != end) return false;
    rest.remove_prefix(static_cast<std::size_t>(at - rest.data()) + 1);
    return true;
}

bool take_text(std::string_view& rest, std::string& text) {
    std::size_t size = 0;
    if (!take_number(rest, ':', size) || size > rest.size()) return false;
    text = rest.substr(0, size);
    rest.remove_prefix(size);
    return true;
}

bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '/';
}

}  // namespace

std::string tier_key_of(std::string_view key) {
    std::array<char, 40> text{};
    if (key.size() > max_plain) {
        std::snprintf(text.data(), text.size(), "=-%016llx%016llx",
                      static_cast<unsigned long long>(shm::hash_of(key, 1)),
                      static_cast<unsigned long long>(shm::hash_of(key, 2)));
        return text.data();
    }
    std::string encoded;
    for (const char c : key) {
        if (is_plain(c)) {
            encoded += c;
        } else {
            std::snprintf(text.data(), text.size(), "=%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
            encoded += text.data();
        }
    }
    return encoded;
}

/// `larder/1 SEQUENCE TTL MADE_AT TAGS `, then key, stream and tags, each as `SIZE:BYTES`, then the document's bytes.
std::string encode_document(std::string_view key, const TierDocument& document) {
    std::string text(version);
    for (const std::uint64_t number :
         {document.sequence, static_cast<std::uint64_t>(document.ttl.count()),
          static_cast<std::uint64_t>(document.made_at.count()), static_cast<std::uint64_t>(document.tags.size())})
        text += " " + std::to_string(number);
    text += " ";
    put_text(text, key);
    put_text(text, document.stream);
    for (const std::string& tag : document.tags) put_text(text, tag);
    return text + document.bytes;
}

std::optional<TierDocument> decode_document(std::string_view key, std::string_view text) {
    if (!text.starts_with(version) || text.size() == version.size() || text[version.size()] != ' ') return std::nullopt;
    text.remove_prefix(version.size() + 1);
    TierDocument document;
    std::int64_t ttl_ms = 0, made_at_ms = 0;
    std::size_t tags = 0;
    std::string its_key;
    if (!take_number(text, ' ', document.sequence) || !take_number(text, ' ', ttl_ms) ||
        !take_number(text, ' ', made_at_ms) || !take_number(text, ' ', tags) || tags > max_tags ||
        !take_text(text, its_key) || its_key != key || !take_text(text, document.stream))
        return std::nullopt;
    document.tags.resize(tags);
    for (std::string& tag : document.tags)
        if (!take_text(text, tag)) return std::nullopt;
    document.ttl = std::chrono::milliseconds(ttl_ms);
    document.made_at = std::chrono::milliseconds(made_at_ms);
    document.bytes = text;
    return document;
}

}  // namespace larder::nats
