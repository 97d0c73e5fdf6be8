// Connection: one connection to PostgreSQL, which never waits for ever.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace larder::postgres {

/// What a statement returned, as text.
class Rows {
public:
    explicit Rows(PGresult* result) : result_(result) {}

    int count() const { return PQntuples(result_.get()); }
    bool is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
    /// Empty where it is null. Valid as long as the rows.
    std::string_view text(int row, int column) const;
    std::optional<std::string> optional_text(int row, int column) const;
    /// Throws SourceError where it is none.
    std::int64_t integer(int row, int column) const;
    std::optional<std::int64_t> optional_integer(int row, int column) const;
    bool flag(int row, int column) const { return text(row, column) == "t"; }

private:
    struct Clear {
        void operator()(PGresult* result) const { PQclear(result); }
    };
    std::unique_ptr<PGresult, Clear> result_;
};

/// A parameter.
class Value {
public:
    Value(std::int64_t number) : text_(std::to_string(number)) {}
    Value(std::string text) : text_(std::move(text)) {}
    const char* bytes() const { return text_.c_str(); }

private:
    std::string text_;
};

struct ConnectionOptions {
    std::string url;
    const char* name = "larder";  ///< what pg_stat_activity shows
    bool must_write = false;      ///< a server that is being recovered is none
    /// Longest wait for the connection (to each server that the URL names), and for each answer; the server ends a
    /// statement after that, too.
    std::chrono::milliseconds patience{};
};

/// Every member throws SourceError, which names the server and never the password; where the server did not answer in
/// time, or is gone, the connection is of no use from then on. Threads: one. Fork: a child makes its own, and neither
/// uses nor destroys an inherited one.
class Connection {
public:
    explicit Connection(const ConnectionOptions& options);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    bool is_open() const;
    /// Takes what has come meanwhile: a farewell of the server, and after it the connection's end.
    bool is_alive() {
        return is_open() && PQconsumeInput(connection_) != 0 && PQconsumeInput(connection_) != 0 && is_open();
    }
    /// `user@host:port/database`.
    const std::string& server() const { return server_; }

    /// One or several statements; the rows of the last.
    Rows run(const std::string& sql);
    void prepare(const char* name, const std::string& sql);
    Rows ask(const char* prepared, std::initializer_list<Value> values = {});

    /// Tables of the schema `public` need not be named with it. Only around what names them: whoever may make functions
    /// there could have all other statements call his own in place of PostgreSQL's.
    void see_public(bool does) { run(does ? "SET search_path = larder, public" : "SET search_path = larder"); }

    /// After a COPY ... FROM STDIN was run: lines of its text format, ended by end_copy.
    void put_copy(std::string_view lines);
    void end_copy();

    /// Waits for a NOTIFY on a channel that was LISTENed to; takes all that have come. False: none came in time.
    bool wait_for_notice(std::chrono::milliseconds limit);

private:
    using Deadline = std::chrono::steady_clock::time_point;
    Deadline deadline() const { return std::chrono::steady_clock::now() + patience_; }
    bool wait(short events, Deadline until);
    void connect(const ConnectionOptions& options);
    void flush();
    Rows finish();
    bool take_notices();
    [[noreturn]] void fail(const std::string& what, const PGresult* result = nullptr);
    [[noreturn]] void give_up();

    const std::chrono::milliseconds patience_;
    int others_ = 0;  // servers that the URL names besides the first
    std::string server_;
    PGconn* connection_ = nullptr;
};

}  // namespace larder::postgres
