// The segment as a file: planned, made completely before it has a name, checked before it is believed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "shm/cache.hpp"
#include "shm/geometry.hpp"
#include "shm/layout.hpp"
#include "shm/location.hpp"
#include "shm/system.hpp"

namespace larder::shm {

/// Puts an allocator and an index into each arena of a new segment.
using FormatArenas = void (*)(const SegmentView& view);

/// What distinguishes a new segment from all others.
struct Birth {
    std::uint64_t incarnation = 1;
    std::uint64_t hash_seed = 1;
    std::int64_t open_at_ns = 0;
    std::string identity;
};

/// A complete segment in zeroed, page-aligned memory of geometry.segment_bytes; any memory will do. `format_arenas` may
/// be null. The view points to `geometry`. Throws OpenError "namespace" when /proc cannot be read.
SegmentView format_segment(std::byte* memory, const Geometry& geometry, const Birth& birth, FormatArenas format_arenas);

/// A mapped segment with a checked copy of its geometry. Unmapped by its destructor: whoever hands out pointers into it
/// keeps it for ever.
class Segment {
public:
    Segment(Segment&& other) noexcept;
    Segment(const Segment&) = delete;
    ~Segment();

    /// A new one of this process alone, without a file.
    static Segment create_in_memory(const Options& options, FormatArenas format_arenas);
    /// Makes the file and gives it its name. Null: the name exists by now, or was given too late. `open_at_ns` (null:
    /// 0) is asked just before, see SegmentHeader.
    static std::unique_ptr<Segment> create(const Location& location, const Options& options, FormatArenas format_arenas,
                                           const std::function<std::int64_t()>& open_at_ns);
    /// Null: there is no such file. Throws OpenError with the stage that failed.
    static std::unique_ptr<Segment> attach(const Location& location);
    /// For inspectors: cannot be written through, registers nowhere, from any namespace. Throws OpenError.
    static Segment attach_read_only(const std::string& path);

    const SegmentView& view() const { return view_; }
    system::FileId file() const { return file_; }
    /// It serves nobody any more: made before the last boot, or closed for good. Whoever may create replaces it.
    bool is_abandoned() const { return abandoned_; }

private:
    Segment() = default;
    std::unique_ptr<Geometry> geometry_;
    SegmentView view_;
    system::FileId file_;
    bool abandoned_ = false;
    friend struct SegmentAttacher;
};

/// The process may use a segment that was made in these PID and time namespaces. Throws OpenError "namespace".
void check_namespaces(const SegmentHeader& header);

/// Nothing in the segment is ever served again, by any process. First step of replacing or removing it.
void close_for_good(const SegmentView& view);
bool is_closed_for_good(const SegmentView& view);

/// `identity` as the header keeps it: at most 255 bytes, a longer one shortened with its hash.
std::string stored_identity(const std::string& identity);

/// Says or checks what the cache serves. Empty: anything. Throws OpenError "identity" when it serves something else.
/// REQUIRES: one caller at a time on the host (LockFile's administration byte), so that a claimer that was killed
/// half-way left a text that is written again from its beginning; readers believe it only once identity_claimed is 2.
void claim_identity(const SegmentView& view, const std::string& identity);

}  // namespace larder::shm
