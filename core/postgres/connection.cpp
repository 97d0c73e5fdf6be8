#include "core/postgres/connection.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>
#include <vector>

#include "core/submission_source.hpp"

namespace larder::postgres {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds unanswered{3'500};  // by then tcp_user_timeout has given up a server that does not answer

/// Of a password with an @ or a / libpq takes parts for the rest, and shows them in its errors.
void refuse_unescaped(const std::string& url) {
    const std::size_t scheme = url.find("://");
    if (scheme == std::string::npos) return;
    const std::string_view rest = std::string_view(url).substr(scheme + 3);
    const std::size_t end_of_user = rest.find('@');
    if (end_of_user != std::string_view::npos &&
        (rest.find('/') < end_of_user || rest.find('@', end_of_user + 1) != std::string_view::npos))
        throw SourceError(
            "the database's URL has an @ or a / in its password, or an @ behind it: write %40 and %2F in their place");
}

/// Of the URL; the password is left out. `others`: how many servers it names besides the first.
std::string server_of(const std::string& url, int& others) {
    refuse_unescaped(url);
    char* message = nullptr;
    const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(PQconninfoParse(url.c_str(), &message),
                                                                                 PQconninfoFree);
    if (options == nullptr) {
        PQfreemem(message);  // it may show the password
        throw SourceError("the database's URL cannot be read: write postgres://USER@HOST:PORT/DATABASE");
    }
    std::string user, host, port, database;
    for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
        if (option->val == nullptr) continue;
        const std::string_view keyword = option->keyword;
        if (keyword == "user") user = option->val;
        if (keyword == "host") host = option->val;
        if (keyword == "port") port = option->val;
        if (keyword == "dbname") database = option->val;
    }
    if (port.find_first_not_of("0123456789,") != std::string::npos)  // a password whose @ lacks
        throw SourceError(
            "the database's URL has a port that is no number: write "
            "postgres://USER:PASSWORD@HOST:PORT/DATABASE");
    others = static_cast<int>(std::count(host.begin(), host.end(), ','));
    return (user.empty() ? "" : user + "@") + host + (port.empty() ? "" : ":" + port) + "/" + database;
}

std::string one_line(const char* message) {
    std::string text = message == nullptr ? "" : message;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    for (char& c : text)
        if (c == '\n' || c == '\t') c = ' ';
    return text;
}

std::string remedy_for(std::string_view sqlstate, std::string_view message) {
    if (sqlstate == "42P01" || sqlstate == "3F000" || sqlstate == "42703")
        return "make its tables with `larder import`, grant the role larder_reader "
               "(`larder triggers --install` gives it its rights again), or check names: SCHEMA.TABLE, and the views "
               "of --schema";
    if (sqlstate == "42501")
        return "use the owner's role where tables are made; else grant larder_reader (and SELECT on what the views of "
               "--schema read), and larder_relay to who relays (`larder triggers --install` gives them their rights "
               "again)";
    if (sqlstate == "25006" || message.find("session is read-only") != std::string_view::npos)
        return "it is a replica: name the server that writes";
    if (sqlstate == "57014" || sqlstate == "55P03") return "somebody keeps a lock for long; try again when he is done";
    if (sqlstate.starts_with("22")) return "correct that value, or the view of --schema that reads it";
    if (sqlstate.starts_with("42")) return "check names (SCHEMA.TABLE, of a table), and the views of --schema";
    return "check that the server runs, and the URL";
}

template <class Number>
Number number_of(std::string_view text) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size())
        throw SourceError("the database gave `" + std::string(text.substr(0, 40)) +
                          "` where a whole number belongs: check the views of --schema");
    return number;
}

void say_nothing(void*, const PGresult*) {}

}  // namespace

std::string_view Rows::text(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column), static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}

std::optional<std::string> Rows::optional_text(int row, int column) const {
    return is_null(row, column) ? std::nullopt : std::optional(std::string(text(row, column)));
}

std::int64_t Rows::integer(int row, int column) const { return number_of<std::int64_t>(text(row, column)); }

std::optional<std::int64_t> Rows::optional_integer(int row, int column) const {
    return is_null(row, column) ? std::nullopt : std::optional(integer(row, column));
}

Connection::Connection(const ConnectionOptions& options)
    : patience_(options.patience), server_(server_of(options.url, others_)) {
    try {
        connect(options);
    } catch (...) {
        PQfinish(connection_);
        throw;
    }
}

Connection::~Connection() { PQfinish(connection_); }

/// What the URL says goes before what stands here. A peer that is silent for some seconds is given up, on both sides.
void Connection::connect(const ConnectionOptions& options) {
    const std::vector<std::pair<const char*, const char*>> parameters{
        {"application_name", options.name},
        {"client_encoding", "UTF8"},
        {"keepalives_idle", "1"},
        {"keepalives_interval", "1"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", "3000"},
        {"target_session_attrs", options.must_write ? "read-write" : "any"},
        {"dbname", options.url.c_str()},
    };
    std::vector<const char*> keywords, values;
    for (const auto& [keyword, value] : parameters) {
        keywords.push_back(keyword);
        values.push_back(value);
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    connection_ = PQconnectStartParams(keywords.data(), values.data(), 1);
    if (connection_ == nullptr) throw std::bad_alloc();
    PQsetNoticeReceiver(connection_, say_nothing, nullptr);
    const Deadline until = deadline() + others_ * unanswered;
    for (PostgresPollingStatusType status = PGRES_POLLING_WRITING; status != PGRES_POLLING_OK;
         status = PQconnectPoll(connection_)) {
        if (status == PGRES_POLLING_FAILED || PQstatus(connection_) == CONNECTION_BAD) fail("connect to");
        if (!wait(status == PGRES_POLLING_READING ? POLLIN : POLLOUT, until)) give_up();
    }
    PQsetnonblocking(connection_, 1);
    run("SET search_path = larder; SET tcp_keepalives_idle = 1; SET tcp_keepalives_interval = 1; "
        "SET tcp_keepalives_count = 3; SET tcp_user_timeout = 3000; SET statement_timeout = " +
        std::to_string(patience_.count()));
}

bool Connection::is_open() const { return PQstatus(connection_) == CONNECTION_OK; }

bool Connection::wait(short events, Deadline until) {
    while (true) {
        const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now());
        pollfd fd{PQsocket(connection_), events, 0};
        const int ready = ::poll(&fd, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
        if (ready > 0) return true;
        if (ready == 0 || errno != EINTR) return false;
    }
}

void Connection::fail(const std::string& what, const PGresult* result) {
    const char* const state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string message = one_line(PQerrorMessage(connection_));
    const std::string why = "cannot " + what + " the database " + server_ + " (" + message +
                            "): " + remedy_for(state == nullptr ? "" : state, message);
    const bool took_too_long = state != nullptr && std::string_view(state) == "57014";
    if (!is_open() || took_too_long) throw SourceUnavailable(why);
    throw SourceError(why);
}

/// An answer that may come later would be taken for that to another question.
void Connection::give_up() {
    PQfinish(std::exchange(connection_, nullptr));
    throw SourceUnavailable("the database " + server_ + " does not answer within " + std::to_string(patience_.count()) +
                            " ms: check that the server runs and can be reached");
}

void Connection::flush() {
    const Deadline until = deadline();
    while (true) {
        const int left = PQflush(connection_);
        if (left == 0) return;
        if (left < 0) fail("write to");
        if (!wait(POLLIN | POLLOUT, until)) give_up();
        if (PQconsumeInput(connection_) == 0) fail("read");
    }
}

/// The last result; throws for the first that is an error.
Rows Connection::finish() {
    flush();
    const Deadline until = deadline();
    std::unique_ptr<PGresult, void (*)(PGresult*)> last(nullptr, PQclear), error(nullptr, PQclear);
    while (true) {
        while (PQisBusy(connection_) != 0) {
            if (!wait(POLLIN, until)) give_up();
            if (PQconsumeInput(connection_) == 0) fail("read");
        }
        PGresult* const next = PQgetResult(connection_);
        if (next == nullptr) break;
        const ExecStatusType status = PQresultStatus(next);
        const bool is_good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_COPY_IN;
        (is_good || error != nullptr ? last : error).reset(next);
        if (status == PGRES_COPY_IN) break;  // there is no more before the copy's end
    }
    if (error != nullptr) fail("use", error.get());
    if (last == nullptr) fail("use");
    return Rows(last.release());
}

Rows Connection::run(const std::string& sql) {
    if (!is_open() || PQsendQuery(connection_, sql.c_str()) == 0) fail("use");
    return finish();
}

void Connection::prepare(const char* name, const std::string& sql) {
    if (!is_open() || PQsendPrepare(connection_, name, sql.c_str(), 0, nullptr) == 0) fail("use");
    finish();
}

Rows Connection::ask(const char* prepared, std::initializer_list<Value> values) {
    std::vector<const char*> texts;
    for (const Value& value : values) texts.push_back(value.bytes());
    if (!is_open() || PQsendQueryPrepared(connection_, prepared, static_cast<int>(texts.size()), texts.data(), nullptr,
                                          nullptr, 0) == 0)
        fail("use");
    return finish();
}

void Connection::put_copy(std::string_view lines) {
    const Deadline until = deadline();
    while (true) {
        const int sent = PQputCopyData(connection_, lines.data(), static_cast<int>(lines.size()));
        if (sent == 1) return;
        if (sent < 0) fail("write to");
        if (!wait(POLLOUT, until)) give_up();
    }
}

void Connection::end_copy() {
    while (PQputCopyEnd(connection_, nullptr) == 0) flush();
    finish();
}

bool Connection::take_notices() {
    if (PQconsumeInput(connection_) == 0) fail("read");
    bool came = false;
    while (PGnotify* const notice = PQnotifies(connection_)) {
        came = true;
        PQfreemem(notice);
    }
    return came;
}

bool Connection::wait_for_notice(milliseconds limit) {
    const Deadline until = steady_clock::now() + limit;
    do {
        if (take_notices()) return true;
    } while (wait(POLLIN, until));
    return take_notices();
}

}  // namespace larder::postgres
