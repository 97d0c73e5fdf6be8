// What one operation of a history was: what was asked, when it began and ended, and what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "shm/cache.hpp"

namespace larder::history {

inline constexpr std::uint32_t kActors = 6;
inline constexpr std::uint32_t kKeys = 24;

enum class Kind : std::uint8_t { get, copied_get, compute, begin, fill, put, change, touch, erase };

inline const char* name_of(Kind kind) {
    constexpr const char* names[] = {"get", "copied get", "get_or_compute", "begin", "fill",
                                     "put", "change",     "touch",          "erase"};
    return names[static_cast<std::size_t>(kind)];
}

/// Counted as a hit or a miss.
constexpr bool is_lookup(Kind kind) { return kind <= Kind::begin; }
/// May have left a value that says: I am this operation's.
constexpr bool is_writer(Kind kind) { return kind == Kind::compute || kind == Kind::fill || kind == Kind::put; }
/// A notice that names keys.
constexpr bool is_notice(Kind kind) { return kind == Kind::change || kind == Kind::erase; }

/// What a notice names.
enum class Scope : std::uint8_t { key, tag, name_space, everything };

/// What a key is used for, so that each rule has keys that no other one softens.
enum class Use : std::uint8_t {
    soft,     // values become stale before they are over
    failing,  // computations fail, and values past their ttl stand in for them
    simple,   // neither; touched
    plain,    // has no source: put without as_of; touched
};
constexpr Use use_of(std::uint32_t key) { return static_cast<Use>(key % 4); }
constexpr bool has_source(std::uint32_t key) { return use_of(key) != Use::plain; }
constexpr bool is_touched(std::uint32_t key) { return use_of(key) >= Use::simple; }

inline std::string namespace_of(std::uint32_t key) { return key / 4 % 2 == 0 ? "page" : "user"; }
inline std::string key_of(std::uint32_t key) { return namespace_of(key) + ":" + std::to_string(key); }
inline std::string tag_of(std::uint32_t key) { return "tag:" + std::to_string(key % 5); }

/// A notice of that scope which is about key `about` names `key` too.
inline bool names(Scope scope, std::uint32_t about, std::uint32_t key) {
    switch (scope) {
    case Scope::key:
        return key == about;
    case Scope::tag:
        return tag_of(key) == tag_of(about);
    case Scope::name_space:
        return namespace_of(key) == namespace_of(about);
    case Scope::everything:
        break;
    }
    return true;
}

/// Who wrote a value, and which version of the source it read: the version of a proving value.
struct Origin {
    std::uint32_t version = 0;  // below 2^24
    std::uint32_t round = 0;    // below 2^12
    std::uint32_t actor = 0;    // below 2^4
    std::uint32_t number = 0;   // of the operation, below 2^24

    static constexpr Origin of(std::uint64_t word) {
        return {static_cast<std::uint32_t>(word >> 40), static_cast<std::uint32_t>(word >> 28) & 0xFFF,
                static_cast<std::uint32_t>(word >> 24) & 0xF, static_cast<std::uint32_t>(word) & 0xFFFFFF};
    }
    constexpr std::uint64_t word() const {
        return std::uint64_t{version} << 40 | std::uint64_t{round & 0xFFF} << 28 | std::uint64_t{actor} << 24 | number;
    }
};

/// Durations of a value's life; 0: none.
struct Life {
    std::uint32_t ttl_ms = 0, soft_ttl_ms = 0, stale_if_error_ms = 0;
};

/// Written by its process alone: what was asked before it began, the rest before `end_ns`.
struct Operation {
    std::int64_t begin_ns;                   // CLOCK_MONOTONIC, the same for all processes
    std::int64_t called_ns;                  // a notice: when the change was committed, and before it was announced
    std::int64_t end_ns;                     // 0: it never returned
    std::uint32_t begin_lag_ns, end_lag_ns;  // how far the coarse clock was behind
    std::uint64_t word;  // a lookup: the Origin of the value it was given; a change: the version it committed
    Life life;           // a writer: of its value; a touch: the new ttl
    Kind kind;
    Scope scope;
    State state;    // a lookup: of what it was given
    Source source;  // a lookup: how it came by it
    std::uint8_t key;
    bool done;   // a notice: it was acknowledged
    bool wrong;  // what was given does not prove itself

    bool has_ended() const { return end_ns != 0; }
    bool has_value() const { return is_lookup(kind) && has_ended() && state != State::none && !wrong; }
    std::int64_t coarse_begin_ns() const { return begin_ns - begin_lag_ns; }
    std::int64_t coarse_end_ns() const { return end_ns - end_lag_ns; }
};

}  // namespace larder::history
