// StatsService: the endpoints of an assignment, answered from its statistics cache.
#pragma once

#include "core/assignment_stats_cache.hpp"
#include "shm/cache.hpp"
#include "tools/http/service.hpp"

namespace larder::tools {

class StatsService final : public Service {
public:
    /// `stats` works on `cache` and outlives the service.
    StatsService(Cache cache, AssignmentStatsCache& stats) : cache_(std::move(cache)), stats_(stats) {}

    bool is_ready(const Call& call) const override;
    Answer answer(const Call& call) override;

private:
    Answer answer_or_throw(const Call& call);
    Answer analytics(AssignmentId id);
    Cache cache_;
    AssignmentStatsCache& stats_;
};

}  // namespace larder::tools
