// SubmissionSource: where assignments and submissions are read from.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/assignment.hpp"

namespace larder {

/// A source could not be opened or read; the text says which, why, and what to do.
struct SourceError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Nothing can be read now, whatever is asked for: the file is not there, or a writer keeps it locked.
struct SourceUnavailable : SourceError {
    using SourceError::SourceError;
};

/// What the access rule asks: the assignment exists, and who wrote it.
struct Ownership {
    std::optional<UserId> author_id;  ///< absent: nobody's
};

/// Threads: one at a time. Fork: a child opens its own, after the fork; it does not use or destroy an inherited one.
/// Every member throws SourceError.
class SubmissionSource {
public:
    virtual ~SubmissionSource() = default;

    /// How far a source that follows another one, and may be behind it, has come, in numbers that grow; 0: it follows
    /// none. Asked before it is read, it is the `source_position` of EntryOptions, of what is not there, too.
    virtual std::uint64_t position() { return 0; }

    /// The assignment with its submissions as of one read transaction, which begins inside this call: whatever was
    /// committed before the call is in it. nullopt: no such assignment.
    virtual std::optional<AssignmentRecord> load(AssignmentId id) = 0;

    /// nullopt: no such assignment.
    virtual std::optional<Ownership> ownership(AssignmentId id) = 0;

    /// The `limit` most recently created assignments of an author, the newest first; those without a time of creation
    /// last, the higher id first.
    virtual std::vector<AssignmentId> recent_of_author(UserId author_id, int limit) = 0;

    /// Ascending.
    virtual std::vector<AssignmentId> all_ids() = 0;

    /// Of which a submission was handed in or graded at that time or later; ascending.
    virtual std::vector<AssignmentId> active_since(Timestamp time) = 0;

    /// What is open is what the name leads to now. False: it was replaced, open another one.
    virtual bool is_current() const { return true; }
};

using SourceFactory = std::function<std::unique_ptr<SubmissionSource>()>;

class OwnSchema;

/// Opens the source that a URL names: `sqlite:PATH`, `sqlite:///PATH` or a plain path. `schema`: how a database of
/// another program is read. Throws SourceError.
std::unique_ptr<SubmissionSource> open_source(const std::string& url, const OwnSchema* schema = nullptr);

}  // namespace larder
