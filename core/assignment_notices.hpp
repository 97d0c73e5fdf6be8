// AssignmentNotices: changes of assignments, announced to a cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "core/log.hpp"
#include "core/notice_sink.hpp"
#include "shm/cache.hpp"

namespace larder {

/// Each assignment's document and access entry go together. From the return on nobody on the host is served either of
/// them as it was. Threads: safe, but for looks, which one relay makes. The position of the outbox is kept in the cache
/// itself: lost with it, it costs a cold cache.
class AssignmentNotices final : public NoticeSink {
public:
    static constexpr std::size_t max_named = 500;  ///< above it both namespaces go as a whole

    using OnPublished = std::function<void(std::span<const AssignmentId>)>;

    /// `on_published`, where given, is called for assignments that were published, after their notices.
    AssignmentNotices(Cache cache, Log log, OnPublished on_published = {});

    /// The number of the last notice; 0: no ids.
    std::uint64_t announce(std::span<const AssignmentId> ids);
    /// The same by several notices where ids are many: nothing else goes with them.
    std::uint64_t announce_each(std::span<const AssignmentId> ids);

    void changed(std::span<const AssignmentId> ids) override;
    void published(std::span<const AssignmentId> ids) override {
        if (on_published_) on_published_(ids);
    }
    /// Both positions are forgotten first: one that says too much would outlive what was lost.
    void everything_changed(std::string_view why) override;
    std::optional<OutboxPosition> position() override;
    void remember(const OutboxPosition& position) override;
    void arrived(const OutboxPosition& position) override;
    /// What a reading of the source that begins from now on contains at least; nullopt: not known.
    std::optional<OutboxPosition> contained();
    void look_begins() override;
    void look_ended(std::uint64_t source_position) override;
    void applied(std::uint64_t sequence) override;

private:
    std::uint64_t announce_all();
    template <class Announce>
    void tell(Announce announce);
    std::optional<OutboxPosition> kept_position(std::string_view key);
    void keep_position(std::string_view key, const OutboxPosition& position);

    Cache cache_;
    Log log_;
    OnPublished on_published_;

    // Of the one that relays. Notices up to told_ were told by the relay, or made before the look that ended last
    // began: whoever reads the source after a message that is told later lacks none of their changes. Others, made here
    // by hand or by a program, come between: they are behind told_ once a look that began after them has ended.
    SyncStart look_;
    Stamp told_, told_at_look_;
    std::optional<OutboxPosition> remembered_;
};

/// What a source that follows another one has at `position` lacks no change of that key that was told here. Where
/// nobody says what has changed, nobody knows: true.
bool lacks_nothing_told(const Cache& cache, std::uint64_t position, std::string_view key);

}  // namespace larder
