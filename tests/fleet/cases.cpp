#include "tests/fleet/cases.hpp"

#include <signal.h>

#include <algorithm>

namespace larder::fleet {
namespace {

constexpr double kBetweenTerminations = 0.5;  // seconds
constexpr double kBetweenKills = 2.5;         // five deaths in ten seconds are many
constexpr double kStopped = 5;                // the least

void lose(Host& host, int percent, double seconds) {
    host.node().lose(percent);
    hold(seconds);
    host.node().heal();
}

void unplug(World& world, double seconds) {
    Node& node = world.victim().node();
    node.unplug();
    hold(seconds);
    node.heal();
}

void throttle(World& world, double seconds) {
    Node& node = world.victim().node();
    node.throttle(256);
    hold(seconds);
    node.heal();
}

void delay(World& world, int delay_ms, double seconds) {
    world.delay_victim(delay_ms);
    hold(seconds);
    world.delay_victim(0);
}

void kill(Host& host, double down, double seconds) {
    host.kill();
    hold(down);
    host.start();
    hold(seconds - down);
}

void stop(Host& host, double seconds) {
    host.signal(SIGSTOP);
    hold(std::max(seconds, kStopped));
    host.signal(SIGCONT);
}

/// Less often than makes its supervisor wait before it starts others.
void kill_workers(World& world, double seconds) {
    const Host& host = world.victim();
    for (double passed = 0; passed < seconds; passed += kBetweenKills) {
        host.kill_worker();
        hold(kBetweenKills);
    }
}

void restart_database(World& world, int signal, double seconds) {
    world.database().stop(signal);
    hold(seconds / 2);
    world.database().start();
    hold(seconds / 2);
}

void terminate(World& world, double seconds) {
    for (double passed = 0; passed < seconds; passed += kBetweenTerminations) {
        world.database().end_sessions();
        hold(kBetweenTerminations);
    }
}

/// A transaction that has written, and another with a snapshot, both there all the time.
void hold_back(World& world, double seconds) {
    const auto writer = world.database().connect("fleet"), reader = world.database().connect("fleet");
    writer->run("BEGIN; INSERT INTO outbox(assignment_id, kind) VALUES (1, 'submission')");
    reader->run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox");
    hold(seconds);
    writer->run("COMMIT");
    reader->run("COMMIT");
}

void kill_nats_in_turn(World& world, double seconds) {
    for (int server = 0; server < NatsCluster::size; ++server) {
        world.nats().kill(server);
        hold(seconds / 2);
        world.nats().start(server);
        hold(seconds / 2);
    }
}

void kill_nats_majority(World& world, double seconds) {
    for (const int server : {0, 1}) world.nats().kill(server);
    hold(seconds);
    for (const int server : {0, 1}) world.nats().start(server);
}

void part_nats(World& world, double seconds) {
    Node& node = world.nats().node(0);
    node.lose(100);
    hold(seconds);
    node.heal();
}

}  // namespace

const std::vector<Case>& all_cases() {
    static const std::vector<Case> cases{
        {"calm", "nothing happens", [](World&, double seconds) { hold(seconds); }},
        {"writers",
         "32 writers, up to 500 ms from a change to its commit",
         [](World&, double seconds) { hold(seconds); },
         {.writers = 32, .most_pause_ms = 300, .most_commit_ms = 500}},
        {"xmin", "a transaction that has written, and a snapshot, are held all the time", hold_back},
        {"partition", "one host is cut off", [](World& world, double s) { lose(world.victim(), 100, s); }},
        {"partition-relay", "the relay's host is cut off", [](World& world, double s) { lose(world.relay(), 100, s); }},
        {"unplugged", "one host's link is down", unplug},
        {"loss-5", "5 % of a host's frames are lost, either way",
         [](World& world, double s) { lose(world.victim(), 5, s); }},
        {"loss-20", "20 % of them", [](World& world, double s) { lose(world.victim(), 20, s); }},
        {"loss-relay", "20 % of the relay's host's", [](World& world, double s) { lose(world.relay(), 20, s); }},
        {"rate", "a host has 256 kbit/s, either way", throttle},
        {"delay",
         "a host's servers are 200 ms away, each way",
         [](World& world, double s) { delay(world, 200, s); },
         {},
         true},
        {"delay-long",
         "they are 1.5 s away, each way",
         [](World& world, double s) { delay(world, 1'500, s); },
         {},
         true},
        {"kill-relay", "the relay's supervisor is killed, and restarted after half the time",
         [](World& world, double s) { kill(world.relay(), s / 2, s); }},
        {"kill-listener", "another host's supervisor is killed, and restarted at once",
         [](World& world, double s) { kill(world.victim(), 0, s); }},
        {"kill-workers", "one of a host's workers is killed, computing or not, every 2.5 s", kill_workers},
        {"stop-relay", "the relay's supervisor is stopped for 5 s at least",
         [](World& world, double s) { stop(world.relay(), s); }},
        {"stop-listener", "another host's supervisor is stopped",
         [](World& world, double s) { stop(world.victim(), s); }},
        {"database-fast", "the database is shut down in order, and away for half the time",
         [](World& world, double s) { restart_database(world, SIGINT, s); }},
        {"database-immediate", "it is shut down at once, as by a power cut",
         [](World& world, double s) { restart_database(world, SIGQUIT, s); }},
        {"terminate", "all sessions of the hosts are ended twice a second", terminate},
        {"nats-node", "each nats-server in turn is killed and started again", kill_nats_in_turn, {}, false, true},
        {"nats-majority", "two of three nats-servers are away", kill_nats_majority, {}, false, true},
        {"nats-partition", "one nats-server is cut off", part_nats, {}, false, true},
    };
    return cases;
}

}  // namespace larder::fleet
