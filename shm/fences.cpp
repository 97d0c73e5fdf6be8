#include "shm/fences.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "shm/hash.hpp"
#include "shm/record.hpp"
#include "shm/system.hpp"
#include "shm/testing.hpp"

namespace larder::shm {
namespace {

constexpr std::array<std::uint64_t, 4> kSalts = {0x6b65790000000001ULL, 0x7461670000000002ULL, 0x6e616d6500000003ULL,
                                                 0};

void raise_to(Word64& word, std::uint64_t number) {
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    // Each failure is another notice's progress, and ends the loop once that one is newer.
    while (seen < number && !word.compare_exchange_weak(seen, number, std::memory_order_release)) {}
}

}  // namespace

std::string_view namespace_of(std::string_view key) { return key.substr(0, key.find(':')); }

std::uint32_t stripe_of(FenceKind kind, std::string_view text, std::uint64_t seed) {
    return static_cast<std::uint32_t>(hash_of(text, seed ^ kSalts[static_cast<std::size_t>(kind)])) % kFences;
}

std::uint64_t Fences::begin() { return header_->notice_number.fetch_add(1, std::memory_order_acq_rel) + 1; }

void Fences::prefetch_key(std::string_view key) const {
    __builtin_prefetch(&words_[stripe_of(FenceKind::key, key, header_->hash_seed)], 1);
}

void Fences::raise(FenceKind kind, std::string_view text, std::uint64_t number) {
    LARDER_CRASH_POINT("fences.raise");
    if (kind == FenceKind::everything)
        raise_to(header_->everything, number);
    else
        raise_to(words_[stripe_of(kind, text, header_->hash_seed)], number);
    remember(kind, text, number);
}

// Raised after the fences: a reader that has seen this value of `applied` sees the fences too (release here, acquire in
// load_applied). Raised before them, a record could be marked as checked at a value under which it was not.
void Fences::end() {
    LARDER_CRASH_POINT("fences.applied");
    header_->applied.fetch_add(1, std::memory_order_release);
}

std::uint64_t Fences::announce(FenceKind kind, std::string_view text) {
    const std::uint64_t number = begin();
    raise(kind, text, number);
    end();
    return number;
}

// as_of + 1 is a number that was given out already, since a fence above as_of was seen: no later value is hit by it.
void Fences::overtake_key(std::string_view key, std::uint64_t as_of) {
    Word64& word = words_[stripe_of(FenceKind::key, key, header_->hash_seed)];
    raise_to(word, as_of + 1);
    end();  // also where the fence was higher already: who raised it may have died before it said so
}

std::uint64_t Fences::highest(const Record& record) const {
    std::uint64_t highest = everything();
    const std::uint64_t stripes = std::min<std::uint64_t>(shape_of(record).stripes(), 2 + kMaxTags);
    for (std::uint64_t i = 0; i < stripes; ++i) highest = std::max(highest, fence(stripe_of(record, i)));
    return highest;
}

std::uint64_t Fences::highest(std::string_view key, std::span<const std::string> tags) const {
    const std::uint64_t seed = header_->hash_seed;
    std::uint64_t highest = std::max(everything(), fence(stripe_of(FenceKind::key, key, seed)));
    highest = std::max(highest, fence(stripe_of(FenceKind::name_space, namespace_of(key), seed)));
    for (const std::string& tag : tags) highest = std::max(highest, fence(stripe_of(FenceKind::tag, tag, seed)));
    return highest;
}

bool Fences::alive_slowly(Record& record, std::uint64_t applied) const {
    if (highest(record) > record.as_of) return false;
    record.checked.store(applied, std::memory_order_relaxed);
    return true;
}

// For people to look at: a mark overwritten while it is read shows number 0 or another one, which its reader checks.
void Fences::remember(FenceKind kind, std::string_view text, std::uint64_t number) {
    NoticeMark& mark = header_->notices[number % kNotices];
    mark.number.store(0, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    std::array<std::uint64_t, sizeof(NoticeMark::text) / 8> words{};
    if (!text.empty()) std::memcpy(words.data(), text.data(), std::min(text.size(), sizeof words));
    for (std::size_t i = 0; i < words.size(); ++i) mark.text[i].store(words[i], std::memory_order_relaxed);
    mark.kind.store(static_cast<std::uint32_t>(kind), std::memory_order_relaxed);
    mark.text_bytes.store(static_cast<std::uint32_t>(text.size()), std::memory_order_relaxed);
    mark.at_ns.store(system::coarse_ns(), std::memory_order_relaxed);
    mark.number.store(number, std::memory_order_release);
}

}  // namespace larder::shm
