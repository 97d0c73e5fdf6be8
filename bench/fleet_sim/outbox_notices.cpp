#include "bench/fleet_sim/outbox_notices.hpp"

namespace larder::bench::sim {

OutboxNotices::OutboxNotices(const Scenario& scenario, const Costs& costs, EventQueue& queue, Random& random,
                             const Changes& changes, Engine& database)
    : scenario_(scenario),
      costs_(costs),
      queue_(queue),
      random_(random),
      changes_(changes),
      database_(database),
      half_trip_s_(costs.round_trip_us / 2e6),
      listeners_(scenario.hosts) {}

void OutboxNotices::start() {
    look(ringer, 0);
    for (std::uint32_t host = 1; host < scenario_.hosts; ++host) {
        const double first_s = random_.unit() * scenario_.heartbeat_s;
        listeners_[host].looked_at_s = first_s - scenario_.heartbeat_s;
        queue_.after(first_s, [this, host] { beat(host); });
    }
}

/// A snapshot is of the moment at which the statement begins.
void OutboxNotices::look(std::uint32_t host, double besides_us) {
    Listener& listener = listeners_[host];
    listener.is_looking = true;
    listener.looked_at_s = queue_.now_s();
    if (listener.looked_at_s - listener.beat_at_s >= scenario_.heartbeat_s - 1e-9) {
        listener.beat_at_s = listener.looked_at_s;
        besides_us += costs_.beat_us;
    }
    queue_.after(half_trip_s_, [this, host, besides = static_cast<float>(besides_us)] {
        const Position snapshot = changes_.count();
        const double rows = snapshot - listeners_[host].known;
        const double work_us = besides + costs_.look_of_us(rows);
        ++counts_.looks;
        const bool is_taken = database_.submit(work_us / 1e6, [this, host, snapshot] {
            queue_.after(half_trip_s_, [this, host, snapshot] { apply(host, snapshot); });
        });
        if (!is_taken) listeners_[host].is_looking = false;  // the next heartbeat looks
    });
}

void OutboxNotices::apply(std::uint32_t host, Position snapshot) {
    Listener& listener = listeners_[host];
    const bool found = snapshot != listener.known;
    for (Position change = listener.known; change < snapshot; ++change)
        counts_.staleness.add(queue_.now_s() - changes_.committed_at_s(change));
    if (host == ringer) counts_.told += snapshot - listener.known;
    listener.known = snapshot;
    go_on(host, found);
}

void OutboxNotices::go_on(std::uint32_t host, bool found) {
    Listener& listener = listeners_[host];
    if (host != ringer) {
        listener.is_looking = false;
        if (listener.is_rung) hear(host);
        return;
    }
    if (!found || scenario_.hosts == 1) {
        queue_.after(scenario_.bell_interval_s, [this] { look(ringer, 0); });
        return;
    }
    const bool is_taken = database_.submit(costs_.notify_us / 1e6, [this] { ring(); });
    queue_.after(is_taken ? 2 * half_trip_s_ + scenario_.bell_interval_s : scenario_.bell_interval_s,
                 [this] { look(ringer, 0); });
}

/// The sessions of the others are woken; each of them then wakes its host.
void OutboxNotices::ring() {
    queue_.after(half_trip_s_, [this] {
        for (std::uint32_t host = 1; host < scenario_.hosts; ++host) hear(host);
    });
}

/// Who is looking meanwhile looks once more, however often it rang.
void OutboxNotices::hear(std::uint32_t host) {
    Listener& listener = listeners_[host];
    listener.is_rung = listener.is_looking;
    if (listener.is_looking) return;
    ++counts_.messages;
    look(host, costs_.bell_us);
}

void OutboxNotices::beat(std::uint32_t host) {
    const Listener& listener = listeners_[host];
    const double since_s = queue_.now_s() - listener.looked_at_s;
    const bool is_due = !listener.is_looking && since_s >= scenario_.heartbeat_s - 1e-9;
    if (is_due) look(host, 0);
    const double next_s = is_due || listener.is_looking ? scenario_.heartbeat_s : scenario_.heartbeat_s - since_s;
    queue_.after(next_s, [this, host] { beat(host); });
}

}  // namespace larder::bench::sim
