#include "core/promise.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <fstream>
#include <stdexcept>

namespace larder {
namespace {

namespace json = boost::json;

json::value number_or_null(double number) { return std::isfinite(number) ? json::value(number) : json::value(nullptr); }

double number_of(const json::value& value) {
    return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.to_number<double>();
}

std::string text_of(const json::value& value) { return std::string(value.as_string()); }

Promise promise_of(const json::object& object) {
    const json::object& goal = object.at("goal").as_object();
    Promise promise{text_of(object.at("promise")), text_of(object.at("unit")),
                    Goal{text_of(goal.at("op")), goal.at("value").to_number<double>()}};
    promise.measured = number_of(object.at("measured"));
    promise.samples = object.at("samples").to_number<std::uint64_t>();
    for (const json::value& round : object.at("rounds").as_array()) promise.rounds.push_back(number_of(round));
    promise.command = text_of(object.at("command"));
    return promise;
}

/// How far a figure is on the wrong side of the goal, or from it; what is no number is the worst of all.
double distance(const Goal& goal, double measured) {
    if (std::isnan(measured)) return std::numeric_limits<double>::infinity();
    if (goal.op == "<=") return measured - goal.value;
    if (goal.op == ">=") return goal.value - measured;
    return std::abs(measured - goal.value);
}

void merge(Promise& into, const Promise& other) {
    if (into.unit != other.unit || into.goal.op != other.goal.op || into.goal.value != other.goal.value)
        throw std::runtime_error("two goals for the promise " + into.name);
    if (distance(other.goal, other.measured) > distance(into.goal, into.measured)) into.measured = other.measured;
    into.samples += other.samples;
    into.rounds.insert(into.rounds.end(), other.rounds.begin(), other.rounds.end());
    if (into.command != other.command) into.command += " && " + other.command;
}

}  // namespace

bool holds(const Goal& goal, double measured) {
    if (goal.op == "<=") return measured <= goal.value;
    if (goal.op == ">=") return measured >= goal.value;
    if (goal.op == "==") return measured == goal.value;
    throw std::invalid_argument("no such comparison: " + goal.op);
}

json::object to_json(const Promise& promise) {
    json::array rounds;
    for (const double round : promise.rounds) rounds.push_back(number_or_null(round));
    // A figure that stands on nothing is none: the quantile of no times is 0.
    const double measured = promise.samples == 0 ? std::numeric_limits<double>::quiet_NaN() : promise.measured;
    return {{"promise", promise.name},
            {"unit", promise.unit},
            {"goal", {{"op", promise.goal.op}, {"value", promise.goal.value}}},
            {"measured", number_or_null(measured)},
            {"samples", promise.samples},
            {"rounds", std::move(rounds)},
            {"holds", holds(promise.goal, measured)},
            {"command", promise.command}};
}

void append_promise(const std::string& path, const Promise& promise) {
    std::ofstream file(path, std::ios::app);
    file << json::serialize(to_json(promise)) << '\n';
    file.flush();
    if (!file) throw std::runtime_error("cannot write to " + path);
}

std::vector<Promise> read_promises(const std::string& path) try {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot be read");
    std::vector<Promise> promises;
    for (std::string line; std::getline(file, line);) {
        Promise promise = promise_of(json::parse(line).as_object());
        const auto known = std::find_if(promises.begin(), promises.end(),
                                        [&](const Promise& one) { return one.name == promise.name; });
        if (known == promises.end())
            promises.push_back(std::move(promise));
        else
            merge(*known, promise);
    }
    return promises;
} catch (const std::exception& error) {
    throw std::runtime_error(path + ": " + error.what());
}

}  // namespace larder
