// AssignmentNotices: changes of assignments, announced to a cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

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

    void changed(std::span<const AssignmentId> ids) override { announce(ids); }
    void published(std::span<const AssignmentId> ids) override {
        if (on_published_) on_published_(ids);
    }
    void everything_changed(std::string_view why) override;
    std::optional<OutboxPosition> position() override;
    void remember(const OutboxPosition& position) override;
    void look_begins() override { look_ = cache_.begin_sync(); }
    void look_ended(std::uint64_t position) override { cache_.synced(look_, position); }

private:
    std::uint64_t announce_all();
    Cache cache_;
    Log log_;
    OnPublished on_published_;
    SyncStart look_;
};

}  // namespace larder
