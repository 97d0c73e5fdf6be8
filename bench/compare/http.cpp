// S12: pages over HTTP by `larder serve`, beside the same server whose pages are in Redis.
#include <fmt/format.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/compare/groups.hpp"
#include "bench/rounds.hpp"
#include "bench/scoped_cache.hpp"
#include "bench/server_process.hpp"
#include "bench/workload.hpp"
#ifdef LARDER_BENCH_PEERS
#include "bench/peers/redis_pages.hpp"
#endif

namespace larder::bench {
namespace {

constexpr int kAssignment = 1;
constexpr int kSubmissions = 400;

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// A directory with a database of one assignment, `larder serve` on it, and wrk's script.
class Site {
public:
    Site() : directory_(make_directory()) {
        std::ofstream(path("assignments.csv"))
            << "assignment_id,title,author_id,max_score,due_at,assigned_count,course\n"
            << kAssignment << ",Bench,1,100,2026-01-01T00:00:00Z,500,Course\n";
        std::ofstream submissions(path("submissions.csv"));
        submissions << "submission_id,assignment_id,student_id,status,score,max_score,is_late,submitted_at,graded_at\n";
        for (int n = 1; n <= kSubmissions; ++n)
            submissions << fmt::format("{},{},{},graded,{},100,0,2025-12-01T12:00:00Z,2025-12-02T12:00:00Z\n", n,
                                       kAssignment, n, n % 101);
        submissions.close();
        std::ofstream(path("done.lua"))
            << "done = function(summary, latency)\n"
               "  local errors = summary.errors\n"
               "  io.write(string.format('RESULT %d %d %d %d %d %d\\n', summary.requests, summary.duration,\n"
               "    errors.connect + errors.read + errors.write + errors.status + errors.timeout,\n"
               "    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))\n"
               "end\n";
        const std::string larder = program_beside("larder");
        output_of(fmt::format("{} import --db {} --assignments {} --submissions {}", larder, path("school.db"),
                              path("assignments.csv"), path("submissions.csv")));
        std::filesystem::create_directory(path("cache"));
        std::filesystem::permissions(path("cache"), std::filesystem::perms::owner_all);
        serve_ = std::make_unique<ServerProcess>(
            larder,
            std::vector<std::string>{"serve", "--directory", path("cache"), "--db", path("school.db"), "--workers", "2",
                                     "--listen", "127.0.0.1:0", "--port-file", path("port")},
            [this] { return !text_of(path("port")).empty(); });
    }
    ~Site() {
        serve_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    Site(const Site&) = delete;
    Site& operator=(const Site&) = delete;

    std::string path(const std::string& name) const { return directory_ + "/" + name; }
    std::string url() const { return fmt::format("http://127.0.0.1:{}", std::stoi(text_of(path("port")))); }

private:
    std::string directory_;
    std::unique_ptr<ServerProcess> serve_;
};

std::string page_of(const std::string& url) {
    return fmt::format("{}/api/assignments/{}/analytics/", url, kAssignment);
}

struct Load {
    double requests_per_second = 0;
    Quantiles times;
};

Load load_with_wrk(const Site& site, const std::string& url, int seconds) {
    const std::string output = output_of(
        fmt::format("{} -t1 -c16 -d{}s -s {} {}", find_program("wrk"), seconds, site.path("done.lua"), page_of(url)));
    const std::size_t at = output.find("RESULT ");
    require(at != std::string::npos, "wrk did not say how it went");
    std::istringstream numbers(output.substr(at + 7));
    double requests = 0, duration_us = 0, errors = 0, p50_us = 0, p99_us = 0, p999_us = 0;
    numbers >> requests >> duration_us >> errors >> p50_us >> p99_us >> p999_us;
    require(requests > 0 && errors == 0, "wrk met errors");
    return {requests * 1e6 / duration_us,
            {p50_us * 1e3, p99_us * 1e3, p999_us * 1e3, static_cast<std::size_t>(requests)}};
}

/// One of those that are loaded in turn.
struct Server {
    std::string name, url;
    std::vector<double> rates{}, p99_ms{};
    Quantiles times{};
};

void load_in_turn(Report& report, const Site& site, std::vector<Server>& servers) {
    const bool quick = report.effort().quick;
    for (int round = 0; round < (quick ? 2 : 3); ++round)
        for (Server& server : servers) {
            const Load load = load_with_wrk(site, server.url, quick ? 3 : 10);
            server.rates.push_back(load.requests_per_second);
            server.p99_ms.push_back(load.times.p99_ns / 1e6);
            server.times = load.times;
        }
    for (const Server& server : servers) {
        report.add({"http", server.name, 0, "wrk -t1 -c16", "requests/s", server.rates, server.times});
        report.note(fmt::format("{}: {:.0f} requests/s, p50 {:.2f} ms, p99 {:.2f}, p99.9 {:.2f}", server.name,
                                median(server.rates), server.times.p50_ns / 1e6, server.times.p99_ns / 1e6,
                                server.times.p999_ns / 1e6));
    }
}

std::string fetch(const std::string& url) { return output_of("curl -sf " + page_of(url)); }

}  // namespace

void compare_http(Report& report) {
    if (find_program("wrk").empty() || find_program("curl").empty())
        return report.note("wrk or curl is not installed: not compared");
    const Site site;
    const std::string document = fetch(site.url());
    require(!document.empty() && fetch(site.url()) == document, "the page is not served");
    std::vector<Server> servers{{"larder serve", site.url()}};
#ifdef LARDER_BENCH_PEERS
    const std::unique_ptr<RedisPages> redis = RedisPages::make({{kAssignment, document}});
    if (redis != nullptr) {
        require(fetch(redis->url()) == document, "the peer serves another page");
        servers.push_back({"the same from Redis", redis->url()});
    }
#endif
    load_in_turn(report, site, servers);
    const Server& ours = servers.front();
    report.judge("S12", {"p99 of a page", "ms", {"<=", 2}, median(ours.p99_ms), ours.p99_ms, ours.times.samples});
    if (servers.size() == 1) return report.note("Redis is not installed: not compared");
    std::vector<double> ratios;
    for (std::size_t round = 0; round < ours.rates.size(); ++round)
        ratios.push_back(ours.rates[round] / servers.back().rates[round]);
    report.judge("S12",
                 {"pages a second / the same from Redis", "x", {">=", 2}, median(ratios), ratios, ours.times.samples});
}

}  // namespace larder::bench
