#include "bench/fleet_sim/fills.hpp"

#include <algorithm>

namespace larder::bench::sim {

Fills::Fills(const Scenario& scenario, const Costs& costs, EventQueue& queue, Random& random, const Changes& changes,
             const Notices& notices, Engine& database, NatsCluster& nats, Views& views)
    : scenario_(scenario),
      costs_(costs),
      queue_(queue),
      random_(random),
      changes_(changes),
      notices_(notices),
      database_(database),
      nats_(nats),
      views_(views),
      documents_(scenario.assignments),
      leases_(scenario.assignments),
      sessions_(scenario.hosts) {
    views.on_miss([this](std::uint32_t assignment, const Holding& before) { begin(assignment, before); });
}

void Fills::start(const std::vector<float>& computed_at_s) {
    for (std::size_t number = 0; number < computed_at_s.size(); ++number)
        documents_[number] = {0, computed_at_s[number]};
}

void Fills::begin(std::uint32_t assignment, const Holding& before) {
    if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(fills_.size()));
        fills_.emplace_back();
    }
    const std::uint32_t number = free_.back();
    free_.pop_back();
    fills_[number] = {assignment, before.host, 0,
                      now_s(),    ++tokens_,   changes_.any_of(assignment, before.seen, notices_.known(before.host))};
    const double not_before_s = before.computed_at_s + scenario_.recompute_interval_s;
    const auto step = scenario_.has_second_tier ? &Fills::get : &Fills::compute;
    if (not_before_s <= now_s()) return (this->*step)(number);
    queue_.at(not_before_s, [this, number] { scenario_.has_second_tier ? get(number) : compute(number); });
}

void Fills::get(std::uint32_t number) {
    Fill& fill = fills_[number];
    fill.seen = notices_.known(fill.host);
    const bool is_taken =
        nats_.ask(fill.host, costs_.kv_get_us, [this, number] { take_or(number, &Fills::create_lease); });
    if (!is_taken) refuse(number);
}

/// A document that was computed by whoever knew less than this host does now may be older than a change known here.
void Fills::take_or(std::uint32_t number, void (Fills::*otherwise)(std::uint32_t)) {
    const Fill& fill = fills_[number];
    const Document& document = documents_[fill.assignment];
    const bool is_over = document.computed_at_s + scenario_.ttl_s <= now_s();
    if (is_over || changes_.any_of(fill.assignment, document.seen, notices_.known(fill.host)))
        return (this->*otherwise)(number);
    if (leases_[fill.assignment].holder == fill.token) give_up(fill.assignment, fill.token);
    ++counts_.taken;
    end(number, {fill.host, std::min(fill.seen, document.seen), document.computed_at_s});
}

void Fills::create_lease(std::uint32_t number) {
    const bool is_taken =
        nats_.write(NatsCluster::leases, costs_.kv_create_leader_us, costs_.kv_create_follower_us, [this, number] {
            Lease& lease = leases_[fills_[number].assignment];
            if (lease.holder != 0 && lease.ends_at_s > now_s()) {
                const double waited_s = now_s() - fills_[number].began_at_s;
                queue_.after(std::max(scenario_.poll_s, waited_s / 4), [this, number] { get(number); });
                return;
            }
            lease = {fills_[number].token, now_s() + scenario_.lease_s};
            look_again(number);
        });
    if (!is_taken) refuse(number);
}

void Fills::look_again(std::uint32_t number) {
    const bool is_taken = nats_.read(NatsCluster::documents, costs_.kv_get_leader_us, costs_.kv_get_follower_us,
                                     [this, number] { take_or(number, &Fills::compute); });
    if (!is_taken) compute(number);
}

void Fills::compute(std::uint32_t number) {
    Sessions& sessions = sessions_[fills_[number].host];
    if (sessions.used < scenario_.workers) return use_session(number);
    if (sessions.waiting.size() >= most_waiting) return refuse(number);
    sessions.waiting.push_back(number);
}

void Fills::use_session(std::uint32_t number) {
    Fill& fill = fills_[number];
    fill.seen = notices_.known(fill.host);
    const double work_s = random_.exponential(costs_.compute_us / 1e6);
    const bool is_taken = database_.submit(
        work_s, [this, number] { queue_.after(costs_.round_trip_us / 1e6, [this, number] { computed(number); }); });
    if (!is_taken) return refuse(number);
    ++sessions_[fill.host].used;
}

void Fills::free_session(std::uint32_t host) {
    Sessions& sessions = sessions_[host];
    --sessions.used;
    while (!sessions.waiting.empty() && sessions.used < scenario_.workers) {
        const std::uint32_t next = sessions.waiting.front();
        sessions.waiting.pop_front();
        use_session(next);
    }
}

void Fills::computed(std::uint32_t number) {
    const Fill fill = fills_[number];
    const auto computed_at_s = static_cast<float>(now_s());
    free_session(fill.host);
    ++counts_.computations;
    if (fill.is_after_change) ++counts_.after_changes;
    if (scenario_.has_second_tier) store(fill, computed_at_s);
    end(number, {fill.host, fill.seen, computed_at_s});
}

/// The lease is given up once the document is there, or will not be. First it is asked what is there now.
void Fills::store(const Fill& fill, float computed_at_s) {
    if (changes_.any_of(fill.assignment, fill.seen, notices_.known(fill.host)))
        return give_up(fill.assignment, fill.token);
    const bool is_taken =
        nats_.ask(fill.host, costs_.kv_get_us, [this, fill, computed_at_s] { put(fill, computed_at_s); });
    if (!is_taken) give_up(fill.assignment, fill.token);
}

void Fills::put(const Fill& fill, float computed_at_s) {
    const bool is_taken = nats_.write(NatsCluster::documents, costs_.kv_put_leader_us, costs_.kv_put_follower_us,
                                      [this, fill, computed_at_s] {
                                          Document& document = documents_[fill.assignment];
                                          if (document.seen <= fill.seen) document = {fill.seen, computed_at_s};
                                          give_up(fill.assignment, fill.token);
                                      });
    if (!is_taken) give_up(fill.assignment, fill.token);
}

/// Nobody waits for its removal, which costs as much as a put.
void Fills::give_up(std::uint32_t assignment, std::uint64_t token) {
    nats_.write(NatsCluster::leases, costs_.kv_put_leader_us, costs_.kv_put_follower_us, {});
    if (leases_[assignment].holder == token) leases_[assignment] = {};
}

void Fills::end(std::uint32_t number, const Holding& holding) {
    const Fill fill = fills_[number];
    free_.push_back(number);
    counts_.lasted.add(now_s() - fill.began_at_s);
    views_.filled(fill.assignment, holding);
}

void Fills::refuse(std::uint32_t number) {
    const Fill fill = fills_[number];
    Lease& lease = leases_[fill.assignment];
    if (lease.holder == fill.token) lease = {};
    ++counts_.refused;
    free_.push_back(number);
    views_.failed(fill.assignment, fill.host);
}

}  // namespace larder::bench::sim
