#include "tests/fleet/nats.hpp"

#include <signal.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "tests/fleet/sandbox.hpp"
#include "tests/support/eventually.hpp"

namespace larder::fleet {
namespace {

std::string make_directory() {
    static std::atomic<int> number{0};
    std::string path = std::string(kFiles) + "/nats-" + std::to_string(++number);
    std::filesystem::create_directory(path);
    return path;
}

}  // namespace

NatsCluster::NatsCluster(int first_node) : directory_(make_directory()), servers_(size) {
    for (int server = 0; server < size; ++server) nodes_.push_back(std::make_unique<Node>(first_node + server));
    for (int server = 0; server < size; ++server) {
        configure(server);
        start(server);
    }
    if (!test::eventually([this] { return has_leader(); }))
        throw std::runtime_error("NATS finds no leader: " + text_of(file(0, ".log")));
}

std::string NatsCluster::urls() const {
    std::string urls;
    for (const auto& node : nodes_)
        urls += (urls.empty() ? "nats://" : ",nats://") + node->address() + ":" + std::to_string(port);
    return urls;
}

void NatsCluster::kill(int server) {
    auto& program = servers_.at(static_cast<std::size_t>(server));
    program->signal(SIGKILL);
    program->wait();
}

void NatsCluster::start(int server) {
    servers_.at(static_cast<std::size_t>(server))
        .emplace(ProgramStart{.words = {find_program("nats-server"), "-c", file(server, ".conf")},
                              .network = node(server).network().descriptor(),
                              .log = file(server, ".log"),
                              .user = {}});
}

std::string NatsCluster::missing_programs() { return find_program("nats-server").empty() ? "nats-server" : ""; }

std::string NatsCluster::file(int server, const std::string& suffix) const {
    return directory_ + "/" + std::to_string(server) + suffix;
}

void NatsCluster::configure(int server) const {
    std::ofstream config(file(server, ".conf"));
    const std::string own = nodes_.at(static_cast<std::size_t>(server))->address();
    config << "server_name: n" << server << "\nlisten: \"" << own << ":" << port << "\"\njetstream { store_dir: \""
           << file(server, ".store") << "\" }\ncluster { name: fleet, listen: \"" << own << ":6222\", routes: [";
    const char* separator = "";
    for (const auto& node : nodes_) {
        config << separator << " \"nats://" << node->address() << ":6222\"";
        separator = ",";
    }
    config << " ] }\n";
}

bool NatsCluster::has_leader() const {
    for (int server = 0; server < size; ++server) {
        const std::string text = text_of(file(server, ".log"));
        if (text.find("JetStream cluster new metadata leader") != std::string::npos ||
            text.find("Self is new JetStream cluster metadata leader") != std::string::npos)
            return true;
    }
    return false;
}

}  // namespace larder::fleet
