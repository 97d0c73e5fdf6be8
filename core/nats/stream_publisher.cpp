#include "core/nats/stream_publisher.hpp"

#include <algorithm>
#include <utility>

#include "core/nats/notice_message.hpp"
#include "core/submission_source.hpp"

namespace larder::nats {
namespace {

using Kind = NoticeMessage::Kind;
using std::chrono::milliseconds;

std::string in_one_line(std::string_view text) {
    std::string line(text);
    std::replace(line.begin(), line.end(), '\n', ' ');
    return line;
}

}  // namespace

StreamPublisher::StreamPublisher(ConnectionOptions options, std::string_view database, Log log)
    : options_(with_patience(std::move(options), patience)), names_(database), log_(std::move(log)) {
    connect();
    const StreamState state = make_stream(*connection_, names_, Copies::raised);
    connection_->check_permitted();
    if (state.copies == 1)
        log_(LogLevel::warning, "The stream " + names_.stream + " is kept by one of the NATS servers " +
                                    connection_->servers() + ": nobody is told of changes while that one is away");
}

void StreamPublisher::connect() {
    if (connection_ != nullptr && !connection_->is_closed() && !connection_->is_refused()) return;
    requests_ = nullptr;
    const std::unique_ptr<Connection> last = std::move(connection_);
    if (last != nullptr) last->check_permitted();  // else nobody is answered, and no other relay elected
    connection_ = std::make_unique<Connection>(options_);
    requests_ = connection_->subscribe(names_.looks, max_requests);
}

/// The sequence that it was stored under.
std::uint64_t StreamPublisher::send(const std::string& subject, const std::string& line) {
    connect();
    if (!connection_->is_connected()) connection_->fail(NATS_CONNECTION_DISCONNECTED, "reach");
    if (!is_stream_there_) {
        make_stream(*connection_, names_);
        is_stream_there_ = true;
    }
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.MaxWait = connection_->patience().count();
    options.ExpectStream = names_.stream.c_str();
    jsPubAck* made = nullptr;
    jsErrCode code{};
    const natsStatus status = js_Publish(&made, connection_->jet_stream(), subject.c_str(), line.data(),
                                         static_cast<int>(line.size()), &options, &code);
    const Owned<jsPubAck> ack(made);
    if (status == NATS_NO_RESPONDERS) is_stream_there_ = false;
    connection_->check(status, "publish to the stream " + names_.stream + " of", code);
    return made->Sequence;
}

void StreamPublisher::publish(const std::string& subject, const std::string& line) {
    const std::uint64_t sequence = send(subject, line);
    const bool went_back = sequence <= last_;
    last_ = sequence;
    if (went_back) announce_loss();
}

/// Of what was in the stream, hosts may have read nothing.
void StreamPublisher::announce_loss() {
    identity_.clear();
    log_(LogLevel::warning, "The stream " + names_.stream + " of the NATS servers " + connection_->servers() +
                                " has lost messages: everything is announced");
    last_ = send(names_.notices, encode({.text = "the stream has lost messages"}));
}

void StreamPublisher::changed(std::span<const AssignmentId> ids) {
    for (const std::string& line : encode(Kind::changed, ids)) publish(names_.notices, line);
}

void StreamPublisher::published(std::span<const AssignmentId> ids) {
    for (const std::string& line : encode(Kind::published, ids)) publish(names_.notices, line);
}

void StreamPublisher::everything_changed(std::string_view why) {
    publish(names_.notices, encode({.text = in_one_line(why)}));
}

std::optional<OutboxPosition> StreamPublisher::position() {
    connect();
    checked_at_ = {};  // an answer's sequence is no lower than that of the position that was begun at
    return published_position(*connection_, names_);
}

void StreamPublisher::remember(const OutboxPosition& position) {
    position_ = position;
    is_position_sent_ = false;
    if (Clock::now() - position_sent_at_ >= position_interval) send_position();
}

void StreamPublisher::send_position() {
    publish(names_.positions,
            encode({.kind = Kind::position, .position = position_->seq, .text = position_->database}));
    is_position_sent_ = true;
    position_sent_at_ = Clock::now();
}

void StreamPublisher::look_begins() {
    if (requests_ == nullptr) return;
    std::uint64_t waiting = 0;
    if (natsSubscription_QueuedMsgs(requests_.get(), &waiting) != NATS_OK) return;
    for (; waiting > 0; --waiting) {
        const Message request = connection_->next(requests_.get(), milliseconds(1));
        if (request == nullptr) return;
        const char* const host = natsMsg_GetReply(request.get());
        const std::optional<NoticeMessage> said = decode(data_of(request));
        if (host != nullptr && said && said->kind == Kind::ask && asked_.size() < max_requests)
            asked_.push_back({host, said->question});
    }
}

void StreamPublisher::look_ended(std::uint64_t position) {
    if (position_) {
        const auto age = Clock::now() - position_sent_at_;
        if (is_position_sent_ ? age >= position_refresh : age >= position_interval) send_position();
    }
    if (asked_.empty()) return;
    if (!check_stream()) return;
    NoticeMessage answer{
        .kind = Kind::looked, .sequence = last_, .position = static_cast<std::int64_t>(position), .text = identity_};
    for (const Question& question : std::exchange(asked_, {})) {
        answer.question = question.number;
        connection_->publish(question.host, encode(answer));
    }
}

/// What an earlier relay put into the stream, and whether it is the same stream, and has all that was acknowledged.
/// False: not now; a server that has just become the stream's leader may have to catch up. Hosts wait meanwhile.
bool StreamPublisher::check_stream() {
    connect();
    const std::uint64_t reconnects = connection_->reconnects();
    const Clock::time_point now = Clock::now();
    const bool is_checked = !identity_.empty() && reconnects == checked_reconnects_ && !short_since_;
    if (is_checked && now - checked_at_ < check_interval) return true;
    const StreamState state = make_stream(*connection_, names_);
    const bool is_other = !identity_.empty() && state.identity != identity_;
    if (!is_other && state.last < last_) {
        if (!short_since_) short_since_ = now;
        if (now - *short_since_ < doubt) return false;
    }
    if (is_other || state.last < last_) announce_loss();
    short_since_.reset();
    identity_ = state.identity;
    last_ = std::max(last_, state.last);
    checked_at_ = now;
    checked_reconnects_ = reconnects;
    return true;
}

}  // namespace larder::nats
