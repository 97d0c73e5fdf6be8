// DocumentTier: finished documents that the hosts of a fleet share.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder {

/// A document, and how late its source was read: what the stream `stream` told of up to `sequence` is in it. Sequences
/// of another stream say nothing.
struct TierDocument {
    std::string bytes;
    std::string stream;
    std::uint64_t sequence = 0;       ///< 0: not known, not to be shared
    std::chrono::milliseconds ttl{};  ///< from made_at on
    /// By the wall clock of the host that computed it: how long it lives hangs on that, not whether it is fresh.
    std::chrono::milliseconds made_at{};
    std::vector<std::string> tags{};
};

/// The right to compute a key for the fleet; or why not.
struct TierLease {
    enum class State : std::uint8_t {
        taken,
        held,         ///< by another, or by one that died, until it expires
        unreachable,  ///< no tier now: compute without it
    } state = State::unreachable;
    std::uint64_t token = 0;
    std::string key{};  ///< where taken
};

/// What is fresh is for each host to decide: it takes a document only if none of its own notices for what the key
/// depends on came with a sequence later than the document's (give `sequence` to the put as the position of the source;
/// a put that answers `fenced` was too old). That covers notices that came by the stream, not those that were given to
/// this host alone: after one of those a document is taken once a later message has come. No member throws, or waits
/// for longer than some seconds where servers are lost just then: whatever goes wrong, the host computes by itself.
class DocumentTier {
public:
    virtual ~DocumentTier() = default;
    /// Cheap, from whoever is near: what was put a moment ago may be missing, or its predecessor be found.
    virtual std::optional<TierDocument> get(std::string_view key) = 0;
    /// What was put last: for whoever has the lease.
    virtual std::optional<TierDocument> get_latest(std::string_view key) = 0;
    /// It ends by release, or by itself some seconds after it was taken or renewed.
    virtual TierLease take_lease(std::string_view key) = 0;
    /// In place of `lease`, if that was taken; `held`: it had ended.
    virtual TierLease renew(const TierLease& lease) = 0;
    /// Does nothing to a lease that another has taken since.
    virtual void release(const TierLease& lease) = 0;
    /// False: not kept, since there is one of a later sequence or stream, or no tier now.
    virtual bool put(std::string_view key, const TierDocument& document) = 0;
};

struct TierPatience {
    /// Longest wait for another host's computation; as long a holder keeps its lease.
    std::chrono::milliseconds limit{6'000};
    std::chrono::milliseconds interval{10};  ///< between two looks, or a quarter of what was waited if that is longer
    std::chrono::milliseconds renewal{1'000};
};

/// The fleet's document where `is_fresh` takes it, else computed: by one host at a time where the tier can be reached.
/// `compute` is told what became of the lease: `held` is for waiters that waited in vain. What it throws passes
/// through; nullopt is given to the caller and not shared. A computation that takes longer than `renewal` has its lease
/// renewed by a thread. Threads: safe if the tier is, which then must be.
std::optional<TierDocument> compute_once(DocumentTier& tier, std::string_view key,
                                         const std::function<bool(const TierDocument&)>& is_fresh,
                                         const std::function<std::optional<TierDocument>(TierLease::State)>& compute,
                                         TierPatience patience = {});

}  // namespace larder
