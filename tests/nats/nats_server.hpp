// NATS servers of the test's own, on free ports of 127.0.0.1, with stores in a directory that goes away.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/nats/connection.hpp"
#include "core/submission_source.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/scoped_directory.hpp"

namespace larder::test {

/// Ports that were free just now, each another: below those that the kernel gives to connections, of which one could
/// come before a server that is started again.
inline std::vector<int> free_ports(std::size_t count) {
    static std::mt19937 random{std::random_device{}()};
    std::uniform_int_distribution<int> some(10'000, 32'000);
    std::vector<int> sockets, ports;
    for (int tries = 0; ports.size() < count; ++tries) {
        REQUIRE(tries < 1000);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int port = some(random);
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        sockets.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::bind(sockets.back(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) ports.push_back(port);
    }
    for (const int fd : sockets) ::close(fd);
    return ports;
}

/// One, or three that are a cluster. Killed with the test.
class NatsServers {
public:
    /// `user`: `NAME:PASSWORD`, without which nobody is served, but listener:listener, who may not share documents.
    /// `is_secure`: by TLS alone.
    explicit NatsServers(std::size_t count = 1, std::string user = {}, bool is_secure = false)
        : user_(std::move(user)), is_secure_(is_secure), ports_(free_ports(2 * count)), servers_(count) {
        if (is_secure_) make_certificate();
        for (std::size_t i = 0; i < count; ++i) start(i);
        REQUIRE(eventually([&] { return is_ready(); }, std::chrono::seconds(60)));
    }

    std::size_t count() const { return servers_.size(); }
    std::string name(std::size_t i) const { return "n" + std::to_string(i); }
    std::string host(std::size_t i) const { return "127.0.0.1:" + std::to_string(ports_[i]); }
    std::string url() const {
        std::string all;
        for (std::size_t i = 0; i < count(); ++i)
            all += (i == 0 ? "" : ",") + std::string(is_secure_ ? "tls://" : "nats://") +
                   (user_.empty() ? "" : user_ + "@") + host(i);
        return all;
    }
    nats::ConnectionOptions options() const {
        return {.url = url(), .ca_file = ca_file(), .patience = std::chrono::seconds(5)};
    }
    /// Who signed their certificate; "": they have none.
    std::string ca_file() const { return is_secure_ ? directory_.file("certificate.pem") : ""; }

    void start(std::size_t i) {
        std::ofstream(directory_.file(name(i) + ".conf")) << configuration(i);
        servers_[i] = std::make_unique<ChildProcess>(ChildProcess::start([&](Channel&) { return become(i); }));
    }
    /// As a power cut would, but that what it wrote stays.
    void kill(std::size_t i) {
        servers_[i]->kill(SIGKILL);
        servers_[i]->wait();
        servers_[i].reset();
    }
    bool is_running(std::size_t i) const { return servers_[i] != nullptr; }
    std::string store(std::size_t i) const { return directory_.file(name(i)); }
    /// Stopped, as it were; to be put back by restore.
    void keep_store() { copy(store(0), directory_.file("kept")); }
    void restore_store() { copy(directory_.file("kept"), store(0)); }

    /// JetStream answers, and takes a stream on all of them.
    bool is_ready() const {
        try {
            const nats::Connection connection(options());
            const char* subject = "probe";
            jsStreamConfig config;
            jsStreamConfig_Init(&config);
            config.Name = "PROBE";
            config.Subjects = &subject;
            config.SubjectsLen = 1;
            config.Replicas = static_cast<std::int64_t>(count());
            return js_AddStream(nullptr, connection.jet_stream(), &config, nullptr, nullptr) == NATS_OK &&
                   js_DeleteStream(connection.jet_stream(), "PROBE", nullptr, nullptr) == NATS_OK;
        } catch (const SourceError&) {
            return false;
        }
    }

private:
    static void copy(const std::string& from, const std::string& to) {
        std::filesystem::remove_all(to);
        std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
    }
    std::string configuration(std::size_t i) const {
        std::string text = "listen: \"" + host(i) + "\"\nserver_name: " + name(i) + "\njetstream { store_dir: \"" +
                           store(i) + "\" }\n";
        if (const std::size_t colon = user_.find(':'); colon != std::string::npos)
            text +=
                "authorization { users: [ { user: " + user_.substr(0, colon) +
                ", password: " + user_.substr(colon + 1) +
                " },\n  { user: listener, password: listener, permissions: { subscribe: \"_INBOX.>\",\n    publish: "
                "[\"larder.>\", \"larder-look.>\", \"_INBOX.>\", \"$JS.>\"] } },\n  { user: mute, password: mute, "
                "permissions: { subscribe: \"_INBOX.>\", publish: [\"_INBOX.>\", \"$JS.>\"] } },\n  { user: deaf, "
                "password: deaf, permissions: { subscribe: \"larder-look.>\", publish: \">\" } },\n  { user: silent, "
                "password: silent, permissions: { subscribe: \">\", publish: "
                "[\"larder.>\", \"$JS.>\"] } } ] }\n";
        if (is_secure_)
            text += "tls { cert_file: \"" + ca_file() + "\", key_file: \"" + directory_.file("key.pem") + "\" }\n";
        if (count() == 1) return text;
        text += "cluster {\n  name: larder\n  listen: \"127.0.0.1:" + std::to_string(ports_[count() + i]) +
                "\"\n  routes: [";
        for (std::size_t other = 0; other < count(); ++other)
            text += (other == 0 ? "\"nats://127.0.0.1:" : ", \"nats://127.0.0.1:") +
                    std::to_string(ports_[count() + other]) + "\"";
        return text + "]\n}\n";
    }
    void make_certificate() const {
        const std::string command =
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 "
            "-addext subjectAltName=IP:127.0.0.1 -keyout " +
            directory_.file("key.pem") + " -out " + ca_file() + " 2>/dev/null";
        REQUIRE(std::system(command.c_str()) == 0);
    }
    int become(std::size_t i) const {
        if (::freopen(directory_.file(name(i) + ".log").c_str(), "a", stdout) == nullptr) return 73;
        ::dup2(STDOUT_FILENO, STDERR_FILENO);
        ::execl(LARDER_NATS_SERVER, "nats-server", "-c", directory_.file(name(i) + ".conf").c_str(), nullptr);
        return 74;
    }

    const ScopedDirectory directory_{"/tmp"};
    const std::string user_;
    const bool is_secure_;
    const std::vector<int> ports_;
    std::vector<std::unique_ptr<ChildProcess>> servers_;
};

/// A single one for the whole program; streams are each test's own, by their databases' names.
inline NatsServers& shared_server() {
    static NatsServers servers;
    return servers;
}

/// Another each time.
inline std::string new_database() {
    static int count = 0;
    return "postgres://db/" + std::to_string(++count);
}

}  // namespace larder::test
