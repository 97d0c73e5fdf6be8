// A blocking HTTP/1.1 client over one connection, as bare as a test wants it: bytes out, answers in.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace larder::test {

struct HttpAnswer {
    int status = 0;                              ///< 0: the connection ended without an answer
    std::map<std::string, std::string> headers;  ///< names as sent
    std::string body;

    std::string header(const std::string& name) const {
        const auto found = headers.find(name);
        return found == headers.end() ? std::string() : found->second;
    }
};

/// Waits for anything at most `patience`.
class HttpClient {
public:
    explicit HttpClient(std::uint16_t port, std::chrono::milliseconds patience = std::chrono::seconds(20))
        : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const timeval limit{.tv_sec = patience.count() / 1'000, .tv_usec = patience.count() % 1'000 * 1'000};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    ~HttpClient() {
        if (fd_ >= 0) ::close(fd_);
    }
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    bool connected() const { return connected_; }

    /// Bytes as they are. False: the other side takes no more.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (count <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
        return true;
    }

    /// The next answer. `bodyless`: to a HEAD.
    HttpAnswer receive(bool bodyless = false) {
        HttpAnswer answer;
        std::size_t end = std::string::npos;
        while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
            if (!read_more()) return {};
        parse_head(buffer_.substr(0, end), answer);
        buffer_.erase(0, end + 4);
        const std::size_t size = bodyless ? 0 : std::stoul("0" + answer.header("Content-Length"));
        while (buffer_.size() < size)
            if (!read_more()) return {};
        answer.body = buffer_.substr(0, size);
        buffer_.erase(0, size);
        return answer;
    }

    /// Reads on until that came. False: it did not come. `before`: what came before it.
    bool receives_until(std::string_view text, std::string& before) {
        std::size_t at = 0;
        while ((at = buffer_.find(text)) == std::string::npos)
            if (!read_more()) return false;
        before = buffer_.substr(0, at);
        buffer_.erase(0, at + text.size());
        return true;
    }
    bool receives(std::string_view text) {
        std::string before;
        return receives_until(text, before);
    }

    /// The other side ended the connection, and nothing more came before.
    bool is_ended() { return buffer_.empty() && !read_more() && ended_; }

    HttpAnswer get(const std::string& target, const std::string& more_headers = {}) {
        if (!send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + more_headers + "\r\n")) return {};
        return receive();
    }

private:
    bool read_more() {
        char bytes[16 * 1024];
        const ssize_t count = ::recv(fd_, bytes, sizeof bytes, 0);
        ended_ = count == 0 || (count < 0 && errno == ECONNRESET);
        if (count <= 0) return false;
        buffer_.append(bytes, static_cast<std::size_t>(count));
        return true;
    }

    static void parse_head(const std::string& head, HttpAnswer& answer) {
        answer.status = std::stoi(head.substr(head.find(' ') + 1));
        for (std::size_t at = head.find("\r\n"); at != std::string::npos;) {
            const std::size_t begin = at + 2;
            at = head.find("\r\n", begin);
            const std::string line = head.substr(begin, at == std::string::npos ? at : at - begin);
            const std::size_t colon = line.find(": ");
            if (colon != std::string::npos) answer.headers[line.substr(0, colon)] = line.substr(colon + 2);
        }
    }

    int fd_;
    bool connected_ = false;
    bool ended_ = false;
    std::string buffer_;
};

/// One request on a connection of its own.
inline HttpAnswer http_get(std::uint16_t port, const std::string& target, const std::string& more_headers = {}) {
    HttpClient client(port);
    return client.connected() ? client.get(target, more_headers) : HttpAnswer{};
}

inline HttpAnswer http_post(std::uint16_t port, const std::string& target, const std::string& body,
                            const std::string& more_headers = {}) {
    HttpClient client(port);
    if (!client.connected() || !client.send("POST " + target + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                                            std::to_string(body.size()) + "\r\n" + more_headers + "\r\n" + body))
        return {};
    return client.receive();
}

}  // namespace larder::test
