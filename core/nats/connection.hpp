// Connection: one connection to a cluster of NATS servers, which never waits for ever.
#pragma once

#include <nats/nats.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace larder::nats {

struct Destroy {
    void operator()(natsConnection* connection) const { natsConnection_Destroy(connection); }
    void operator()(natsOptions* options) const { natsOptions_Destroy(options); }
    void operator()(natsSubscription* subscription) const { natsSubscription_Destroy(subscription); }
    void operator()(natsMsg* message) const { natsMsg_Destroy(message); }
    void operator()(jsCtx* context) const { jsCtx_Destroy(context); }
    void operator()(jsPubAck* ack) const { jsPubAck_Destroy(ack); }
    void operator()(jsStreamInfo* info) const { jsStreamInfo_Destroy(info); }
    void operator()(jsConsumerInfo* info) const { jsConsumerInfo_Destroy(info); }
};
template <class Object>
using Owned = std::unique_ptr<Object, Destroy>;
using Message = Owned<natsMsg>;
using Subscription = Owned<natsSubscription>;

/// Valid as long as the message.
inline std::string_view data_of(const Message& message) {
    return {natsMsg_GetData(message.get()), static_cast<std::size_t>(natsMsg_GetDataLength(message.get()))};
}

struct ConnectionOptions {
    /// `nats://HOST:PORT,nats://HOST:PORT`; `tls://`, `nats://USER:PASSWORD@HOST:PORT`, `nats://TOKEN@HOST:PORT`.
    std::string url;
    const char* name = "larder";           ///< what the servers show
    std::string credentials_file{};        ///< of a user with a JWT and a seed; empty: none
    std::string ca_file{};                 ///< who signs the servers' certificates; empty: whom the system trusts
    std::chrono::milliseconds patience{};  ///< longest wait for each server at the connect, and for each answer
};

/// Where they name no patience of their own.
inline ConnectionOptions with_patience(ConnectionOptions options, std::chrono::milliseconds usual) {
    if (options.patience == std::chrono::milliseconds::zero()) options.patience = usual;
    return options;
}

/// Connects at once. A connection that is lost is made anew by libnats, with whatever server of the cluster there is,
/// for ever and every 100 ms; a server that says nothing for about 2 s is left. Every member throws SourceError, which
/// names the servers and never a password. The first connection of a process ignores SIGPIPE in it. Threads: any. Fork:
/// libnats has threads and locks of its own, which a child has not, or not free: a process that forks others which use
/// libnats does not use it itself.
class Connection {
public:
    explicit Connection(const ConnectionOptions& options);

    /// Without what lets one in.
    const std::string& servers() const { return servers_; }
    std::chrono::milliseconds patience() const { return patience_; }
    bool is_connected() const;
    /// For ever: the servers refused it. Make another one.
    bool is_closed() const { return natsConnection_IsClosed(connection_.get()); }
    /// Something that was sent or asked for through it: they do not say that to whoever did. Make another one.
    bool is_refused() const;
    void check_permitted() const {
        if (is_refused()) fail(NATS_NOT_PERMITTED, "use all of");
    }
    /// How often it was made anew.
    std::uint64_t reconnects() const;

    natsConnection* get() const { return connection_.get(); }
    jsCtx* jet_stream() const { return jet_stream_.get(); }

    /// Throws unless that worked. `what` completes "cannot ...".
    void check(natsStatus status, std::string_view what, jsErrCode code = jsErrCode(0)) const {
        if (status != NATS_OK) fail(status, what, code);
    }
    [[noreturn]] void fail(natsStatus status, std::string_view what, jsErrCode code = jsErrCode(0)) const;

    void publish(const std::string& subject, std::string_view data) const;
    /// A message that is waited for by the subscription, or comes within `wait` (at least a millisecond); null: none
    /// did, or the servers say that nobody is there to answer.
    Message next(natsSubscription* subscription, std::chrono::milliseconds wait) const;
    /// Its messages wait to be taken by next, at most so many; more are dropped.
    Subscription subscribe(const std::string& subject, int most_waiting) const;
    /// A subject that nobody else has.
    std::string make_inbox() const;

private:
    std::string servers_;
    const std::chrono::milliseconds patience_;
    Owned<natsConnection> connection_;
    Owned<jsCtx> jet_stream_;
};

}  // namespace larder::nats
