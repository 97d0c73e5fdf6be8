// EventQueue: what happens next, and when. Times are seconds since the simulation began.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace larder::bench::sim {

/// What is called when an event is due. Two words and a half of captures are kept without an allocation.
using Action = std::function<void()>;

/// Events at one time come in the order in which they were asked for, so that a run is the same each time. The owner of
/// an action outlives the queue's last step.
class EventQueue {
public:
    double now_s() const { return now_s_; }
    std::uint64_t done() const { return done_; }

    void at(double time_s, Action action) {
        heap_.push_back({std::max(time_s, now_s_), asked_++, std::move(action)});
        std::push_heap(heap_.begin(), heap_.end(), is_later);
    }
    void after(double delay_s, Action action) { at(now_s_ + delay_s, std::move(action)); }

    /// All that is due until then; the time is `end_s` afterwards.
    void run_until(double end_s) {
        while (!heap_.empty() && heap_.front().at_s <= end_s) {
            std::pop_heap(heap_.begin(), heap_.end(), is_later);
            const Event event = std::move(heap_.back());
            heap_.pop_back();
            now_s_ = event.at_s;
            ++done_;
            event.action();
        }
        now_s_ = end_s;
    }

private:
    struct Event {
        double at_s;
        std::uint64_t number;
        Action action;
    };
    static bool is_later(const Event& one, const Event& other) {
        return one.at_s != other.at_s ? one.at_s > other.at_s : one.number > other.number;
    }

    std::vector<Event> heap_;
    double now_s_ = 0;
    std::uint64_t asked_ = 0, done_ = 0;
};

}  // namespace larder::bench::sim
