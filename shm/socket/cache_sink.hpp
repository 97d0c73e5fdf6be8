// The cache as the listener sees it.
#pragma once

#include <string>

#include "shm/socket/notice_sink.hpp"

namespace larder::detail {
class CacheImpl;
}

namespace larder::shm {

class CacheSink final : public NoticeSink {
public:
    /// `cache` outlives this.
    explicit CacheSink(larder::detail::CacheImpl& cache) : cache_(cache) {}

    std::uint64_t invalidate(std::span<const std::string_view> keys) override;
    std::uint64_t invalidate_tag(std::string_view tag) override;
    std::uint64_t invalidate_namespace(std::string_view name) override;
    std::uint64_t invalidate_all() override;
    std::string stat_json() override;
    bool still_current() override;

private:
    larder::detail::CacheImpl& cache_;
};

}  // namespace larder::shm
