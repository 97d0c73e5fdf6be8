#include "bench/compare/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "bench/rounds.hpp"

namespace larder::bench {
namespace {

namespace json = boost::json;

constexpr const char* kRowFile = "/rows";
constexpr const char* kPromiseFile = "/promises";
constexpr const char* kVersionFile = "/versions";

json::object to_json(const Quantiles& times) {
    return {{"p50_ns", times.p50_ns}, {"p99_ns", times.p99_ns}, {"p999_ns", times.p999_ns}, {"samples", times.samples}};
}

std::string text_of(const json::value& value) { return std::string(value.as_string()); }

Row row_of(const json::object& object) {
    Row row{text_of(object.at("group")), text_of(object.at("contender")),
            object.at("value_bytes").to_number<std::size_t>(), text_of(object.at("load")), text_of(object.at("unit"))};
    for (const json::value& round : object.at("rounds").as_array()) row.rounds.push_back(round.to_number<double>());
    if (const json::value* const single = object.if_contains("single")) {
        const auto number = [&](const char* name) { return single->as_object().at(name).to_number<double>(); };
        row.single = Quantiles{number("p50_ns"), number("p99_ns"), number("p999_ns"),
                               static_cast<std::size_t>(number("samples"))};
    }
    return row;
}

double mean(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

constexpr std::array<std::string_view, 5> kSeveralGoals = {"S3", "S4", "S8", "S10", "S12"};

/// Where the goal is a bound from above, the smaller the figure the larger its share.
double share(const Goal& goal, double measured) {
    return goal.op == "<=" ? goal.value / measured : measured / goal.value;
}

}  // namespace

json::object to_json(const Row& row) {
    json::object object{{"group", row.group}, {"contender", row.contender}, {"value_bytes", row.value_bytes},
                        {"load", row.load},   {"unit", row.unit},           {"rounds", json::array()}};
    for (const double round : row.rounds) object["rounds"].as_array().emplace_back(round);
    if (!row.rounds.empty()) {
        object["mean"] = mean(row.rounds);
        object["median"] = median(row.rounds);
    }
    if (row.single) object["single"] = to_json(*row.single);
    return object;
}

Report::Report(std::string directory, Effort effort, std::string command)
    : directory_(std::move(directory)), command_(std::move(command)), effort_(effort) {}

void Report::append(const char* file, const std::string& line) const {
    std::ofstream out(directory_ + file, std::ios::app);
    out << line << '\n';
    if (!out.flush()) throw std::runtime_error("cannot write to " + directory_ + file);
}

std::vector<std::string> Report::lines(const char* file) const {
    std::ifstream in(directory_ + file);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

void Report::add(const Row& row) { append(kRowFile, json::serialize(to_json(row))); }

void Report::version(const std::string& text) { append(kVersionFile, text); }

void Report::judge(const std::string& promise, const Judged& judged) {
    const auto [what, unit, goal, measured, rounds, samples] = judged;
    fmt::print("{:<4}{:<58}{:<16}{:<16}{}\n", promise, what, fmt::format("{} {:g} {}", goal.op, goal.value, unit),
               fmt::format("{:.3g} {}", measured, unit), holds(goal, measured) ? "yes" : "NO");
    Promise kept{promise, unit, goal, measured, samples, rounds, command_};
    if (std::find(kSeveralGoals.begin(), kSeveralGoals.end(), promise) != kSeveralGoals.end()) {
        kept.unit = kOfTheGoal;
        kept.goal = {">=", 1};
        kept.measured = share(goal, measured);
        for (double& round : kept.rounds) round = share(goal, round);
    }
    append_promise(directory_ + kPromiseFile, kept);
}

void Report::note(const std::string& text) const { fmt::print("      {}\n", text); }

std::vector<Row> Report::rows() const {
    std::vector<Row> rows;
    for (const std::string& line : lines(kRowFile)) rows.push_back(row_of(json::parse(line).as_object()));
    return rows;
}

std::vector<Promise> Report::promises() const {
    return lines(kPromiseFile).empty() ? std::vector<Promise>() : read_promises(directory_ + kPromiseFile);
}

std::vector<std::string> Report::versions() const {
    std::vector<std::string> versions = lines(kVersionFile);
    std::sort(versions.begin(), versions.end());
    versions.erase(std::unique(versions.begin(), versions.end()), versions.end());
    return versions;
}

}  // namespace larder::bench
