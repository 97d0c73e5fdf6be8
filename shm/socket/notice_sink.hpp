// What the listener announces to, and how a line of text becomes a call of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace larder::shm {

/// Called by one thread, one call at a time; calls should take milliseconds at most, since all clients wait meanwhile.
/// What a call throws becomes the client's `error` line.
struct NoticeSink {
    virtual ~NoticeSink() = default;
    /// These return the notice's number once it is applied.
    virtual std::uint64_t invalidate(std::span<const std::string_view> keys) = 0;
    virtual std::uint64_t invalidate_tag(std::string_view tag) = 0;
    virtual std::uint64_t invalidate_namespace(std::string_view name) = 0;
    virtual std::uint64_t invalidate_all() = 0;
    virtual std::string stat_json() = 0;
    /// Asked after each call and before its ok: what was announced went to the segment that the cache's name means now.
    /// False: that segment was replaced, and the sink has attached to the new one; the request is applied again there.
    virtual bool still_current() = 0;
};

/// Applies one line and returns its answer, with its LF. `ok` only after the notice is applied to the current segment.
std::string answer_to(std::string_view line, NoticeSink& sink);

}  // namespace larder::shm
