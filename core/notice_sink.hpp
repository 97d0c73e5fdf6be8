// NoticeSink: who is told what the outbox says.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/assignment.hpp"
#include "core/outbox_position.hpp"

namespace larder {

/// REQUIRES: from the return of a member on, nobody is served what was computed before.
class NoticeSink {
public:
    virtual ~NoticeSink() = default;
    virtual void changed(std::span<const AssignmentId> ids) = 0;
    /// These were published just now; told after changed, and not at all where changes were missed.
    virtual void published(std::span<const AssignmentId>) {}
    /// Changes were missed, or may have been: nothing may be kept, the position included. `why` is for the log.
    virtual void everything_changed(std::string_view why) = 0;
    /// The position last remembered; nullopt: not known (any more).
    virtual std::optional<OutboxPosition> position() = 0;
    virtual void remember(const OutboxPosition& position) = 0;
    /// A look at the source begins; what it had committed by now will have been told at the next look_ended.
    virtual void look_begins() {}
    /// All that was committed at the last look_begins has been told; the source stood at least at `position` (a number
    /// of its own, which only grows).
    virtual void look_ended(std::uint64_t position) { static_cast<void>(position); }
    /// What is told comes by messages that are numbered. Those up to this position are here, and are told next: what
    /// they tell of can be read from the source.
    virtual void arrived(const OutboxPosition& position) { static_cast<void>(position); }
    /// All messages up to that number have been told.
    virtual void applied(std::uint64_t sequence) { static_cast<void>(sequence); }
};

}  // namespace larder
