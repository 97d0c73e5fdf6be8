#include "tests/fleet/network.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "tests/fleet/program.hpp"

namespace larder::fleet {
namespace {

constexpr const char* kBridge = "bridge";
constexpr const char* kOwnNamespace = "/proc/thread-self/ns/net";

int open_or_throw(const char* path) {
    const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), path);
    return descriptor;
}

/// `command words`, split at spaces.
void run_in(int network, const std::string& command) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < command.size();) {
        const std::size_t end = std::min(command.find(' ', at), command.size());
        words.push_back(command.substr(at, end - at));
        at = end + 1;
    }
    words.front() = find_program(words.front());
    run_program(words, network);
}

void nft(int network, const std::string& statement) { run_program({find_program("nft"), statement}, network); }

/// Frames are taken away as they come in: who sent them learns nothing.
void lose_incoming(int network, const std::string& device, int percent) {
    const std::string some = percent < 100 ? "numgen random mod 100 < " + std::to_string(percent) + " " : "";
    nft(network, "table netdev fault_" + device + " { chain incoming { type filter hook ingress device \"" + device +
                     "\" priority 0; " + some + "drop; }; }");
}

}  // namespace

Namespace::Namespace() {
    const int before = open_or_throw(kOwnNamespace);
    if (::unshare(CLONE_NEWNET) != 0) throw std::system_error(errno, std::generic_category(), "unshare");
    descriptor_ = open_or_throw(kOwnNamespace);
    if (::setns(before, CLONE_NEWNET) != 0) throw std::system_error(errno, std::generic_category(), "setns");
    ::close(before);
}

Namespace::~Namespace() { ::close(descriptor_); }

std::string Namespace::path() const {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(descriptor_);
}

void Namespace::enter() const {
    if (::setns(descriptor_, CLONE_NEWNET) != 0) throw std::system_error(errno, std::generic_category(), "setns");
}

Node::Node(int number) : number_(number), port_("port" + std::to_string(number)) {
    run_in(-1, "ip link add " + port_ + " type veth peer name eth0 netns " + network_.path());
    run_in(-1, "ip link set " + port_ + " master " + kBridge + " up");
    run_in(network_.descriptor(), "ip link set lo up");
    run_in(network_.descriptor(), "ip address add " + address() + "/24 dev eth0");
    run_in(network_.descriptor(), "ip link set eth0 up");
}

Node::~Node() {
    try {
        run_in(-1, "ip link delete " + port_);
    } catch (const std::exception&) {}  // the namespaces go in any case
}

void Node::lose(int percent) {
    loses_ = true;
    lose_incoming(-1, port_, percent);
    lose_incoming(network_.descriptor(), "eth0", percent);
}

void Node::throttle(int kilobits) {
    is_slow_ = true;
    const std::string rate = " root tbf rate " + std::to_string(kilobits) + "kbit burst 4kb latency 500ms";
    run_in(-1, "tc qdisc add dev " + port_ + rate);
    run_in(network_.descriptor(), "tc qdisc add dev eth0" + rate);
}

void Node::unplug() {
    is_unplugged_ = true;
    run_in(-1, "ip link set " + port_ + " down");
}

void Node::heal() {
    if (std::exchange(loses_, false)) {
        nft(-1, "delete table netdev fault_" + port_);
        nft(network_.descriptor(), "delete table netdev fault_eth0");
    }
    if (std::exchange(is_slow_, false)) {
        run_in(-1, "tc qdisc delete dev " + port_ + " root");
        run_in(network_.descriptor(), "tc qdisc delete dev eth0 root");
    }
    if (std::exchange(is_unplugged_, false)) run_in(-1, "ip link set " + port_ + " up");
}

void make_bridge() {
    run_in(-1, std::string("ip link add ") + kBridge + " type bridge");
    run_in(-1, std::string("ip link set ") + kBridge + " up");
}

std::string missing_network_programs() {
    for (const char* name : {"ip", "tc", "nft"})
        if (find_program(name).empty()) return name;
    return {};
}

}  // namespace larder::fleet
