#include "shm/cache.hpp"

#include <array>
#include <cstring>

#include "shm/cache_impl.hpp"
#include "shm/process.hpp"

namespace larder {

namespace process = shm::process;

std::string_view name_of(PutResult result) {
    static constexpr std::array<std::string_view, 9> kNames = {
        "stored", "fenced", "older", "too_large", "no_space", "rebuilding", "bad_key", "bad_value", "busy"};
    return kNames[static_cast<std::size_t>(result)];
}

std::string_view name_of(State state) {
    static constexpr std::array<std::string_view, 4> kNames = {"none", "live", "stale", "negative"};
    return kNames[static_cast<std::size_t>(state)];
}

void Pinned::drop_copy() noexcept { delete[] static_cast<char*>(hold_); }

Lease::Lease(Lease&& other) noexcept = default;

Lease& Lease::operator=(Lease&& other) noexcept {
    if (this == &other) return *this;
    if (cache_ != nullptr) cache_->end_lease(*this, shm::LeaseState::abandoned);
    cache_ = std::move(other.cache_);
    attached_ = other.attached_;
    key_ = std::move(other.key_);
    stamp_ = other.stamp_;
    held_ = std::move(other.held_);
    token_ = other.token_;
    generation_ = other.generation_;
    slot_ = other.slot_;
    return *this;
}

Lease::~Lease() {
    if (cache_ != nullptr) cache_->end_lease(*this, shm::LeaseState::abandoned);
}

Lease::operator bool() const noexcept { return cache_ != nullptr && generation_ == process::generation(); }

namespace detail {

Pinned PinAccess::own(std::string_view value, State state, Source source) {
    char* const copy = new char[value.size() + 1];
    if (!value.empty()) std::memcpy(copy, value.data(), value.size());
    return Pinned({copy, value.size()}, copy, true, state, source);
}

}  // namespace detail

Cache Cache::open(const Options& options) { return Cache(std::make_shared<detail::CacheImpl>(options)); }

Pinned Cache::get(std::string_view key) { return impl_->get(key); }

std::vector<Pinned> Cache::get_many(std::span<const std::string_view> keys) {
    std::vector<Pinned> found;
    found.reserve(keys.size());
    for (const std::string_view key : keys) found.push_back(impl_->get(key));
    return found;
}

Pinned Cache::peek(std::string_view key) const { return impl_->peek(key); }
Pinned Cache::find(std::string_view key, bool counted) { return impl_->find_present(key, counted); }
bool Cache::contains(std::string_view key) const { return impl_->peek(key).state() != State::none; }
Stamp Cache::stamp() const { return impl_->stamp(); }

SyncStart Cache::begin_sync() const { return impl_->begin_sync(); }
void Cache::synced(const SyncStart& begun, std::uint64_t position) { impl_->synced(begun, position); }
void Cache::mark_position(const Stamp& seen, std::uint64_t position) { impl_->mark_position(seen, position); }
bool Cache::is_current_at(std::uint64_t position, std::string_view key, std::span<const std::string> tags) const {
    return impl_->is_current_at(position, key, tags);
}
std::optional<SyncState> Cache::sync_state() const { return impl_->sync_state(); }

PutResult Cache::put(std::string_view key, std::string_view value, const EntryOptions& options) {
    return impl_->put(key, value, options);
}
bool Cache::touch(std::string_view key, std::chrono::milliseconds ttl) { return impl_->touch(key, ttl); }
bool Cache::erase(std::string_view key) { return impl_->erase(key); }

Pinned Cache::compute_through(std::string_view key, const ComputeFunction& compute, const EntryOptions& options,
                              bool counted) {
    return impl_->compute_through(key, compute, options, counted);
}
Begun Cache::begin(std::string_view key) { return impl_->begin(key); }
PutResult Cache::fill(Lease lease, std::string_view value, const EntryOptions& options) {
    return impl_->fill(lease, value, options);
}
void Cache::abandon(Lease lease, bool failed) {
    impl_->end_lease(lease, failed ? shm::LeaseState::failed : shm::LeaseState::abandoned);
}

std::uint64_t Cache::invalidate(std::string_view key) { return impl_->invalidate(std::span(&key, 1)); }
std::uint64_t Cache::invalidate(std::span<const std::string_view> keys) { return impl_->invalidate(keys); }
std::uint64_t Cache::invalidate_tag(std::string_view tag) { return impl_->invalidate(shm::FenceKind::tag, tag); }
std::uint64_t Cache::invalidate_namespace(std::string_view name) {
    return impl_->invalidate(shm::FenceKind::name_space, name);
}
std::uint64_t Cache::invalidate_all() { return impl_->invalidate(shm::FenceKind::everything, {}); }

KeyUse Cache::key_use(std::string_view key) const { return impl_->key_use(key); }
std::optional<std::chrono::nanoseconds> Cache::mean_compute_time() const { return impl_->mean_compute_time(); }
void Cache::tend() { impl_->tend(); }
std::string Cache::segment_path() const {
    return impl_->location() ? impl_->location()->segment_path() : std::string();
}
std::string Cache::socket_path() const { return impl_->location() ? impl_->location()->socket_path() : std::string(); }

}  // namespace larder
