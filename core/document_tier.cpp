#include "core/document_tier.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace larder {
namespace {

/// A lease while something is computed, however slowly. One that was lost meanwhile stays lost.
class KeptLease {
public:
    KeptLease(DocumentTier& tier, TierLease lease, TierPatience patience)
        : tier_(tier), patience_(patience), lease_(std::move(lease)) {
        try {
            renewing_ = std::jthread([this](const std::stop_token& stop) { keep(stop); });
        } catch (const std::system_error&) {  // no room for a thread: then the lease ends by itself
        }
    }
    KeptLease(const KeptLease&) = delete;
    KeptLease& operator=(const KeptLease&) = delete;
    ~KeptLease() {
        renewing_ = {};
        tier_.release(lease_);
    }

private:
    void keep(const std::stop_token& stop) noexcept try {
        std::mutex mutex;
        std::condition_variable_any waiting;
        std::unique_lock lock(mutex);
        const auto until = std::chrono::steady_clock::now() + patience_.limit;
        while (lease_.state == TierLease::State::taken && std::chrono::steady_clock::now() < until) {
            waiting.wait_for(lock, stop, patience_.renewal, [] { return false; });
            if (stop.stop_requested()) return;
            TierLease renewed = tier_.renew(lease_);
            if (renewed.state != TierLease::State::unreachable) lease_ = std::move(renewed);
        }
    } catch (...) {  // no memory: the same
    }

    DocumentTier& tier_;
    const TierPatience patience_;
    TierLease lease_;  // of the thread until it has ended
    std::jthread renewing_;
};

}  // namespace

std::optional<TierDocument> compute_once(DocumentTier& tier, std::string_view key,
                                         const std::function<bool(const TierDocument&)>& is_fresh,
                                         const std::function<std::optional<TierDocument>(TierLease::State)>& compute,
                                         TierPatience patience) {
    const auto if_fresh = [&](std::optional<TierDocument> found) {
        return found && is_fresh(*found) ? std::move(found) : std::nullopt;
    };
    const auto compute_and_share = [&](TierLease::State state) {
        std::optional<TierDocument> made = compute(state);
        if (made && made->sequence != 0) tier.put(key, *made);
        return made;
    };
    using Clock = std::chrono::steady_clock;
    const auto began = Clock::now(), deadline = began + patience.limit;
    for (auto now = began; now < deadline; now = Clock::now()) {
        if (std::optional<TierDocument> found = if_fresh(tier.get(key))) return found;
        TierLease lease = tier.take_lease(key);
        if (lease.state == TierLease::State::unreachable) return compute_and_share(lease.state);
        if (lease.state == TierLease::State::taken) {
            const KeptLease kept(tier, std::move(lease), patience);
            // What the last holder put before it let go.
            if (std::optional<TierDocument> found = if_fresh(tier.get_latest(key))) return found;
            return compute_and_share(TierLease::State::taken);
        }
        const auto pause = std::max<Clock::duration>(patience.interval, (Clock::now() - began) / 4);
        std::this_thread::sleep_until(std::min(Clock::now() + pause, deadline));
    }
    return compute_and_share(TierLease::State::held);
}

}  // namespace larder
