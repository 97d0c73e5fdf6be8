// Engine: a server program with so many processors, which work is handed to. Its queue is bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "bench/fleet_sim/event_queue.hpp"

namespace larder::bench::sim {

class Engine {
public:
    enum class Discipline : std::uint8_t {
        in_turn,  ///< each piece of work has a processor to itself, and waits until one is free
        shared,  ///< all go on at once and share the processors evenly, one processor each at most: an operating system
    };
    struct Load {
        double busy_share = 0;  ///< of all processors
        std::uint64_t done = 0, refused = 0;
    };

    Engine(EventQueue& queue, std::string name, int processors, Discipline discipline, std::size_t most_jobs);

    /// `begun`: when a processor takes it up (shared: at once). False: there is no room for it, and nothing is called.
    bool submit(double work_s, Action done, Action begun = {});

    const std::string& name() const { return name_; }
    /// Since the last call of begin_measuring.
    Load load() const;
    void begin_measuring();

private:
    struct Job {
        double work_s = 0;
        double ends_at = 0;  // shared: of the virtual time
        std::uint64_t number = 0;
        Action done, begun;
    };
    static bool ends_later(const Job& one, const Job& other) {
        return one.ends_at != other.ends_at ? one.ends_at > other.ends_at : one.number > other.number;
    }
    double busy_processors() const;
    void account();
    void start(Job job);
    void finish(const Action& done);
    void share(Job job);
    double first_departure_s() const;
    void plan_departure();
    void depart();

    EventQueue& queue_;
    const std::string name_;
    const double processors_;
    const Discipline discipline_;
    const std::size_t most_jobs_;

    std::size_t running_ = 0;   // shared: all
    std::deque<Job> waiting_;   // in turn
    std::vector<Job> sharing_;  // shared: a heap, the first to end in front
    double virtual_s_ = 0;      // shared: the work that each one has been given
    double planned_at_ = 0;     // shared: the earliest departure that an event stands for; 0: none
    std::uint64_t planned_ = 0, submitted_ = 0;

    double accounted_at_ = 0, busy_s_ = 0, measured_from_ = 0;
    std::uint64_t done_ = 0, refused_ = 0;
};

}  // namespace larder::bench::sim
