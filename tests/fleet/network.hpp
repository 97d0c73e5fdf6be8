// Nodes on one Ethernet, each in a network namespace of its own, and what can go wrong on the wire of one.
#pragma once

#include <string>

namespace larder::fleet {

/// A namespace that lives as long as this object and the processes in it.
class Namespace {
public:
    Namespace();
    ~Namespace();
    Namespace(const Namespace&) = delete;
    Namespace& operator=(const Namespace&) = delete;

    int descriptor() const { return descriptor_; }
    /// A path that `ip` takes for its name.
    std::string path() const;
    /// Moves the calling thread there, for good. Throws std::system_error.
    void enter() const;

private:
    int descriptor_ = -1;
};

/// A node with the address 10.77.0.NUMBER; a bridge in the namespace of the first caller leads to the others. Its own
/// loopback is not touched by what goes wrong outside. Faults of a kind do not add up. Throws std::runtime_error.
class Node {
public:
    explicit Node(int number);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    const Namespace& network() const { return network_; }
    std::string address() const { return "10.77.0." + std::to_string(number_); }

    /// Of a hundred frames so many are lost, either way; 100: all of them, silently.
    void lose(int percent);
    /// Bits a second, either way; what is more waits half a second and is lost then.
    void throttle(int kilobits);
    void unplug();
    /// All is well again.
    void heal();

private:
    const Namespace network_;
    const int number_;
    const std::string port_;  // at the bridge
    bool loses_ = false, is_slow_ = false, is_unplugged_ = false;
};

/// The bridge. Before the first node.
void make_bridge();

/// What the nodes need; "": all is there.
std::string missing_network_programs();

}  // namespace larder::fleet
