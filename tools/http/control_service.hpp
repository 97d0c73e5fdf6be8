// ControlService: the endpoints that steer the cache: warming, its jobs, and notices.
#pragma once

#include <optional>

#include "core/assignment_stats_cache.hpp"
#include "core/warm_queue.hpp"
#include "shm/cache.hpp"
#include "tools/http/audit_log.hpp"
#include "tools/http/service.hpp"

namespace larder::tools {

class ControlService final : public Service {
public:
    static constexpr std::size_t shown_jobs = 50;

    /// All of them outlive the service.
    ControlService(AssignmentStatsCache& stats, Cache cache, WarmQueue& jobs, AuditLog& audit)
        : stats_(stats), cache_(std::move(cache)), jobs_(jobs), audit_(audit) {}

    /// Notices take no time; the rest asks the database.
    std::optional<Answer> answer_at_once(const Call& call) override;
    Answer answer(const Call& call) override;

private:
    Answer warm(const Call& call);
    Answer invalidate(const Call& call);
    Answer job(WarmJobId id);
    Answer jobs();

    AssignmentStatsCache& stats_;
    Cache cache_;
    WarmQueue& jobs_;
    AuditLog& audit_;
};

}  // namespace larder::tools
