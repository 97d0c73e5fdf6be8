// ApiService: which service answers which endpoint.
#pragma once

#include <optional>

#include "tools/http/service.hpp"

namespace larder::tools {

class ApiService final : public Service {
public:
    /// All of them outlive it.
    ApiService(Service& stats, Service& control, Service& dashboard)
        : stats_(stats), control_(control), dashboard_(dashboard) {}

    std::optional<Answer> answer_at_once(const Call& call) override { return of(call.endpoint).answer_at_once(call); }
    Answer answer(const Call& call) override { return of(call.endpoint).answer(call); }
    void refresh(const Call& call) noexcept override { of(call.endpoint).refresh(call); }

private:
    Service& of(Endpoint endpoint) const {
        switch (endpoint) {
        case Endpoint::analytics:
        case Endpoint::hit_rate:
            return stats_;
        case Endpoint::page:
        case Endpoint::events:
        case Endpoint::metrics:
            return dashboard_;
        default:
            return control_;
        }
    }
    Service& stats_;
    Service& control_;
    Service& dashboard_;
};

}  // namespace larder::tools
