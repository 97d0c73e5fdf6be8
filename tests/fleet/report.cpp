#include "tests/fleet/report.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace larder::fleet {
namespace {

namespace json = boost::json;

json::object json_of(const Quantiles& quantiles) {
    return {{"p50", quantiles.p50}, {"p99", quantiles.p99}, {"max", quantiles.max}};
}

json::object json_of(const Verdict& verdict, const Settling& settling, bool is_marked) {
    return {{"marked", is_marked},
            {"answers", verdict.answers},
            {"hits", verdict.hits},
            {"degraded", verdict.degraded},
            {"refused", verdict.refused},
            {"silent", verdict.silent},
            {"wrong", verdict.wrong},
            {"staleness_ms", json_of(verdict.staleness)},
            {"stalest_at_ms", verdict.worst_at_ms},
            {"seen_old_ms", json_of(verdict.seen_old)},
            {"seen_new_ms", json_of(verdict.seen_new)},
            {"above_bound", verdict.above_bound},
            {"backwards", verdict.backwards},
            {"trouble_ms", verdict.trouble_ms},
            {"missed", settling.missed},
            {"settled_ms", settling.took_ms}};
}

json::object json_of(const Result& result) {
    json::array hosts, broken;
    for (std::size_t host = 0; host < result.verdicts.size(); ++host)
        hosts.push_back(json_of(result.verdicts[host], result.settlings[host],
                                result.marked && *result.marked == static_cast<int>(host)));
    for (const std::string& promise : result.broken) broken.emplace_back(promise);
    return {{"name", result.name},
            {"what", result.what},
            {"commits", result.commits},
            {"commits_took_s", result.commits_took_s},
            {"reads_a_commit", result.reads_a_commit},
            {"computations_a_commit", result.computations_a_commit},
            {"bystander_ms", json_of(result.bystander)},
            {"hosts", std::move(hosts)},
            {"broken", std::move(broken)}};
}

void print_quantiles(const Quantiles& quantiles) {
    std::printf(" |%6.0f%7.0f%8.0f", quantiles.p50, quantiles.p99, quantiles.max);
}

}  // namespace

void print_heading() {
    std::printf("times in ms: p50, p99, max%18s|  answers' staleness |   old ones seen for |  new ones seen after\n",
                "");
    std::printf("host answers   hits degr.  503 silent back\n");
}

void print_result(const Result& result) {
    std::printf("%s: %s\n", result.name.c_str(), result.what.c_str());
    for (std::size_t host = 0; host < result.verdicts.size(); ++host) {
        const Verdict& verdict = result.verdicts[host];
        const bool is_marked = result.marked && *result.marked == static_cast<int>(host);
        std::printf("%3zu%c%8zu%7zu%6zu%5zu%7zu%5zu", host, is_marked ? '*' : ' ', verdict.answers, verdict.hits,
                    verdict.degraded, verdict.refused, verdict.silent, verdict.backwards);
        for (const Quantiles& quantiles : {verdict.staleness, verdict.seen_old, verdict.seen_new})
            print_quantiles(quantiles);
        std::printf(" | trouble for %.0f, settled in %.0f, %zu missed\n", verdict.trouble_ms,
                    result.settlings[host].took_ms, result.settlings[host].missed);
    }
    std::printf(
        "    %lu commits in %.1f s; for each, the fleet computed %.2f documents, %.2f values in all\n"
        "    a bystander's round trip to the database: p50 %.1f, p99 %.1f, max %.1f ms\n",
        static_cast<unsigned long>(result.commits), result.commits_took_s, result.reads_a_commit,
        result.computations_a_commit, result.bystander.p50, result.bystander.p99, result.bystander.max);
    for (const std::string& promise : result.broken) std::printf("    BROKEN: %s\n", promise.c_str());
    std::fflush(stdout);
}

void write_json(const std::string& path, const Settings& settings, const std::vector<Result>& results) {
    const Abilities& abilities = settings.abilities;
    json::object all{{"hosts", settings.hosts},     {"seconds", settings.seconds}, {"seed", settings.seed},
                     {"nats", abilities.uses_nats}, {"tier", abilities.uses_tier}, {"bound_ms", nullptr}};
    if (const std::optional<int> bound_ms = abilities.bound_ms()) all["bound_ms"] = *bound_ms;
    json::array cases;
    for (const Result& result : results) cases.push_back(json_of(result));
    all["cases"] = std::move(cases);
    std::ofstream file(path);
    file << json::serialize(all) << '\n';
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace larder::fleet
