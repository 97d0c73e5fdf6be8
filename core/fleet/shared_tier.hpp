// SharedTier: a tier for the threads of a process, one at a time.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "core/document_tier.hpp"

namespace larder::fleet {

/// Threads: safe; each call waits for those before it, which are short.
class SharedTier final : public DocumentTier {
public:
    explicit SharedTier(std::unique_ptr<DocumentTier> tier) : tier_(std::move(tier)) {}

    std::optional<TierDocument> get(std::string_view key) override {
        const std::lock_guard lock(mutex_);
        return tier_->get(key);
    }
    std::optional<TierDocument> get_latest(std::string_view key) override {
        const std::lock_guard lock(mutex_);
        return tier_->get_latest(key);
    }
    TierLease take_lease(std::string_view key) override {
        const std::lock_guard lock(mutex_);
        return tier_->take_lease(key);
    }
    void release(const TierLease& lease) override {
        const std::lock_guard lock(mutex_);
        tier_->release(lease);
    }
    bool put(std::string_view key, const TierDocument& document) override {
        const std::lock_guard lock(mutex_);
        return tier_->put(key, document);
    }

private:
    std::mutex mutex_;
    const std::unique_ptr<DocumentTier> tier_;
};

}  // namespace larder::fleet
