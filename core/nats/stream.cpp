#include "core/nats/stream.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "core/nats/notice_message.hpp"
#include "core/submission_source.hpp"
#include "shm/hash.hpp"

namespace larder::nats {
namespace {

constexpr std::chrono::nanoseconds kept = std::chrono::hours(1);
constexpr int wanted_replicas = 3;
constexpr int small_message = 1 << 20;  // what a server takes is that, unless it is told otherwise

std::string token_of(std::string_view database) {
    std::array<char, 17> text{};
    std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(shm::hash_of(database, 0)));
    return text.data();
}

/// Null: it is not there.
Owned<jsStreamInfo> info_of(const Connection& connection, const std::string& stream) {
    jsStreamInfo* found = nullptr;
    jsErrCode code{};
    const natsStatus status = js_GetStreamInfo(&found, connection.jet_stream(), stream.c_str(), nullptr, &code);
    Owned<jsStreamInfo> info(found);
    if (status == NATS_NOT_FOUND || code == JSStreamNotFoundErr) return nullptr;
    connection.check(status, "read the state of the stream " + stream + " of", code);
    return info;
}

jsStreamConfig notices_config() {
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Storage = js_FileStorage;
    config.Retention = js_LimitsPolicy;
    config.Discard = js_DiscardOld;
    config.MaxAge = kept.count();
    return config;
}

/// What of it would lose, refuse or keep what the wanted one does not; "": nothing.
std::string differences(const std::string& subjects, const jsStreamConfig& wanted, const jsStreamConfig& found) {
    const auto per_subject = [](const jsStreamConfig& config) {
        return std::max<std::int64_t>(0, config.MaxMsgsPerSubject);
    };
    std::string names;
    const auto compare = [&](const char* name, bool is_alike) {
        if (!is_alike) names += (names.empty() ? "" : ", ") + std::string(name);
    };
    compare("subjects", found.SubjectsLen == 1 && subjects == found.Subjects[0]);
    compare("retention", found.Retention == js_LimitsPolicy);
    compare("discard", found.Discard == js_DiscardOld);
    const bool is_for_entries = wanted.MaxMsgsPerSubject > 0;  // whose age is a promise: a lease ends by it
    compare("max_age", is_for_entries ? found.MaxAge == wanted.MaxAge : found.MaxAge > 0);
    compare("max_consumers", found.MaxConsumers <= 0);
    compare("max_msgs_per_subject", per_subject(found) == per_subject(wanted));
    compare("max_msg_size", found.MaxMsgSize <= 0 || found.MaxMsgSize >= small_message);
    compare("no_ack", !found.NoAck);
    compare("allow_direct", found.AllowDirect || !wanted.AllowDirect);
    return names;
}

/// Others, or another version, may have made it.
void refuse_other(const Connection& connection, const StreamTitle& title, const jsStreamConfig& wanted,
                  const jsStreamInfo& found) {
    const std::string names = differences(title.subjects, wanted, *found.Config);
    if (!names.empty())
        throw SourceError("the stream " + title.name + " of the NATS servers " + connection.servers() +
                          " is another than Larder makes (" + names + "): delete it, it is made anew");
}

StreamState state_of(const Connection& connection, const StreamNames& names, const jsStreamInfo& info) {
    refuse_other(connection, {names.stream, {}, names.subjects}, notices_config(), info);
    StreamState state{names.stream + "/" + std::to_string(info.Created), info.State.FirstSeq, info.State.LastSeq,
                      info.State.LastTime};
    if (info.State.Msgs == 0) state.first = state.last + 1;
    state.copies = info.Config->Replicas;
    for (int i = 0; info.Cluster != nullptr && i < info.Cluster->ReplicasLen; ++i)
        if (const jsPeerInfo& peer = *info.Cluster->Replicas[i]; !peer.Current || peer.Offline)
            state.late_servers.emplace_back(peer.Name == nullptr ? "?" : peer.Name);
    return state;
}

/// It was made while there were fewer servers; perhaps there still are.
void raise_copies(const Connection& connection, jsStreamInfo& found) {
    const std::int64_t copies = found.Config->Replicas;
    const bool is_server_by_itself = found.Cluster == nullptr || found.Cluster->Name == nullptr;
    if (copies >= wanted_replicas || is_server_by_itself) return;
    found.Config->Replicas = wanted_replicas;
    if (js_UpdateStream(nullptr, connection.jet_stream(), found.Config, nullptr, nullptr) != NATS_OK)
        found.Config->Replicas = copies;
}

}  // namespace

StreamNames::StreamNames(std::string_view database) {
    const std::string token = token_of(database);
    stream = "LARDER-" + token;
    subjects = "larder." + token + ".>";
    notices = "larder." + token + ".notice";
    positions = "larder." + token + ".position";
    looks = "larder-look." + token;
    leases = "larder-lease." + token + ".";
}

std::optional<StreamState> find_stream(const Connection& connection, const StreamNames& names) {
    const Owned<jsStreamInfo> info = info_of(connection, names.stream);
    if (info == nullptr) return std::nullopt;
    return state_of(connection, names, *info);
}

std::optional<OutboxPosition> published_position(const Connection& connection, const StreamNames& names) {
    natsMsg* found = nullptr;
    jsErrCode code{};
    const natsStatus status =
        js_GetLastMsg(&found, connection.jet_stream(), names.stream.c_str(), names.positions.c_str(), nullptr, &code);
    const Message message(found);
    if (status == NATS_NOT_FOUND || code == JSNoMessageFoundErr || code == JSStreamNotFoundErr) return std::nullopt;
    connection.check(status, "read the stream " + names.stream + " of", code);
    const std::optional<NoticeMessage> said = decode(data_of(message));
    if (!said || said->kind != NoticeMessage::Kind::position) return std::nullopt;
    return OutboxPosition{said->position, said->text};
}

void require_stream(const Connection& connection, const StreamTitle& title, const jsStreamConfig& wanted) {
    const Owned<jsStreamInfo> info = info_of(connection, title.name);
    if (info == nullptr)
        throw SourceError(
            "there is no stream " + title.name + " at the NATS servers " + connection.servers() +
            ": it is made by who relays the database and shares documents, check that some host does both");
    refuse_other(connection, title, wanted, *info);
}

Owned<jsStreamInfo> add_stream(const Connection& connection, const StreamTitle& title, jsStreamConfig config,
                               Copies copies) {
    Owned<jsStreamInfo> found = info_of(connection, title.name);
    if (found != nullptr) {
        refuse_other(connection, title, config, *found);
        if (copies == Copies::raised) raise_copies(connection, *found);
        return found;
    }
    const char* subject = title.subjects.c_str();
    config.Name = title.name.c_str();
    config.Description = title.description.c_str();
    config.Subjects = &subject;
    config.SubjectsLen = 1;
    jsStreamInfo* made = nullptr;
    jsErrCode code{};
    config.Replicas = wanted_replicas;
    natsStatus status = js_AddStream(&made, connection.jet_stream(), &config, nullptr, &code);
    if (code == JSStreamReplicasNotSupportedErr || code == JSClusterNoPeersErr || code == JSInsufficientResourcesErr) {
        config.Replicas = 1;
        code = {};
        status = js_AddStream(&made, connection.jet_stream(), &config, nullptr, &code);
    }
    connection.check(status, "make the stream " + title.name + " of", code);
    return Owned<jsStreamInfo>(made);
}

StreamState make_stream(const Connection& connection, const StreamNames& names, Copies copies) {
    return state_of(
        connection, names,
        *add_stream(connection, {names.stream, "notices of Larder", names.subjects}, notices_config(), copies));
}

std::optional<std::int64_t> time_of(const Connection& connection, const StreamNames& names, std::uint64_t sequence) {
    natsMsg* found = nullptr;
    jsErrCode code{};
    const natsStatus status =
        js_GetMsg(&found, connection.jet_stream(), names.stream.c_str(), sequence, nullptr, &code);
    const Message message(found);
    if (status == NATS_NOT_FOUND || code == JSNoMessageFoundErr) return std::nullopt;
    connection.check(status, "read the stream " + names.stream + " of", code);
    return natsMsg_GetTime(found);
}

}  // namespace larder::nats
