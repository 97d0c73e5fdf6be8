// KeyValueTier: the fleet's documents in buckets of NATS.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/document_tier.hpp"
#include "core/nats/connection.hpp"
#include "core/nats/stream.hpp"

namespace larder::nats {

struct KeyValueTierOptions {
    std::chrono::milliseconds document_ttl{300'000};  ///< of the bucket: a document in it is gone after that
    std::chrono::milliseconds lease_ttl{3'000};       ///< a holder that died, or is stopped, is replaced after that
    std::int64_t max_bytes = 256 << 20;               ///< of all documents, reserved; the oldest go when it is full
};

/// A bucket for the documents of each database, LARDER-TOKEN-DOCUMENTS (in which the oldest make room, as no bucket has
/// it that libnats makes), and a stream for the leases, LARDER-TOKEN-LEASES (see StreamNames; a bucket lets nobody
/// delete), in the servers' memory; options count when they are made. After an error nothing is asked for `retreat`.
///  1. `get` is answered by whichever server has a copy, which may lag behind a put that was acknowledged; `get_latest`
///     by the one that leads the bucket, at nearly twice the cost.
///  2. A document is put with the revision that it replaces: two that put at once do not replace each other unseen.
///  3. A lease is the message that was stored where there was none. It is deleted by its number: one that expired, and
///     was taken by another, is another message.
/// Threads: one. Fork: see Connection.
class KeyValueTier final : public DocumentTier {
public:
    static constexpr std::chrono::milliseconds patience{250};  ///< for each answer
    static constexpr std::chrono::milliseconds retreat{1'000};
    static constexpr int max_attempts = 4;  ///< of a put

    /// Connects when it is first needed.
    KeyValueTier(ConnectionOptions options, std::string_view database, KeyValueTierOptions tier = {});
    ~KeyValueTier() override;

    std::optional<TierDocument> get(std::string_view key) override;
    std::optional<TierDocument> get_latest(std::string_view key) override;
    TierLease take_lease(std::string_view key) override;
    TierLease renew(const TierLease& lease) override;
    void release(const TierLease& lease) override;
    bool put(std::string_view key, const TierDocument& document) override;

    /// Makes what is not there yet, on three servers if there are so many, and tries it out. By one process of a fleet:
    /// servers that are to make one stream twice at the same time serve it late. It takes them a second.
    bool make();
    /// Does with it what hosts do.
    bool is_usable();

    /// Why there is no tier now; empty: there is one, as far as is known.
    const std::string& error() const { return error_; }

private:
    using Clock = std::chrono::steady_clock;
    enum class Copy : std::uint8_t { any, latest };
    struct Found;
    using Open = void (KeyValueTier::*)();
    template <class Result, class Action>
    Result reach(Result otherwise, Action action, Open open = &KeyValueTier::find_both);
    void connect();
    StreamTitle documents_title() const;
    StreamTitle leases_title() const;
    jsStreamConfig documents_config() const;
    jsStreamConfig leases_config() const;
    void find_both();
    void make_both();
    bool try_out();
    std::string subject_of(std::string_view key) const;
    Found find(std::string_view key, Copy copy);
    std::uint64_t store(const std::string& subject, std::string_view value, std::uint64_t replaces);
    bool put_document(std::string_view key, const TierDocument& document);
    void drop(const TierLease& lease);
    TierLease store_lease(std::string_view key, std::uint64_t replaces);

    const ConnectionOptions options_;
    const KeyValueTierOptions tier_;
    const std::string documents_, document_subjects_;  // the bucket is their stream
    const std::string leases_, lease_subjects_;
    std::unique_ptr<Connection> connection_;
    bool is_open_ = false;
    Clock::time_point away_until_{};
    std::string error_;
};

/// What NATS takes as a key, another one for each: `=XX` in place of what it does not take. Above 256 bytes by its
/// hash.
std::string tier_key_of(std::string_view key);

/// As it lies in the bucket.
std::string encode_document(std::string_view key, const TierDocument& document);
/// nullopt: it cannot be read, or is another key's.
std::optional<TierDocument> decode_document(std::string_view key, std::string_view text);

}  // namespace larder::nats
