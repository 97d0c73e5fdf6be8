#include "bench/fleet_sim/stream_notices.hpp"

#include <algorithm>

namespace larder::bench::sim {

StreamNotices::StreamNotices(const Scenario& scenario, const Costs& costs, EventQueue& queue, Random& random,
                             const Changes& changes, Engine& database, NatsCluster& nats, Engine& relay)
    : scenario_(scenario),
      costs_(costs),
      queue_(queue),
      random_(random),
      changes_(changes),
      database_(database),
      nats_(nats),
      relay_(relay),
      half_trip_s_(costs.round_trip_us / 2e6),
      step_s_(costs.deliver_us / 1e6),
      lanes_(nats.size() * static_cast<std::size_t>(costs.nats_processors)) {
    const auto lanes = static_cast<std::uint32_t>(lanes_.size());
    for (std::uint32_t lane = 0; lane < lanes; ++lane) lanes_[lane].hosts = (scenario.hosts + lanes - 1 - lane) / lanes;
}

void StreamNotices::start() {
    look();
    for (std::uint32_t host = 0; host < scenario_.hosts; ++host)
        queue_.after(random_.unit() * scenario_.ask_interval_s, [this, host] { ask(host); });
}

void StreamNotices::look() {
    queue_.after(half_trip_s_, [this] {
        const Position snapshot = changes_.count();
        const double rows = snapshot - published_;
        ++counts_.looks;
        const bool beats = queue_.now_s() - beat_at_s_ >= scenario_.heartbeat_s;
        if (beats) beat_at_s_ = queue_.now_s();
        const double work_us = costs_.look_of_us(rows) + (beats ? costs_.beat_us : 0);
        const bool is_taken = database_.submit(
            work_us / 1e6, [this, snapshot] { queue_.after(half_trip_s_, [this, snapshot] { publish(snapshot); }); });
        if (!is_taken) queue_.after(scenario_.bell_interval_s, [this] { look(); });
    });
}

/// Looks again 10 ms after the stream has it.
void StreamNotices::publish(Position snapshot) {
    const auto look_later = [this] { queue_.after(scenario_.bell_interval_s, [this] { look(); }); };
    if (snapshot == published_) return look_later();
    const bool is_taken = relay_.submit((snapshot - published_) * costs_.relay_row_us / 1e6, [=, this] {
        const bool is_written =
            nats_.write(NatsCluster::notices, costs_.publish_leader_us, costs_.publish_follower_us, [=, this] {
                deliver(published_, snapshot);
                counts_.told += snapshot - published_;
                published_ = snapshot;
                look_later();
            });
        if (!is_written) look_later();
    });
    if (!is_taken) look_later();
}

void StreamNotices::deliver(Position first, Position snapshot) {
    for (std::size_t number = 0; number < lanes_.size(); ++number) {
        Lane& lane = lanes_[number];
        if (lane.hosts == 0) continue;
        const auto begun = [this, &lane, first, snapshot] { begin_wave(lane, first, snapshot); };
        nats_.server(number).submit(lane.hosts * step_s_, {}, begun);
    }
}

void StreamNotices::begin_wave(Lane& lane, Position first, Position snapshot) {
    const double first_at_s = queue_.now_s() + step_s_ + half_trip_s_;
    while (!lane.waves.empty() && lane.waves.front().first_at_s + (lane.hosts - 1) * step_s_ <= queue_.now_s()) {
        lane.all_know = lane.waves.front().snapshot;
        lane.waves.pop_front();
    }
    lane.waves.push_back({first_at_s, snapshot});
    counts_.messages += lane.hosts;
    for (Position change = first; change < snapshot; ++change)
        counts_.staleness.add_row(first_at_s - changes_.committed_at_s(change), step_s_, lane.hosts);
}

Position StreamNotices::known(std::uint32_t host) const {
    const Lane& lane = lanes_[host % lanes_.size()];
    const double place = host / static_cast<std::uint32_t>(lanes_.size());
    const double sent_s = queue_.now_s() - place * step_s_;
    const auto wave = std::find_if(lane.waves.rbegin(), lane.waves.rend(),
                                   [sent_s](const Wave& one) { return one.first_at_s <= sent_s; });
    return wave == lane.waves.rend() ? lane.all_know : wave->snapshot;
}

void StreamNotices::ask(std::uint32_t host) {
    queue_.after(scenario_.ask_interval_s, [this, host] { ask(host); });
    const double asked_at_s = queue_.now_s();
    nats_.ask(host, costs_.ask_us, [this, asked_at_s] {
        relay_.submit(costs_.relay_answer_us / 1e6,
                      [this, asked_at_s] { counts_.answers.add(queue_.now_s() - asked_at_s); });
    });
}

}  // namespace larder::bench::sim
