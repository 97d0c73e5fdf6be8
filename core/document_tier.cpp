#include "core/document_tier.hpp"

#include <thread>

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
    const auto fresh = [&] {
        std::optional<TierDocument> found = tier.get(key);
        return found && is_fresh(*found) ? found : std::nullopt;
    };
    const auto compute_and_share = [&] {
        std::optional<TierDocument> made = compute();
        if (made && made->sequence != 0) tier.put(key, *made);
        return made;
    };
    const auto deadline = std::chrono::steady_clock::now() + patience.limit;
    while (std::chrono::steady_clock::now() < deadline) {
        if (std::optional<TierDocument> found = fresh()) return found;
        const HeldLease lease(tier, tier.take_lease(key));
        if (lease.state() == TierLease::State::unreachable) break;
        if (lease.state() == TierLease::State::taken) {
            if (std::optional<TierDocument> found = fresh()) return found;  // put before the last holder let go
            return compute_and_share();
        }
        std::this_thread::sleep_for(patience.interval);
    }
    return compute_and_share();
}

}  // namespace larder
