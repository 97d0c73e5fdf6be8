#include "core/nats/stream_relay.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <thread>
#include <tuple>
#include <utility>

#include "core/nats/notice_message.hpp"
#include "core/repeated_error.hpp"
#include "core/submission_source.hpp"

namespace larder::nats {
namespace {

using Kind = NoticeMessage::Kind;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr milliseconds retry_interval{200};
constexpr milliseconds stop_interval{50};  // how long a stop may go unnoticed
constexpr milliseconds stream_heartbeat{250};
constexpr std::chrono::seconds abandoned{5};  // the stream forgets a listener that is gone for so long
constexpr std::chrono::seconds fresh_enough{2};
constexpr int max_of_step = 256;

std::string_view header_of(const Message& message, const char* name) {
    const char* value = nullptr;
    return natsMsgHeader_Get(message.get(), name, &value) == NATS_OK && value != nullptr ? value : std::string_view();
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

/// `IDENTITY@TIME`.
std::pair<std::string, std::int64_t> read_place(const std::string& database) {
    const std::size_t at = database.rfind('@');
    std::int64_t time_ns = 0;
    if (at == std::string::npos || !read_number(std::string_view(database).substr(at + 1), time_ns)) return {};
    return {database.substr(0, at), time_ns};
}

}  // namespace

/// Which message of the stream, and which that was sent to this listener: of the subject to which it would be
/// acknowledged, `$JS.ACK.[DOMAIN.ACCOUNT.]STREAM.CONSUMER.DELIVERED.SEQUENCE.SENT.TIME.PENDING[.RANDOM]`.
struct StreamRelay::Delivery {
    std::uint64_t sequence = 0, sent = 0;
    std::int64_t time_ns = 0;

    static std::optional<Delivery> of(std::string_view subject) {
        std::array<std::string_view, 12> words;
        std::size_t count = 0;
        for (std::size_t at = 0; at <= subject.size() && count < words.size(); ++count) {
            const std::size_t end = std::min(subject.find('.', at), subject.size());
            words[count] = subject.substr(at, end - at);
            at = end + 1;
        }
        if (count < 9 || words[0] != "$JS" || words[1] != "ACK") return std::nullopt;
        const std::size_t first = count == 9 ? 5 : 7;
        Delivery delivery;
        const bool is_whole = read_number(words[first], delivery.sequence) &&
                              read_number(words[first + 1], delivery.sent) &&
                              read_number(words[first + 2], delivery.time_ns);
        return is_whole ? std::optional(delivery) : std::nullopt;
    }
};

StreamRelay::StreamRelay(ConnectionOptions options, std::string_view database, NoticeSink& sink, Log log,
                         milliseconds heartbeat)
    : options_(with_patience(std::move(options), patience)),
      names_(database),
      sink_(sink),
      log_(std::move(log)),
      heartbeat_(heartbeat) {}

StreamRelay::~StreamRelay() = default;

/// The inbox is another each time: what is still sent to the one before is not taken for an answer.
void StreamRelay::subscribe() {
    incoming_ = nullptr;
    if (connection_ == nullptr) connection_ = std::make_unique<Connection>(options_);
    const std::optional<StreamState> state = find_stream(*connection_, names_);
    if (!state)
        throw SourceError("there is no stream " + names_.stream + " at the NATS servers " + connection_->servers() +
                          ": it is made by who relays the database, check that some host does");
    adopt(*state);
    inbox_ = connection_->make_inbox();
    Subscription incoming = connection_->subscribe(inbox_, max_waiting);
    consume();
    incoming_ = std::move(incoming);
    is_behind_ = false;
    end_round();
    consumed_ = 0;
    subscribed_from_ = applied_;
    heard_at_ = Clock::now();
}

void StreamRelay::adopt(const StreamState& state) {
    if (identity_.empty()) {
        if (const std::optional<OutboxPosition> known = sink_.position(); known && known->seq >= 0) {
            std::tie(identity_, applied_time_ns_) = read_place(known->database);
            applied_ = static_cast<std::uint64_t>(known->seq);
        }
    }
    const std::string why = why_lost(state);
    if (why.empty()) return;
    sink_.everything_changed(why);
    short_since_.reset();
    identity_ = state.identity;
    applied_ = state.last;
    applied_time_ns_ = state.last_time_ns;
    remember();
}

/// "": this host may go on.
std::string StreamRelay::why_lost(const StreamState& state) {
    if (identity_.empty()) return "what this host was told of the stream so far is not known";
    if (identity_ != state.identity) return "the stream was made anew";
    const bool is_short = applied_ > state.last;
    if (!is_short) short_since_.reset();
    if (is_short && !short_since_) short_since_ = Clock::now();
    if (is_short && Clock::now() - *short_since_ < doubt)  // a new leader of the stream may have to catch up
        throw SourceError("the stream " + names_.stream + " ends before what this host was told");
    if (is_short) return "the stream has lost messages that this host was told";
    if (applied_ + 1 < state.first) return "messages left the stream before this host was told";
    if (applied_ == 0) return {};
    const std::optional<std::int64_t> time_ns = time_of(*connection_, names_, applied_);
    if (!time_ns) return "the last message that this host was told has left the stream";
    return *time_ns == applied_time_ns_ ? "" : "the stream has lost messages, and given their numbers again";
}

/// An ephemeral consumer, which pushes.
void StreamRelay::consume() {
    jsConsumerConfig config;
    jsConsumerConfig_Init(&config);
    config.DeliverSubject = inbox_.c_str();
    config.DeliverPolicy = js_DeliverByStartSequence;
    config.OptStartSeq = applied_ + 1;
    config.AckPolicy = js_AckNone;
    config.MaxDeliver = 1;
    config.FlowControl = true;
    config.Heartbeat = nanoseconds(stream_heartbeat).count();
    config.InactiveThreshold = nanoseconds(abandoned).count();
    config.MemoryStorage = true;
    jsConsumerInfo* made = nullptr;
    jsErrCode code{};
    const natsStatus status =
        js_AddConsumer(&made, connection_->jet_stream(), names_.stream.c_str(), &config, nullptr, &code);
    const Owned<jsConsumerInfo> info(made);
    connection_->check(status, "follow the stream " + names_.stream + " of", code);
}

int StreamRelay::poll() {
    try {
        return step(milliseconds(1));
    } catch (...) {
        drop();
        throw;
    }
}

/// The next step subscribes anew.
void StreamRelay::drop() {
    incoming_ = nullptr;
    is_behind_ = false;
    if (connection_ != nullptr && (connection_->is_closed() || connection_->is_refused())) connection_ = nullptr;
}

int StreamRelay::step(milliseconds wait) {
    if (is_behind_ && !connection_->is_connected()) connection_->fail(NATS_CONNECTION_DISCONNECTED, "reach");
    if (is_behind_ && applied_ == subscribed_from_)
        throw SourceError("the stream " + names_.stream + " of the NATS servers " + connection_->servers() +
                          " sends nothing that can be followed");
    if (incoming_ == nullptr || is_behind_) subscribe();
    ask();
    const std::uint64_t before = applied_;
    int taken = 0;
    std::uint64_t waiting = 1;
    for (; taken < max_of_step && waiting > 0 && !is_behind_; ++taken) {
        const Message message = connection_->next(incoming_.get(), taken == 0 ? wait : milliseconds(1));
        if (message == nullptr) break;
        take(message);
        try_to_end_round();
        if (natsSubscription_QueuedMsgs(incoming_.get(), &waiting) != NATS_OK) break;
    }
    if (taken == 0 && Clock::now() - heard_at_ > silence) is_behind_ = true;
    if (applied_ != before) remember();
    return static_cast<int>(applied_ - before);
}

/// The stream's messages come under the subjects that they were stored with.
void StreamRelay::take(const Message& message) {
    const std::string_view status = header_of(message, "Status");
    const bool is_of_stream = natsMsg_GetSubject(message.get()) != inbox_;
    if (!is_of_stream && status.empty()) return take_answer(data_of(message));
    heard_at_ = Clock::now();
    if (!is_of_stream) return take_status(message, status);
    const char* const reply = natsMsg_GetReply(message.get());
    const std::optional<Delivery> delivery = Delivery::of(reply == nullptr ? "" : reply);
    if (!delivery || delivery->sent != consumed_ + 1)
        is_behind_ = true;
    else
        apply(*delivery, data_of(message));
}

/// The stream lives, or waits for us to say that we have taken what it sent before.
void StreamRelay::take_status(const Message& message, std::string_view status) {
    if (status != "100") {
        is_behind_ = true;
        return;
    }
    if (const char* const reply = natsMsg_GetReply(message.get()); reply != nullptr && *reply != '\0')
        connection_->publish(reply, "");
    if (const std::string_view stalled = header_of(message, "Nats-Consumer-Stalled"); !stalled.empty())
        connection_->publish(std::string(stalled), "");
    std::uint64_t sent = 0;
    if (read_number(header_of(message, "Nats-Last-Consumer"), sent) && sent != consumed_) is_behind_ = true;
}

void StreamRelay::apply(const Delivery& delivery, std::string_view data) {
    consumed_ = delivery.sent;
    if (delivery.sequence <= applied_) return;
    if (delivery.sequence != applied_ + 1)
        sink_.everything_changed("messages left the stream before this host was told");
    sink_.arrived(place(delivery.sequence, delivery.time_ns));
    const std::optional<NoticeMessage> said = decode(data);
    if (!said)
        sink_.everything_changed("the stream has a message that this version cannot read");
    else if (said->kind == Kind::changed)
        sink_.changed(said->ids);
    else if (said->kind == Kind::published)
        sink_.published(said->ids);
    else if (said->kind == Kind::everything)
        sink_.everything_changed(said->text);
    applied_ = delivery.sequence;
    applied_time_ns_ = delivery.time_ns;
    sink_.applied(applied_);  // before the round that it may end is: see AssignmentNotices
}

void StreamRelay::ask() {
    const Clock::time_point now = Clock::now();
    if (is_asking_ ? now - asked_at_ < answer_patience : now - asked_at_ < heartbeat_) return;
    connection_->check_permitted();
    ++round_;
    target_.reset();
    asked_at_ = now;
    is_asking_ = true;
    sink_.look_begins();
    const std::string question = encode({.kind = Kind::ask, .question = round_});
    connection_->check(natsConnection_PublishRequest(connection_->get(), names_.looks.c_str(), inbox_.c_str(),
                                                     question.data(), static_cast<int>(question.size())),
                       "write to");
}

/// The next one comes with the next heartbeat.
void StreamRelay::end_round() {
    target_.reset();
    is_asking_ = false;
}

void StreamRelay::take_answer(std::string_view data) {
    const std::optional<NoticeMessage> said = decode(data);
    if (!said || said->kind != Kind::looked || said->text != identity_) return;
    if (!is_asking_ || said->question != round_ || target_) return;
    target_ = said->sequence;
    target_position_ = static_cast<std::uint64_t>(said->position);
}

void StreamRelay::try_to_end_round() {
    if (!target_ || applied_ < *target_) return;
    end_round();
    sink_.look_ended(target_position_);
    looked_at_.store(asked_at_.time_since_epoch().count(), std::memory_order_release);
}

void StreamRelay::remember() {
    if (!identity_.empty()) sink_.remember(place(applied_, applied_time_ns_));
}

OutboxPosition StreamRelay::place(std::uint64_t sequence, std::int64_t time_ns) const {
    return {static_cast<std::int64_t>(sequence), identity_ + "@" + std::to_string(time_ns)};
}

bool StreamRelay::caught_up() const {
    const Clock::time_point looked_at{Clock::duration(looked_at_.load(std::memory_order_acquire))};
    return Clock::now() - looked_at < fresh_enough;
}

void StreamRelay::run(std::stop_token stop) {
    RepeatedError repeated;
    while (!stop.stop_requested()) {
        try {
            step(stop_interval);
            const Clock::time_point looked_at{Clock::duration(looked_at_.load(std::memory_order_relaxed))};
            if (repeated.is_over_at(looked_at)) log_(LogLevel::info, "Stream relay: works again");
        } catch (const std::exception& error) {
            drop();
            if (repeated.is_news(error.what())) log_(LogLevel::error, std::string("Stream relay: ") + error.what());
            std::this_thread::sleep_for(retry_interval);
        }
    }
}

}  // namespace larder::nats
