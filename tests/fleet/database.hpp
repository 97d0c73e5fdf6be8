// The fleet's PostgreSQL server: on a node of its own, with a school in it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/postgres/connection.hpp"
#include "tests/fleet/network.hpp"
#include "tests/fleet/program.hpp"

namespace larder::fleet {

/// Its commits are not synchronised to a disk: its files are in memory. Writers and those who look on reach it by a
/// socket, which no fault of the network touches.
class Database {
public:
    static constexpr std::uint16_t port = 5432;

    /// With assignments 1 ... `assignments`, one submission each, whose score is the version: 0. Throws
    /// std::runtime_error, SourceError.
    Database(int node, int assignments, int hosts);

    Node& node() { return node_; }
    std::string url(const std::string& role) const { return url(role, node_.address(), port); }
    static std::string url(const std::string& role, const std::string& address, std::uint16_t at_port);

    /// Of an administrator, by the socket.
    std::unique_ptr<postgres::Connection> connect(const char* name) const;

    void start();
    /// SIGQUIT: at once, as after a power cut; SIGINT: in order, ending all sessions.
    void stop(int signal);

    /// Ends all sessions of hosts.
    void end_sessions() const;
    /// How often hosts have read an assignment with its submissions, as they do once for each document that they
    /// compute.
    std::int64_t document_reads() const;
    /// The address of the host that has the relay's lock; "": none has.
    std::string relay_address() const;

    std::string log() const;

    static std::string missing_programs();

private:
    void make_school(int assignments);

    Node node_;
    const std::string directory_;
    const int hosts_;
    std::int64_t reads_before_ = 0;  // of servers that were stopped
    std::optional<Program> server_;
};

}  // namespace larder::fleet
