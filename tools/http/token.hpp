// Token: who asks, as a signed JSON Web Token says it (RFC 7519; HS256 and nothing else).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/access.hpp"
#include "tools/http/key_ring.hpp"

namespace larder::tools {

/// As in the claim `role`; role_from turns it back.
std::string_view name_of(Role role);
/// `user 7 (teacher)`.
std::string name_of(const Caller& caller);

/// Longer ones are refused unread.
inline constexpr std::size_t max_token_bytes = 4096;

using WallClock = std::chrono::system_clock;

/// The caller of a token that one of `keys` signed and that is valid at `now`; nullopt for every other string of bytes.
/// Claims: `sub` a decimal string, `role` one of four, `exp` a positive integer above `now`; `nbf` and `iat`, where
/// present, integers, `nbf` not above `now`. No leeway. A token for an audience (`aud`) or with a critical extension
/// (`crit`) is refused. `reason`, where given, is set to why a token is refused, for a log: a literal with nothing of
/// the token in it. Never throws, never logs. Threads: pure.
std::optional<Caller> verify_token(std::string_view token, const KeyRing& keys, WallClock::time_point now,
                                   std::string_view* reason = nullptr) noexcept;

/// A token of the ring's first key, valid for the whole seconds of `lifetime` from `now` on.
/// REQUIRES: user_id >= 0, lifetime >= 1 s. Throws std::runtime_error when it cannot be signed.
std::string make_token(const Caller& caller, std::chrono::milliseconds lifetime, const KeyRing& keys,
                       WallClock::time_point now);

}  // namespace larder::tools
