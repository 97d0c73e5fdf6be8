#include "core/nats/stream_links.hpp"

#include <string>

#include "core/nats/notice_message.hpp"
#include "core/nats/stream.hpp"
#include "core/second_look.hpp"

namespace larder::nats {
namespace {

using shm::Finding;
using shm::Severity;

constexpr std::chrono::milliseconds answer_patience{500};
constexpr int most_waiting = 100;

std::string number(std::uint64_t value) { return std::to_string(value); }

/// As a host asks.
bool somebody_answers(const Connection& connection, const StreamNames& names) {
    const std::string inbox = connection.make_inbox();
    const Subscription answers = connection.subscribe(inbox, most_waiting);
    const std::string question = encode({.kind = NoticeMessage::Kind::ask, .question = 1});
    const bool is_answered = comes_about([&] {
        connection.check(natsConnection_PublishRequest(connection.get(), names.looks.c_str(), inbox.c_str(),
                                                       question.data(), static_cast<int>(question.size())),
                         "write to");
        return connection.next(answers.get(), answer_patience) != nullptr;
    });
    connection.check_permitted();
    return is_answered;
}

void examine_servers(const Connection& connection, const StreamNames& names, std::vector<Finding>& findings) {
    std::string late;
    const auto all_follow = [&] {
        const std::optional<StreamState> state = find_stream(connection, names);
        late.clear();
        for (const std::string& server : state ? state->late_servers : std::vector<std::string>())
            late += (late.empty() ? "" : ", ") + server;
        return late.empty();
    };
    if (!comes_about(all_follow))
        findings.push_back(
            {"stream_servers", Severity::warning,
             "Servers that should have a copy of the stream " + names.stream + " are away or behind: " + late + ".",
             "Bring them back: without most of them nobody is told."});
}

void examine_lag(const Connection& connection, const StreamState& state, const ToldPosition& told,
                 std::vector<Finding>& findings) {
    std::optional<OutboxPosition> position;
    const auto is_known = [&] { return position && position->database.starts_with(state.identity + "@"); };
    const bool follows = comes_about([&] {
        position = told();
        return is_known() && position->seq >= 0 && static_cast<std::uint64_t>(position->seq) >= state.last;
    });
    const std::string host = "This host was told up to message ", stream = number(state.last);
    if (follows)
        return findings.push_back({"stream_position", Severity::info,
                                   host + number(static_cast<std::uint64_t>(position->seq)) + " of the stream " +
                                       state.identity.substr(0, state.identity.find('/')) + ", which was at " + stream +
                                       ".",
                                   "It is as far as the stream is."});
    const std::string what = !position     ? "This host does not say how far it was told"
                             : !is_known() ? "This host was told of another stream than there is now"
                                           : host + number(static_cast<std::uint64_t>(position->seq));
    findings.push_back(
        {"stream_lag", Severity::warning,
         what + ", and the stream of " + connection.servers() + " was at " + stream + " two seconds ago.",
         "Start `larder serve` or `larder listen` where none runs; else see its log, and the network "
         "to the servers."});
}

}  // namespace

void examine_stream(const Connection& connection, std::string_view database, const ToldPosition& told,
                    std::vector<Finding>& findings) {
    const StreamNames names(database);
    const std::optional<StreamState> state = find_stream(connection, names);
    if (!state)
        return findings.push_back(
            {"stream_missing", Severity::error,
             "The NATS servers " + connection.servers() + " have no stream " + names.stream +
                 ": nobody has relayed this database, as these views read it, to them.",
             "Start a host with --relay-db and the same --schema; where one runs, its log says why "
             "it cannot make the stream."});
    examine_servers(connection, names, findings);
    if (state->copies < 2)
        findings.push_back({"stream_single", Severity::info,
                            "The stream " + names.stream + " is kept by one server: nobody is told while it is away.",
                            "With three servers restart the host that relays: the stream is put on all of them."});
    if (!somebody_answers(connection, names))
        findings.push_back({"relay_unanswered", Severity::error,
                            "Nobody who relays answers through the NATS servers " + connection.servers() +
                                ": hosts are degraded until somebody does.",
                            "Start a host with --relay-db where none runs; else see its log."});
    if (told) examine_lag(connection, *state, told, findings);
}

}  // namespace larder::nats
