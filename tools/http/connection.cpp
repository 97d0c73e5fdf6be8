#include "tools/http/connection.hpp"

#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <string>
#include <utility>

#include "tools/http/http_date.hpp"

namespace larder::tools {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

using RequestParser = http::request_parser<http::buffer_body>;
using Response = http::response<http::span_body<const char>>;

constexpr std::size_t read_ahead_bytes = 4 * 1024;
constexpr std::size_t max_discarded_bytes = 256 * 1024;
constexpr unsigned status_ok = 200;
constexpr std::chrono::milliseconds event_interval{100};  // in which a stream is asked for its next event

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

class HttpConnection final : public Connection, public std::enable_shared_from_this<HttpConnection> {
public:
    HttpConnection(asio::io_context& io, int socket_fd, ConnectionHost& host, const ConnectionLimits& limits)
        : socket_(io, asio::ip::tcp::v4(), socket_fd),  // the family is not asked for again after the accept
          host_(host),
          limits_(limits),
          buffer_(limits.header_bytes + 2 * read_ahead_bytes) {}

    void start() override;
    void refuse() override;
    void tick(Clock::time_point now) override;
    bool is_idle() const override { return phase_ == Phase::idle; }
    bool is_unused() const override { return is_idle() || (phase_ == Phase::reading && awaits_first_byte_); }
    Clock::time_point deadline() const override { return deadline_; }
    void close() override;

private:
    enum class Phase { idle, reading, answering, writing, streaming, lingering, closed };

    void enter(Phase phase, std::chrono::milliseconds time) {
        phase_ = phase;
        deadline_ = Clock::now() + time;
    }
    void await_request();
    void read_header();
    void on_header(error_code error, std::size_t size);
    void on_read_error(error_code error);
    bool has_one_host() const;
    bool has_clear_length() const;
    bool announces_too_much() const;
    RequestHead head() const;
    std::string client() const;
    bool asks_before_its_body() const { return parser_->get().count(http::field::expect) != 0; }
    void invite_body();
    void read_body();
    void on_body(error_code error);
    void execute(const Call& call, void (HttpConnection::*then)(Answer));
    void on_checked(Answer answer);
    void on_answer(Answer answer);
    void report_refusal(const Answer& answer);
    void report_rejection(const std::optional<Caller>& caller, unsigned status, std::string_view reason);
    void send_fault(Fault fault, std::string_view message);
    void send(Answer answer, bool keep_alive);
    void fill_response(bool keep_alive);
    void on_sent(error_code error, bool keep_alive);
    void begin_stream();
    void on_event_sent(error_code error);
    void send_next_event();
    void linger();
    void discard(std::size_t so_far);

    // Every handler keeps the connection alive until it ran.
    template <class Handler>
    auto alive(Handler handler) {
        return [self = shared_from_this(), handler = std::move(handler)](error_code error, auto... rest) mutable {
            if (self->phase_ != Phase::closed) handler(error, rest...);
        };
    }

    asio::ip::tcp::socket socket_;
    ConnectionHost& host_;
    const ConnectionLimits limits_;
    boost::beast::flat_buffer buffer_;
    std::optional<RequestParser> parser_;
    std::optional<Response> response_;
    std::optional<Call> call_;
    Answer answer_;                             // holds its pin until the last byte is sent
    std::shared_ptr<const std::string> event_;  // that is being sent
    std::array<char, read_ahead_bytes> scratch_{};
    std::size_t body_bytes_ = 0;
    std::uint64_t request_number_ = 0;
    Phase phase_ = Phase::reading;
    Clock::time_point deadline_;
    bool awaits_first_byte_ = true;
    bool timed_out_ = false;
    bool is_head_ = false;
};

void HttpConnection::start() {
    error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    await_request();
}

void HttpConnection::refuse() { send_fault(Fault::unavailable, "Too many connections; try again in a moment."); }

void HttpConnection::tick(Clock::time_point now) {
    if (now < deadline_) return;
    switch (phase_) {
    case Phase::reading:
        timed_out_ = true;
        deadline_ = now + limits_.linger_time;
        socket_.cancel();
        break;
    case Phase::answering:
        ++request_number_;  // a late reply is nobody's
        send_fault(Fault::unavailable, "The answer takes too long; try again in a moment.");
        break;
    case Phase::streaming:
        send_next_event();
        break;
    default:
        close();
    }
}

void HttpConnection::close() {
    if (phase_ == Phase::closed) return;
    phase_ = Phase::closed;
    error_code ignored;
    socket_.close(ignored);
    host_.on_closed(*this);
}

void HttpConnection::await_request() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
    parser_->body_limit(boost::none);  // counted in on_body: refusals by the head come before it
    body_bytes_ = 0;
    timed_out_ = false;
    is_head_ = false;
    call_.reset();
    ++request_number_;
    if (buffer_.size() != 0) return read_header();
    const bool first = request_number_ == 1;
    awaits_first_byte_ = true;
    enter(first ? Phase::reading : Phase::idle, first ? limits_.request_time : limits_.idle_time);
    socket_.async_read_some(buffer_.prepare(read_ahead_bytes), alive([this](error_code error, std::size_t size) {
                                if (error) return on_read_error(error);
                                buffer_.commit(size);
                                read_header();
                            }));
}

void HttpConnection::read_header() {
    awaits_first_byte_ = false;
    enter(Phase::reading, limits_.request_time);
    http::async_read_header(socket_, buffer_, *parser_,
                            alive([this](error_code error, std::size_t size) { on_header(error, size); }));
}

void HttpConnection::on_read_error(error_code error) {
    if (timed_out_) return send_fault(Fault::timeout, "The request did not arrive in time.");
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
        return send_fault(Fault::header_too_large, "The request's header is above 8 KiB.");
    const bool malformed = error.category() == make_error_code(http::error::bad_target).category() &&
                           error != http::error::end_of_stream && error != http::error::partial_message;
    if (malformed) return send_fault(Fault::bad_request, "This is not an HTTP/1.1 request.");
    close();
}

bool HttpConnection::has_one_host() const {
    return parser_->get().version() < 11 || parser_->get().count(http::field::host) == 1;
}

/// A coding that is not understood here may hide where the request ends (RFC 9112, 6.3).
bool HttpConnection::has_clear_length() const {
    return parser_->get().count(http::field::transfer_encoding) == 0 || parser_->chunked();
}

bool HttpConnection::announces_too_much() const { return parser_->content_length().value_or(0) > limits_.body_bytes; }

RequestHead HttpConnection::head() const {
    const auto& request = parser_->get();
    RequestHead head{.method = view(request.method_string()), .target = view(request.target()), .authorization = {}};
    const auto value = [&request](http::field name) {
        const auto field = request.find(name);
        return field == request.end() ? std::nullopt : std::optional(view(field->value()));
    };
    head.authorization = value(http::field::authorization);
    head.origin = value(http::field::origin);
    head.host = value(http::field::host).value_or(std::string_view());
    return head;
}

std::string HttpConnection::client() const {
    error_code error;
    const auto endpoint = socket_.remote_endpoint(error);
    return error ? std::string("somebody who has gone") : endpoint.address().to_string();
}

void HttpConnection::on_header(error_code error, std::size_t size) {
    if (error) return on_read_error(error);
    if (size > limits_.header_bytes) return on_read_error(http::error::header_limit);  // the parser counts pieces
    is_head_ = parser_->get().method() == http::verb::head;
    if (!has_one_host()) return send_fault(Fault::bad_request, "A request needs exactly one Host header.");
    if (!has_clear_length()) return send_fault(Fault::bad_request, "No Transfer-Encoding but chunked is understood.");
    Decision decision = host_.decide(head());
    if (auto* const rejection = std::get_if<Rejection>(&decision)) {
        if (!rejection->reason.empty())
            report_rejection(rejection->caller, rejection->answer.status, rejection->reason);
        return send(std::move(rejection->answer), parser_->is_done() && parser_->keep_alive());
    }
    call_ = std::move(std::get<Call>(decision));
    const bool wants_body = takes_body(call_->endpoint);
    if (wants_body) call_->client = client();
    // Who asks whether to send a body that nobody wants is answered at once, and need not.
    if (parser_->is_done() || (asks_before_its_body() && !wants_body && !announces_too_much()))
        return execute(*call_, &HttpConnection::on_answer);
    Call check = *call_;
    check.check_only = true;
    execute(check, &HttpConnection::on_checked);
}

void HttpConnection::on_checked(Answer answer) {
    report_refusal(answer);
    if (answer.status != status_ok) return send(std::move(answer), false);
    if (announces_too_much()) return send_fault(Fault::too_large, "The request's body is above 64 KiB.");
    enter(Phase::reading, limits_.request_time);
    if (asks_before_its_body() && takes_body(call_->endpoint)) return invite_body();
    read_body();
}

void HttpConnection::invite_body() {
    static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(socket_, asio::buffer(go_on), alive([this](error_code error, std::size_t) {
                          if (error) return close();
                          read_body();
                      }));
}

void HttpConnection::read_body() {
    parser_->get().body().data = scratch_.data();
    parser_->get().body().size = scratch_.size();
    http::async_read(socket_, buffer_, *parser_, alive([this](error_code error, std::size_t) { on_body(error); }));
}

void HttpConnection::on_body(error_code error) {
    if (error && error != http::error::need_buffer) return on_read_error(error);
    const std::size_t size = scratch_.size() - parser_->get().body().size;
    body_bytes_ += size;
    if (body_bytes_ > limits_.body_bytes) return send_fault(Fault::too_large, "The request's body is above 64 KiB.");
    if (takes_body(call_->endpoint)) call_->body.append(scratch_.data(), size);
    if (parser_->is_done()) return execute(*call_, &HttpConnection::on_answer);
    read_body();
}

void HttpConnection::execute(const Call& call, void (HttpConnection::*then)(Answer)) {
    enter(Phase::answering, limits_.answer_time);
    host_.execute(call, [self = shared_from_this(), number = request_number_, then](Answer answer) {
        if (self->phase_ != Phase::answering || self->request_number_ != number) return;
        (*self.*then)(std::move(answer));
    });
}

void HttpConnection::on_answer(Answer answer) {
    report_refusal(answer);
    send(std::move(answer), parser_->is_done() && parser_->keep_alive());
}

void HttpConnection::report_refusal(const Answer& answer) {
    if (!answer.refusal.empty()) report_rejection(call_->caller, answer.status, answer.refusal);
}

void HttpConnection::report_rejection(const std::optional<Caller>& caller, unsigned status, std::string_view reason) {
    const RequestHead request = head();
    host_.on_rejected(
        {request.method, request.target.substr(0, request.target.find('?')), client(), caller, status, reason});
}

void HttpConnection::send_fault(Fault fault, std::string_view message) { send(error_answer(fault, message), false); }

void HttpConnection::send(Answer answer, bool keep_alive) {
    keep_alive = keep_alive && !host_.is_draining();
    answer_ = std::move(answer);
    if (answer_.events != nullptr && !is_head_) return begin_stream();
    fill_response(keep_alive);
    enter(Phase::writing, limits_.write_time);
    http::async_write(socket_, *response_,
                      alive([this, keep_alive](error_code error, std::size_t) { on_sent(error, keep_alive); }));
}

void HttpConnection::fill_response(bool keep_alive) {
    const std::string_view body = answer_.body();
    response_.emplace();
    response_->version(parser_ && parser_->got_some() && parser_->is_header_done() ? parser_->get().version() : 11);
    response_->result(answer_.status);
    response_->set(http::field::date, http_date());
    for (const auto& [name, value] : answer_.headers) response_->set({name.data(), name.size()}, value);
    response_->set("X-Worker", std::to_string(::getpid()));
    response_->set(http::field::cache_control, "no-store");
    if (!body.empty() || answer_.events != nullptr)
        response_->set(http::field::content_type, {answer_.content_type.data(), answer_.content_type.size()});
    if (answer_.events == nullptr) response_->content_length(body.size());
    response_->keep_alive(keep_alive);
    if (!is_head_) response_->body() = {body.data(), body.size()};
}

void HttpConnection::on_sent(error_code error, bool keep_alive) {
    response_.reset();
    answer_ = Answer();
    if (error && error != http::error::end_of_stream) return close();
    if (keep_alive) return await_request();
    linger();
}

// Its length is not known before: it ends with the connection.
void HttpConnection::begin_stream() {
    fill_response(false);
    enter(Phase::writing, limits_.write_time);
    http::async_write(socket_, *response_, alive([this](error_code error, std::size_t) {
                          response_.reset();
                          on_event_sent(error);
                      }));
}

void HttpConnection::on_event_sent(error_code error) {
    event_.reset();
    if (error && error != http::error::end_of_stream) return close();
    enter(Phase::streaming, event_interval);
}

// Who may ask no more, because his token has run out, is told no more. A reader so slow that an event cannot be written
// in time is dropped as any other, by the deadline.
void HttpConnection::send_next_event() {
    event_ = answer_.events->next();
    const bool is_refused = event_ != nullptr && std::holds_alternative<Rejection>(host_.decide(head()));
    if (host_.is_draining() || is_refused) {
        answer_ = Answer();
        return linger();
    }
    if (event_ == nullptr) return enter(Phase::streaming, event_interval);
    enter(Phase::writing, limits_.write_time);
    asio::async_write(socket_, asio::buffer(*event_),
                      alive([this](error_code error, std::size_t) { on_event_sent(error); }));
}

// Closing with unread bytes would reset the connection, and the client might never see its answer.
void HttpConnection::linger() {
    enter(Phase::lingering, limits_.linger_time);
    error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    discard(0);
}

void HttpConnection::discard(std::size_t so_far) {
    socket_.async_read_some(asio::buffer(scratch_), alive([this, so_far](error_code error, std::size_t size) {
                                if (error || so_far + size > max_discarded_bytes) return close();
                                discard(so_far + size);
                            }));
}

}  // namespace

std::shared_ptr<Connection> make_connection(asio::io_context& io, int socket_fd, ConnectionHost& host,
                                            const ConnectionLimits& limits) {
    return std::make_shared<HttpConnection>(io, socket_fd, host, limits);
}

}  // namespace larder::tools
