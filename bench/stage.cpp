#include "bench/stage.hpp"

#include <limits>

#include "bench/workload.hpp"

namespace larder::bench {

ScopedCache& Stage::scoped() {
    if (cache_ == nullptr) {
        cache_ = std::make_unique<ScopedCache>(roomy(kKeys, value_bytes_));
        fill(**cache_, kKeys, value_bytes_);
    }
    return *cache_;
}

FlatTable& Stage::table() {
    if (table_ == nullptr) {
        table_ = std::make_unique<FlatTable>(kKeys, value_bytes_);
        for (std::uint32_t number = 0; number < kKeys; ++number)
            table_->add(key_of(number).text(), value_of(number, value_bytes_));
    }
    return *table_;
}

LockedCache& Stage::locked() {
    if (locked_ == nullptr) {
        locked_ = std::make_unique<LockedCache>(kKeys, value_bytes_);
        for (std::uint32_t number = 0; number < kKeys; ++number)
            locked_->put(key_of(number).text(), value_of(number, value_bytes_),
                         std::numeric_limits<std::int64_t>::max());
    }
    return *locked_;
}

Stage& stage(std::size_t value_bytes) {
    static std::unique_ptr<Stage> current;
    if (current == nullptr || current->value_bytes() != value_bytes) {
        current.reset();
        current = std::make_unique<Stage>(value_bytes);
    }
    return *current;
}

}  // namespace larder::bench
