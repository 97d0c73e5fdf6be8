#include "core/document_tier.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace larder {
namespace {

class HeldLease {
public:
    HeldLease(DocumentTier& tier, TierLease lease) : tier_(tier), lease_(lease) {}
    HeldLease(const HeldLease&) = delete;
    HeldLease& operator=(const HeldLease&) = delete;
    ~HeldLease() {
        if (lease_.state == TierLease::State::taken) tier_.release(lease_);
    }
    TierLease::State state() const { return lease_.state; }

private:
    DocumentTier& tier_;
    const TierLease lease_;
};

}  // namespace

std::optional<TierDocument> compute_once(DocumentTier& tier, std::string_view key,
                                         const std::function<bool(const TierDocument&)>& is_fresh,
                                         const std::function<std::optional<TierDocument>()>& compute,
                                         TierPatience patience) {
    const auto if_fresh = [&](std::optional<TierDocument> found) {
        return found && is_fresh(*found) ? std::move(found) : std::nullopt;
    };
    const auto compute_and_share = [&] {
        std::optional<TierDocument> made = compute();
        if (made && made->sequence != 0) tier.put(key, *made);
        return made;
    };
    using Clock = std::chrono::steady_clock;
    const auto began = Clock::now(), deadline = began + patience.limit;
    for (auto now = began; now < deadline; now = Clock::now()) {
        if (std::optional<TierDocument> found = if_fresh(tier.get(key))) return found;
        const HeldLease lease(tier, tier.take_lease(key));
        if (lease.state() == TierLease::State::unreachable) break;
        if (lease.state() == TierLease::State::taken) {
            // What the last holder put before it let go.
            if (std::optional<TierDocument> found = if_fresh(tier.get_latest(key))) return found;
            return compute_and_share();
        }
        const auto pause = std::max<Clock::duration>(patience.interval, (Clock::now() - began) / 4);
        std::this_thread::sleep_until(std::min(Clock::now() + pause, deadline));
    }
    return compute_and_share();
}

}  // namespace larder
