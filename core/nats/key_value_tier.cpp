#include "core/nats/key_value_tier.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/nats/stream.hpp"
#include "core/submission_source.hpp"

namespace larder::nats {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::size_t headers_bytes = 1'024;  // of a message, at most

/// When the stream was made; a later one is newer.
std::int64_t age_of(std::string_view stream) {
    const std::size_t slash = stream.rfind('/');
    std::int64_t created_ns = 0;
    if (slash != std::string_view::npos)
        std::from_chars(stream.data() + slash + 1, stream.data() + stream.size(), created_ns);
    return created_ns;
}

bool is_later(const TierDocument& one, const TierDocument& other) {
    return std::pair(age_of(one.stream), one.sequence) > std::pair(age_of(other.stream), other.sequence);
}

}  // namespace

struct KeyValueTier::Found {
    std::uint64_t revision = 0;  // 0: there is none
    std::optional<TierDocument> document;
};

KeyValueTier::KeyValueTier(ConnectionOptions options, std::string_view database, KeyValueTierOptions tier)
    : options_(with_patience(std::move(options), patience)),
      tier_(tier),
      documents_("KV_" + StreamNames(database).stream + "-DOCUMENTS"),
      document_subjects_("$KV." + StreamNames(database).stream + "-DOCUMENTS."),
      leases_(StreamNames(database).stream + "-LEASES"),
      lease_subjects_(StreamNames(database).leases) {}

KeyValueTier::~KeyValueTier() = default;

template <class Result, class Action>
Result KeyValueTier::reach(Result otherwise, Action action, Open open) {
    if (Clock::now() < away_until_) return otherwise;
    try {
        connect();
        if (!is_open_) (this->*open)();
        is_open_ = true;
        Result result = action();
        error_.clear();
        return result;
    } catch (const std::exception& error) {
        error_ = error.what();
        away_until_ = Clock::now() + retreat;
        is_open_ = false;  // somebody may have deleted what was there
        return otherwise;
    }
}

void KeyValueTier::connect() {
    if (connection_ != nullptr && connection_->is_closed()) {
        connection_ = nullptr;
        is_open_ = false;
    }
    if (connection_ == nullptr) connection_ = std::make_unique<Connection>(options_);
    if (!connection_->is_connected()) connection_->fail(NATS_CONNECTION_DISCONNECTED, "reach");
}

StreamTitle KeyValueTier::documents_title() const {
    return {documents_, "documents of Larder", document_subjects_ + ">"};
}

StreamTitle KeyValueTier::leases_title() const { return {leases_, "leases of Larder", lease_subjects_ + ">"}; }

jsStreamConfig KeyValueTier::documents_config() const {
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Storage = js_MemoryStorage;
    config.MaxMsgsPerSubject = 1;
    config.MaxAge = nanoseconds(tier_.document_ttl).count();
    config.MaxBytes = tier_.max_bytes;
    config.Discard = js_DiscardOld;
    config.AllowDirect = true;
    config.AllowRollup = true;
    config.DenyDelete = true;
    return config;
}

jsStreamConfig KeyValueTier::leases_config() const {
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Storage = js_MemoryStorage;
    config.MaxMsgsPerSubject = 1;
    config.MaxAge = nanoseconds(tier_.lease_ttl).count();
    config.Duplicates = config.MaxAge;  // it may not be longer
    return config;
}

void KeyValueTier::find_both() {
    require_stream(*connection_, documents_title(), documents_config());
    require_stream(*connection_, leases_title(), leases_config());
}

void KeyValueTier::make_both() {
    add_stream(*connection_, documents_title(), documents_config(), Copies::raised);
    add_stream(*connection_, leases_title(), leases_config(), Copies::raised);
}

bool KeyValueTier::make() {
    is_open_ = false;
    return reach(
        false, [&] { return try_out(); }, &KeyValueTier::make_both);
}

bool KeyValueTier::is_usable() {
    return reach(false, [&] { return try_out(); });
}

bool KeyValueTier::try_out() {
    constexpr std::string_view probe = "?";
    put_document(probe, {.stream = "?", .sequence = 1});
    find(probe, Copy::latest);
    drop(store_lease(probe, 0));
    return true;
}

std::string KeyValueTier::subject_of(std::string_view key) const { return document_subjects_ + tier_key_of(key); }

KeyValueTier::Found KeyValueTier::find(std::string_view key, Copy copy) {
    const std::string subject = subject_of(key);
    natsMsg* found = nullptr;
    jsErrCode code{};
    natsStatus status = NATS_OK;
    if (copy == Copy::any) {
        jsDirectGetMsgOptions options;
        jsDirectGetMsgOptions_Init(&options);
        options.LastBySubject = subject.c_str();
        status = js_DirectGetMsg(&found, connection_->jet_stream(), documents_.c_str(), nullptr, &options);
    } else {
        status = js_GetLastMsg(&found, connection_->jet_stream(), documents_.c_str(), subject.c_str(), nullptr, &code);
    }
    const Message message(found);
    if (status == NATS_NOT_FOUND || code == JSNoMessageFoundErr) return {};
    connection_->check(status, "read the bucket " + documents_ + " of", code);
    return {natsMsg_GetSequence(found), decode_document(key, data_of(message))};
}

/// Its revision; 0: the present one is not that which it replaces (0: there is none).
std::uint64_t KeyValueTier::store(const std::string& subject, std::string_view value, std::uint64_t replaces) {
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.MaxWait = connection_->patience().count();
    options.ExpectLastSubjectSeq = replaces;
    options.ExpectNoMessage = replaces == 0;
    jsPubAck* made = nullptr;
    jsErrCode code{};
    const natsStatus status = js_Publish(&made, connection_->jet_stream(), subject.c_str(), value.data(),
                                         static_cast<int>(value.size()), &options, &code);
    const Owned<jsPubAck> ack(made);
    if (code == JSStreamWrongLastSequenceErr) return 0;
    connection_->check(status, "write " + subject + " to", code);
    return made->Sequence;
}

std::optional<TierDocument> KeyValueTier::get(std::string_view key) {
    return reach(std::optional<TierDocument>(), [&] { return find(key, Copy::any).document; });
}

std::optional<TierDocument> KeyValueTier::get_latest(std::string_view key) {
    return reach(std::optional<TierDocument>(), [&] { return find(key, Copy::latest).document; });
}

bool KeyValueTier::put(std::string_view key, const TierDocument& document) {
    return reach(false, [&] { return put_document(key, document); });
}

bool KeyValueTier::put_document(std::string_view key, const TierDocument& document) {
    const std::string value = encode_document(key, document);
    if (static_cast<std::int64_t>(value.size() + headers_bytes) >
        std::min(natsConnection_GetMaxPayload(connection_->get()), tier_.max_bytes))
        return false;
    const std::string subject = subject_of(key);
    for (int attempt = 0; attempt < max_attempts; ++attempt) {
        const Found present = find(key, attempt == 0 ? Copy::any : Copy::latest);
        if (present.document && is_later(*present.document, document)) return false;
        if (store(subject, value, present.revision) != 0) return true;
    }
    return false;
}

TierLease KeyValueTier::take_lease(std::string_view key) {
    return reach(TierLease{}, [&] { return store_lease(key, 0); });
}

TierLease KeyValueTier::renew(const TierLease& lease) {
    if (lease.state != TierLease::State::taken) return lease;
    return reach(TierLease{}, [&] { return store_lease(lease.key, lease.token); });
}

TierLease KeyValueTier::store_lease(std::string_view key, std::uint64_t replaces) {
    const std::uint64_t token = store(lease_subjects_ + tier_key_of(key), "", replaces);
    return {token == 0 ? TierLease::State::held : TierLease::State::taken, token, std::string(key)};
}

/// Also after an error: others wait for it.
void KeyValueTier::release(const TierLease& lease) {
    if (lease.state != TierLease::State::taken || connection_ == nullptr || !connection_->is_connected()) return;
    try {
        drop(lease);
    } catch (const SourceError&) {
        return;  // it ends by itself
    }
}

/// An error of JetStream's: it is gone.
void KeyValueTier::drop(const TierLease& lease) {
    jsErrCode code{};
    const natsStatus status = js_DeleteMsg(connection_->jet_stream(), leases_.c_str(), lease.token, nullptr, &code);
    if (code == jsErrCode(0)) connection_->check(status, "write to the stream " + leases_ + " of");
}

}  // namespace larder::nats
