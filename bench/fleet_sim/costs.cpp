#include "bench/fleet_sim/costs.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace larder::bench::sim {
namespace {

namespace json = boost::json;

constexpr std::array names{
    CostName{"postgres.look", &Costs::look_us},
    CostName{"postgres.look_found", &Costs::look_found_us},
    CostName{"postgres.look_row", &Costs::look_row_us},
    CostName{"postgres.beat", &Costs::beat_us},
    CostName{"postgres.notify", &Costs::notify_us},
    CostName{"postgres.bell", &Costs::bell_us},
    CostName{"postgres.trigger", &Costs::trigger_us},
    CostName{"postgres.compute", &Costs::compute_us},
    CostName{"postgres.processors", &Costs::database_processors},
    CostName{"nats.publish_leader", &Costs::publish_leader_us},
    CostName{"nats.publish_follower", &Costs::publish_follower_us},
    CostName{"nats.deliver", &Costs::deliver_us},
    CostName{"nats.deliver_plain", &Costs::deliver_plain_us},
    CostName{"nats.ask", &Costs::ask_us},
    CostName{"nats.kv_get", &Costs::kv_get_us},
    CostName{"nats.kv_get_leader", &Costs::kv_get_leader_us},
    CostName{"nats.kv_get_follower", &Costs::kv_get_follower_us},
    CostName{"nats.kv_put_leader", &Costs::kv_put_leader_us},
    CostName{"nats.kv_put_follower", &Costs::kv_put_follower_us},
    CostName{"nats.kv_create_leader", &Costs::kv_create_leader_us},
    CostName{"nats.kv_create_follower", &Costs::kv_create_follower_us},
    CostName{"nats.replicate", &Costs::replicate_us},
    CostName{"nats.processors", &Costs::nats_processors},
    CostName{"nats.servers", &Costs::nats_servers},
    CostName{"relay.row", &Costs::relay_row_us},
    CostName{"relay.answer", &Costs::relay_answer_us},
    CostName{"network.round_trip", &Costs::round_trip_us},
};

}  // namespace

std::span<const CostName> cost_names() { return names; }

Costs read_costs(const std::string& path) {
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (text.empty()) throw std::runtime_error("no costs in " + path);
    const json::value document = json::parse(text);
    const json::array& rows = document.at("costs").as_array();
    Costs costs;
    for (const CostName& one : names) {
        const auto row =
            std::find_if(rows.begin(), rows.end(), [&](const json::value& at) { return at.at("name") == one.name; });
        if (row == rows.end()) throw std::runtime_error(path + " has no " + one.name);
        costs.*one.value = row->at("value").to_number<double>();
        if (!(costs.*one.value >= 0)) throw std::runtime_error(path + ": " + one.name + " is below 0");
    }
    if (costs.database_processors < 1 || costs.nats_processors < 1 || costs.nats_servers < 1)
        throw std::runtime_error(path + ": an engine has no processor");
    return costs;
}

}  // namespace larder::bench::sim
