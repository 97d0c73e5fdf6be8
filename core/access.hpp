// AccessRule: who may see the statistics of an assignment.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/assignment.hpp"
#include "core/source_pool.hpp"
#include "shm/cache.hpp"

namespace larder {

enum class Role : std::uint8_t { student, tutor, teacher, admin };

/// nullopt: no such role.
std::optional<Role> role_from(std::string_view name);

struct Caller {
    UserId user_id = 0;
    Role role = Role::student;
};

enum class Access : std::uint8_t { ok, forbidden, not_found };

/// A teacher or tutor sees the assignments of which he is the author, an admin every one, a student none.
/// The source is asked at most once an assignment and lifetime: existence and author are kept in the cache, under a key
/// of their own, looked up without counting, and gone with the same notices as the document. Threads: safe.
class AccessRule {
public:
    /// `times`: the durations of what is kept, as of a document; past its soft ttl it is read anew by ownership().
    AccessRule(Cache cache, SourcePool& sources, const EntryOptions& times);

    /// In this order: role (a student is forbidden whatever the id), existence, author. Throws as ownership.
    Access check(const Caller& caller, AssignmentId id);
    /// The same from what is in the cache; nullopt: that is not enough. Never waits.
    std::optional<Access> check_cached(const Caller& caller, AssignmentId id);

    /// nullopt: no such assignment. Throws SourceError, and ComputeFailed when another process could not read it.
    std::optional<Ownership> ownership(AssignmentId id);

private:
    static Access judge(const Caller& caller, const std::optional<Ownership>& found);

    Cache cache_;
    SourcePool& sources_;
    const EntryOptions times_;
};

}  // namespace larder
