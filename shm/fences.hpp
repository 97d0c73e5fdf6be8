// Fences: one number for each stripe of dependencies, that of the last notice which named it.
//
// A record is alive only while no fence that it depends on is above its as_of (protocol.md 3). A notice takes a number,
// raises its fences, raises `applied`, then says ok. A reader remembers in the record at which `applied` its fences
// were last found low, and reads them again only when `applied` has moved since.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "shm/layout.hpp"

namespace larder::shm {

enum class FenceKind : std::uint32_t { key, tag, name_space, everything };

/// The text of a key before its first ':'; the key itself where it has none (then it fences nothing else).
std::string_view namespace_of(std::string_view key);

/// Keys, tags and namespaces are hashed with different salts.
std::uint32_t stripe_of(FenceKind kind, std::string_view text, std::uint64_t seed);

class Fences {
public:
    explicit Fences(SegmentView view) : view_(view), header_(&view.header()), words_(view.fences()) {}

    /// Number of the last notice begun: the as_of of what is read from its source from now on.
    std::uint64_t now() const { return header_->notice_number.load(std::memory_order_acquire); }

    /// Takes a number and raises the fences of what it names. From its return on no reader is served what is older.
    /// Lock-free; killed half-way it has announced nothing, and whoever announces again is heard.
    std::uint64_t announce(FenceKind kind, std::string_view text);
    /// One number for all of them.
    template <class Texts>
    std::uint64_t announce_keys(const Texts& keys) {
        const std::uint64_t number = begin();
        for (const std::string_view key : keys) raise(FenceKind::key, key, number);
        end();
        return number;
    }

    /// The key's fence will be near by when it is announced.
    void prefetch_key(std::string_view key) const;

    /// A value of the key as of `as_of` was not kept, because something newer was announced: whatever older value of
    /// the key is still there is not served from now on.
    void overtake_key(std::string_view key, std::uint64_t as_of);

    /// The record was not overtaken by a notice. `applied` is the reader's load_applied() from before it pinned or just
    /// after.
    bool alive(Record& record, std::uint64_t applied) const {
        if (record.checked.load(std::memory_order_relaxed) == applied) return true;
        return alive_slowly(record, applied);
    }
    std::uint64_t load_applied() const { return header_->applied.load(std::memory_order_acquire); }

    /// The highest fence that the record depends on; writes nothing.
    std::uint64_t highest(const Record& record) const;

    /// The same for what is not a record yet.
    std::uint64_t highest(std::string_view key, std::span<const std::string> tags) const;
    std::uint64_t fence(std::uint32_t stripe) const { return words_[stripe].load(std::memory_order_acquire); }
    std::uint64_t everything() const { return header_->everything.load(std::memory_order_acquire); }

private:
    std::uint64_t begin();
    void raise(FenceKind kind, std::string_view text, std::uint64_t number);
    void end();
    bool alive_slowly(Record& record, std::uint64_t applied) const;
    void remember(FenceKind kind, std::string_view text, std::uint64_t number);

    SegmentView view_;
    SegmentHeader* header_;
    Word64* words_;
};

}  // namespace larder::shm
