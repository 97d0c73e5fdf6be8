// SharedTier: a tier for the threads of a process, one at a time.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "core/log.hpp"
#include "core/nats/key_value_tier.hpp"

namespace larder::fleet {

/// Before the reason.
inline constexpr const char* not_shared = "Documents are not shared with other hosts: ";
inline constexpr const char* shared_again = "Documents are shared with other hosts again";

/// Why there is no tier now is logged, once a minute while it stays so, and when there was one for a minute. Threads:
/// safe; each call waits for those before it.
class SharedTier final : public DocumentTier {
public:
    SharedTier(std::unique_ptr<nats::KeyValueTier> tier, Log log,
               std::chrono::milliseconds log_interval = std::chrono::minutes(1))
        : tier_(std::move(tier)), log_(std::move(log)), log_interval_(log_interval) {}

    std::optional<TierDocument> get(std::string_view key) override {
        return use([&] { return tier_->get(key); });
    }
    std::optional<TierDocument> get_latest(std::string_view key) override {
        return use([&] { return tier_->get_latest(key); });
    }
    TierLease take_lease(std::string_view key) override {
        return use([&] { return tier_->take_lease(key); });
    }
    TierLease renew(const TierLease& lease) override {
        return use([&] { return tier_->renew(lease); });
    }
    void release(const TierLease& lease) override {
        use([&] { return tier_->release(lease), true; });
    }
    bool put(std::string_view key, const TierDocument& document) override {
        return use([&] { return tier_->put(key, document); });
    }

private:
    using Clock = std::chrono::steady_clock;
    template <class Action>
    std::invoke_result_t<Action> use(Action action) {
        const std::lock_guard lock(mutex_);
        auto result = action();
        say(tier_->error());
        return result;
    }
    void say(const std::string& error) {
        const Clock::time_point now = Clock::now();
        if (error.empty()) {
            if (!said_at_ || now - *failed_at_ < log_interval_) return;
            said_at_.reset();
            return log_(LogLevel::info, shared_again);
        }
        failed_at_ = now;
        if (said_at_ && now - *said_at_ < log_interval_) return;
        said_at_ = now;
        log_(LogLevel::error, not_shared + error);
    }

    std::mutex mutex_;
    const std::unique_ptr<nats::KeyValueTier> tier_;
    const Log log_;
    const std::chrono::milliseconds log_interval_;
    std::optional<Clock::time_point> said_at_, failed_at_;
};

}  // namespace larder::fleet
