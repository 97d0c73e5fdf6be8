#include "tests/fleet/world.hpp"

#include <fstream>
#include <stdexcept>

#include "shm/system.hpp"
#include "tests/support/eventually.hpp"

namespace larder::fleet {
namespace {

// Numbers of nodes.
constexpr int kDatabase = 2;
constexpr int kNats = 3;
constexpr int kBystander = 6;
constexpr int kHosts = 10;

// Ports of delay lines.
constexpr std::uint16_t kDatabaseLine = 7'000;
constexpr std::uint16_t kNatsLine = 7'001;

}  // namespace

World::World(const Abilities& abilities, int hosts, int assignments, bool delays)
    : database_(kDatabase, assignments, hosts) {
    if (abilities.uses_nats) nats_.emplace(kNats);
    for (int number = 0; number < hosts; ++number) {
        hosts_.push_back(std::make_unique<Host>(number, kHosts + number, abilities));
        Host& host = *hosts_.back();
        const bool is_delayed = delays && number == hosts - 1;
        host.set_servers(is_delayed ? delayed_servers(host.node()) : servers());
        host.start();
    }
    bystander_.emplace(kBystander, database_.url("web"));
    if (abilities.uses_tier) await_tier();
}

/// Servers take a second to make it, and until then each host computes.
void World::await_tier() const {
    if (!test::eventually([&] { return hosts_.front()->shares_documents(); }))
        throw std::runtime_error("documents are not shared: " + hosts_.front()->log());
}

Host::Servers World::servers() const {
    return {.database = database_.url("web"),
            .relay_database = database_.url("relay"),
            .nats = nats_ ? nats_->urls() : std::string()};
}

Host::Servers World::delayed_servers(const Node& node) {
    const int network = node.network().descriptor();
    const auto add = [&](std::uint16_t port, Node& to, std::uint16_t to_port) {
        lines_.push_back(std::make_unique<DelayLine>(network, port, to.address(), to_port));
    };
    add(kDatabaseLine, database_.node(), Database::port);
    Host::Servers servers{.database = Database::url("web", "127.0.0.1", kDatabaseLine),
                          .relay_database = Database::url("relay", "127.0.0.1", kDatabaseLine),
                          .nats = {}};
    for (int server = 0; nats_ && server < NatsCluster::size; ++server) {
        const auto port = static_cast<std::uint16_t>(kNatsLine + server);
        add(port, nats_->node(server), NatsCluster::port);
        servers.nats += (server == 0 ? "nats://127.0.0.1:" : ",nats://127.0.0.1:") + std::to_string(port);
    }
    return servers;
}

void World::keep_logs(const std::string& directory, const std::string& name) const {
    for (const auto& host : hosts_)
        std::ofstream(directory + "/" + name + "-host-" + std::to_string(host->number())) << host->log();
    std::ofstream(directory + "/" + name + "-database") << database_.log();
}

int World::number_of_relay() const {
    std::string address;
    if (!test::eventually([&] { return !(address = database_.relay_address()).empty(); }))
        throw std::runtime_error("no host relays");
    for (const auto& host : hosts_)
        if (host->node().address() == address) return host->number();
    throw std::runtime_error("a stranger relays");
}

Host& World::mark(Host& host) {
    marked_ = host.number();
    return host;
}

Host& World::victim() {
    const int relay = number_of_relay();
    for (const auto& host : hosts_)
        if (host->number() != relay) return mark(*host);
    return mark(*hosts_.front());
}

Host& World::relay() { return mark(*hosts_.at(static_cast<std::size_t>(number_of_relay()))); }

void World::delay_victim(int delay_ms) {
    mark(*hosts_.back());
    for (const auto& line : lines_) line->set_delay_ms(delay_ms);
}

void hold(double seconds) { shm::system::sleep_ns(static_cast<std::int64_t>(seconds * 1e9)); }

}  // namespace larder::fleet
