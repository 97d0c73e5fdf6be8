// ApiService: which service answers which endpoint.
#pragma once

#include <optional>

#include "tools/http/service.hpp"

namespace larder::tools {

class ApiService final : public Service {
public:
    /// Both outlive it.
    ApiService(Service& stats, Service& control) : stats_(stats), control_(control) {}

    std::optional<Answer> answer_at_once(const Call& call) override { return of(call.endpoint).answer_at_once(call); }
    Answer answer(const Call& call) override { return of(call.endpoint).answer(call); }
    void refresh(const Call& call) noexcept override { of(call.endpoint).refresh(call); }

private:
    Service& of(Endpoint endpoint) const {
        return endpoint == Endpoint::analytics || endpoint == Endpoint::hit_rate ? stats_ : control_;
    }
    Service& stats_;
    Service& control_;
};

}  // namespace larder::tools
