#include "core/nats/connection.hpp"

#include <algorithm>
#include <vector>

#include "core/server_list.hpp"
#include "core/submission_source.hpp"

namespace larder::nats {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds reconnect_interval{100}, reconnect_jitter{50};
constexpr milliseconds ping_interval{700};
constexpr int most_pings_out = 2;
constexpr int reconnect_buffer_bytes = 1 << 20;  // of what is said while there is no connection
constexpr int most_waiting_bytes = 64 << 20;

std::string remedy_for(natsStatus status) {
    switch (status) {
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
        return "check the user in the URL, where he and his password stand as they are, or the credentials file";
    case NATS_SSL_ERROR:
    case NATS_SECURE_CONNECTION_WANTED:
    case NATS_SECURE_CONNECTION_REQUIRED:
        return "check tls:// in the URL, and the certificates";
    case NATS_NO_RESPONDERS:
        return "check that the servers run with JetStream and that most of them are there";
    case NATS_ERR:  // so says a file without a user's key, too
        return "check what is in the credentials file, if there is one, and that the servers run";
    default:
        return "check that the servers run and can be reached";
    }
}

/// Of JetStream, without the place in libnats where it was read.
std::string answer_text() {
    const char* const said = nats_GetLastError(nullptr);
    std::string_view text = said == nullptr ? "" : said;
    if (const std::size_t place = text.find("): "); text.starts_with('(') && place != std::string_view::npos)
        text.remove_prefix(place + 3);
    return text.empty() ? "" : ": " + std::string(text);
}

/// In the same words each time, and in those of the right that lacks: an inbox has another name each time.
std::string with_plain_inbox(std::string text) {
    constexpr std::string_view inbox = "_INBOX.";
    const std::size_t name = text.find(inbox);
    if (name == std::string::npos) return text;
    const std::size_t rest = name + inbox.size();
    return text.replace(rest, std::min(text.find('"', rest), text.size()) - rest, ">");
}

Owned<natsOptions> options_of(const ConnectionOptions& options, const std::vector<std::string>& urls) {
    natsOptions* made = nullptr;
    if (natsOptions_Create(&made) != NATS_OK) throw std::bad_alloc();
    Owned<natsOptions> result(made);
    std::vector<const char*> list;
    for (const std::string& url : urls) list.push_back(url.c_str());
    const bool is_secure =
        std::any_of(urls.begin(), urls.end(), [](const std::string& url) { return url.starts_with("tls://"); });
    const std::int64_t patience_ms = options.patience.count();
    const bool all_taken =
        natsOptions_SetServers(made, list.data(), static_cast<int>(list.size())) == NATS_OK &&
        natsOptions_SetName(made, options.name) == NATS_OK && natsOptions_SetTimeout(made, patience_ms) == NATS_OK &&
        natsOptions_SetWriteDeadline(made, patience_ms) == NATS_OK &&
        natsOptions_SetMaxReconnect(made, -1) == NATS_OK &&
        natsOptions_SetReconnectWait(made, reconnect_interval.count()) == NATS_OK &&
        natsOptions_SetReconnectJitter(made, reconnect_jitter.count(), reconnect_jitter.count()) == NATS_OK &&
        natsOptions_SetReconnectBufSize(made, reconnect_buffer_bytes) == NATS_OK &&
        natsOptions_SetPingInterval(made, ping_interval.count()) == NATS_OK &&
        natsOptions_SetMaxPingsOut(made, most_pings_out) == NATS_OK && natsOptions_SetSendAsap(made, true) == NATS_OK;
    if (!all_taken) throw SourceError("the NATS servers' URL cannot be read: write nats://HOST:PORT,nats://HOST:PORT");
    if (is_secure && natsOptions_SetSecure(made, true) != NATS_OK)
        throw SourceError("this libnats knows no TLS: write nats:// instead of tls://");
    if (!options.ca_file.empty() && natsOptions_LoadCATrustedCertificates(made, options.ca_file.c_str()) != NATS_OK)
        throw SourceError("the certificates of " + options.ca_file + " cannot be read: check the file");
    if (!options.credentials_file.empty() &&
        natsOptions_SetUserCredentialsFromFiles(made, options.credentials_file.c_str(), nullptr) != NATS_OK)
        throw SourceError("the credentials of " + options.credentials_file + " cannot be read: check the file");
    return result;
}

}  // namespace

Connection::Connection(const ConnectionOptions& options) : patience_(options.patience) {
    const ServerList servers = ServerList::parse(options.url);
    servers_ = servers.shown;
    const Owned<natsOptions> settings = options_of(options, servers.urls);
    natsConnection* connection = nullptr;
    check(natsConnection_Connect(&connection, settings.get()), "connect to");
    connection_.reset(connection);
    jsOptions waits;
    jsOptions_Init(&waits);
    waits.Wait = patience_.count();
    jsCtx* context = nullptr;
    check(natsConnection_JetStream(&context, connection, &waits), "use JetStream of");
    jet_stream_.reset(context);
}

bool Connection::is_connected() const { return natsConnection_Status(connection_.get()) == NATS_CONN_STATUS_CONNECTED; }

std::uint64_t Connection::reconnects() const {
    natsStatistics* made = nullptr;
    if (natsStatistics_Create(&made) != NATS_OK) throw std::bad_alloc();
    const std::unique_ptr<natsStatistics, void (*)(natsStatistics*)> statistics(made, natsStatistics_Destroy);
    std::uint64_t count = 0;
    check(natsConnection_GetStats(connection_.get(), made), "use");
    check(natsStatistics_GetCounts(made, nullptr, nullptr, nullptr, nullptr, &count), "use");
    return count;
}

/// What libnats says besides may show the URL, but for what the servers answered. Without an answer it is of another
/// call.
void Connection::fail(natsStatus status, std::string_view what, jsErrCode code) const {
    const auto say = [&](const std::string& reason, const std::string& remedy) {
        return "cannot " + std::string(what) + " the NATS servers " + servers_ + " (" + reason + "): " + remedy;
    };
    if (status == NATS_NO_RESPONDERS || code == JSNotEnabledErr)
        throw SourceError(say(natsStatus_GetText(NATS_NO_RESPONDERS), remedy_for(NATS_NO_RESPONDERS)));
    if (code != jsErrCode(0))
        throw SourceError(say("JetStream error " + std::to_string(static_cast<int>(code)) + answer_text(),
                              "check that most of them are there, and what their `jetstream` allows"));
    const char* said = nullptr;
    if ((status == NATS_TIMEOUT || status == NATS_NOT_PERMITTED) &&
        natsConnection_GetLastError(connection_.get(), &said) == NATS_NOT_PERMITTED)
        throw SourceError(
            say(with_plain_inbox(said), "give this host's user the rights that `larder help fleet` names"));
    throw SourceError(say(natsStatus_GetText(status), remedy_for(status)));
}

bool Connection::is_refused() const {
    const char* said = nullptr;
    return natsConnection_GetLastError(connection_.get(), &said) == NATS_NOT_PERMITTED;
}

void Connection::publish(const std::string& subject, std::string_view data) const {
    check(natsConnection_Publish(connection_.get(), subject.c_str(), data.data(), static_cast<int>(data.size())),
          "write to");
}

Message Connection::next(natsSubscription* subscription, milliseconds wait) const {
    natsMsg* message = nullptr;
    const natsStatus status = natsSubscription_NextMsg(&message, subscription, std::max<std::int64_t>(1, wait.count()));
    const bool is_nothing = status == NATS_TIMEOUT || status == NATS_SLOW_CONSUMER || status == NATS_NO_RESPONDERS;
    if (status != NATS_OK && !is_nothing) fail(status, "hear");
    return Message(status == NATS_OK ? message : nullptr);
}

Subscription Connection::subscribe(const std::string& subject, int most_waiting) const {
    natsSubscription* made = nullptr;
    check(natsConnection_SubscribeSync(&made, connection_.get(), subject.c_str()), "listen to");
    Subscription subscription(made);
    check(natsSubscription_SetPendingLimits(made, most_waiting, most_waiting_bytes), "listen to");
    return subscription;
}

std::string Connection::make_inbox() const {
    natsInbox* made = nullptr;
    check(natsInbox_Create(&made), "use");
    const std::unique_ptr<natsInbox, void (*)(natsInbox*)> inbox(made, natsInbox_Destroy);
    return inbox.get();
}

}  // namespace larder::nats
