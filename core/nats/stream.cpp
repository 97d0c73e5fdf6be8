#include "core/nats/stream.hpp"

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

std::string token_of(std::string_view database) {
    std::array<char, 17> text{};
    std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(shm::hash_of(database, 0)));
    return text.data();
}

StreamState state_of(const Connection& connection, const StreamNames& names, const jsStreamInfo& info) {
    if (info.Config->SubjectsLen != 1 || names.subjects != info.Config->Subjects[0])
        throw SourceError("the stream " + names.stream + " of the NATS servers " + connection.servers() +
                          " takes other subjects than " + names.subjects + ": delete it, it is made anew");
    StreamState state{names.stream + "/" + std::to_string(info.Created), info.State.FirstSeq, info.State.LastSeq,
                      info.State.LastTime};
    if (info.State.Msgs == 0) state.first = state.last + 1;
    state.copies = info.Config->Replicas;
    for (int i = 0; info.Cluster != nullptr && i < info.Cluster->ReplicasLen; ++i)
        if (const jsPeerInfo& peer = *info.Cluster->Replicas[i]; !peer.Current || peer.Offline)
            state.late_servers.emplace_back(peer.Name == nullptr ? "?" : peer.Name);
    return state;
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
    jsStreamInfo* found = nullptr;
    jsErrCode code{};
    const natsStatus status = js_GetStreamInfo(&found, connection.jet_stream(), names.stream.c_str(), nullptr, &code);
    const Owned<jsStreamInfo> info(found);
    if (status == NATS_NOT_FOUND || code == JSStreamNotFoundErr) return std::nullopt;
    connection.check(status, "read the state of the stream " + names.stream + " of", code);
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

Owned<jsStreamInfo> add_stream(const Connection& connection, const StreamTitle& title, jsStreamConfig config) {
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
    if (code == JSStreamNameExistErr) return nullptr;
    connection.check(status, "make the stream " + title.name + " of", code);
    return Owned<jsStreamInfo>(made);
}

StreamState make_stream(const Connection& connection, const StreamNames& names) {
    if (std::optional<StreamState> found = find_stream(connection, names)) return *found;
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Storage = js_FileStorage;
    config.Retention = js_LimitsPolicy;
    config.Discard = js_DiscardOld;
    config.MaxAge = kept.count();
    const StreamTitle title{names.stream, "notices of Larder", names.subjects};
    if (const Owned<jsStreamInfo> info = add_stream(connection, title, config))
        return state_of(connection, names, *info);
    const std::optional<StreamState> found = find_stream(connection, names);  // another was quicker
    if (!found) throw SourceError("the stream " + names.stream + " is made and deleted at once by others");
    return *found;
}

bool raise_copies(const Connection& connection, const std::string& stream) {
    jsStreamInfo* found = nullptr;
    jsErrCode code{};
    natsStatus status = js_GetStreamInfo(&found, connection.jet_stream(), stream.c_str(), nullptr, &code);
    const Owned<jsStreamInfo> info(found);
    connection.check(status, "read the state of the stream " + stream + " of", code);
    if (info->Config->Replicas >= wanted_replicas) return true;
    if (info->Cluster == nullptr || info->Cluster->Name == nullptr) return false;  // a server by itself
    info->Config->Replicas = wanted_replicas;
    status = js_UpdateStream(nullptr, connection.jet_stream(), info->Config, nullptr, &code);
    if (code != jsErrCode(0)) return false;
    connection.check(status, "change the stream " + stream + " of", code);
    return true;
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
