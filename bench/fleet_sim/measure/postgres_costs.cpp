#include "bench/fleet_sim/measure/postgres_costs.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "bench/fleet_sim/delays.hpp"
#include "bench/fleet_sim/fleet_run.hpp"
#include "bench/fleet_sim/measure/processor_time.hpp"
#include "bench/fleet_sim/random.hpp"
#include "bench/server_process.hpp"
#include "core/postgres/connection.hpp"
#include "core/postgres/postgres_import.hpp"
#include "core/postgres/postgres_relay.hpp"
#include "core/postgres/postgres_source.hpp"

namespace larder::bench::sim {
namespace {

using postgres::Connection;
using postgres::ConnectionOptions;
using postgres::PostgresRelay;

constexpr int assignments = 188, submissions_each = 925;  // OULAD's: 173,912 submissions of 188 assignments
constexpr std::chrono::seconds patience{60};

class Server {
public:
    explicit Server(const std::string& directory) : directory_(directory) {
        std::string programs = output_of("pg_config --bindir");
        programs.pop_back();
        std::string as_user;
        std::vector<std::string> words;
        if (::geteuid() == 0) {  // which it refuses to be
            const passwd* const user = ::getpwnam("postgres");
            if (user == nullptr || ::chown(directory.c_str(), user->pw_uid, user->pw_gid) != 0)
                throw std::runtime_error("there is no user postgres");
            as_user = "setpriv --reuid=postgres --regid=postgres --clear-groups ";
            words = {"--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"};
        }
        output_of(as_user + programs + "/initdb -D " + directory +
                  "/data -U postgres --auth=trust --no-sync -E UTF8 --locale=C");
        const std::vector<std::string> settings{
            "-D", directory + "/data",  "-k", directory, "-h", "", "-F", "-c", "autovacuum=off",
            "-c", "max_connections=100"};
        const std::string program = programs + "/postgres";
        const auto ready = [this] {
            try {
                const Connection connection(options());
                return true;
            } catch (const std::exception&) {
                return false;
            }
        };
        if (!words.empty()) words.push_back(program);
        words.insert(words.end(), settings.begin(), settings.end());
        process_ = std::make_unique<ServerProcess>(as_user.empty() ? program : find_program("setpriv"), words, ready);
    }
    std::string url() const { return "postgresql:///postgres?host=" + directory_ + "&user=postgres"; }
    ConnectionOptions options() const { return {.url = url(), .patience = patience}; }
    double processor_us() const { return sim::processor_us(process_->pid()); }

    /// Sessions that were closed end, so that none does while others are measured.
    static void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(300)); }
    /// A call's share of what the server's processes have used, in us.
    template <class Call>
    double cost_us(int calls, Call&& call) const {
        const double before_us = processor_us();
        for (int n = 0; n < calls; ++n) call(n);
        return (processor_us() - before_us) / calls;
    }

private:
    const std::string directory_;
    std::unique_ptr<ServerProcess> process_;
};

struct Deaf final : NoticeSink {
    void changed(std::span<const AssignmentId>) override {}
    void everything_changed(std::string_view) override {}
    std::optional<OutboxPosition> position() override { return std::nullopt; }
    void remember(const OutboxPosition&) override {}
};

void fill(Connection& writer) {
    postgres::create_schema(writer);
    writer.run(fmt::format(
        "INSERT INTO assignments(assignment_id, title, author_id, max_score, assigned_count) "
        "SELECT n, 'Essay', n % 7, 100, {1} FROM generate_series(1, {0}) n; "
        "INSERT INTO submissions(submission_id, assignment_id, student_id, status, score, max_score, submitted_at, "
        "graded_at) "
        "SELECT n, n % {0} + 1, n, 'graded', n % 100, 100, now(), now() FROM generate_series(1, {0} * {1}) n; "
        "ANALYZE",
        assignments, submissions_each));
}

/// Of a host that is rung for now and then: a look in a row of looks costs a quarter.
constexpr std::chrono::milliseconds between_looks{20};

void measure_looks(const Server& server, Connection& writer, CostFile& costs) {
    Deaf sink;
    PostgresRelay ringer(server.url(), sink, {}), other(server.url(), sink, {});
    ringer.poll();
    other.poll();
    const auto look_us = [&](std::chrono::milliseconds pause) {
        std::this_thread::sleep_for(pause);
        return server.cost_us(1, [&](int) { other.poll(); });
    };
    constexpr int empty = 500, beats = 20, rounds = 100;
    const double share_that_beats = std::chrono::duration<double>(between_looks) / PostgresRelay::heartbeat;
    double empty_us = 0, first_us = 0;
    for (int look = 0; look < empty; ++look) empty_us += look_us(between_looks) / empty;
    for (int beat = 0; beat < beats; ++beat) first_us += look_us(PostgresRelay::heartbeat) / beats;
    const double beat_us = (first_us - empty_us) / (1 - share_that_beats);
    const auto without_beats = [&](double us) { return us - share_that_beats * beat_us; };
    costs.add("postgres.look", without_beats(empty_us), processor_time,
              fmt::format("{} looks by PostgresRelay::poll, {} ms after one another, nothing to find; less the beats",
                          empty, between_looks.count()));
    costs.add("postgres.beat", beat_us, processor_time,
              fmt::format("{} looks each after a heartbeat: {:.0f} us; what they took more", beats, first_us));
    double with_rows_us[2] = {}, relay_us = 0;
    constexpr int rows[2] = {1, 1'000};
    for (int size = 0; size < 2; ++size)
        for (int round = 0; round < rounds; ++round) {
            writer.run(
                fmt::format("INSERT INTO outbox(assignment_id, kind) SELECT n, 'submission' FROM "
                            "generate_series(1, {}) n",
                            rows[size]));
            const double thread_us = thread_processor_us();
            with_rows_us[size] += look_us(between_looks) / rounds;
            if (size == 1) relay_us += (thread_processor_us() - thread_us) / rounds / rows[size];
        }
    costs.add("postgres.look_found", without_beats(with_rows_us[0]), processor_time,
              fmt::format("{} looks that found one row, as above", rounds));
    costs.add("postgres.look_row", (with_rows_us[1] - with_rows_us[0]) / (rows[1] - rows[0]), processor_time,
              fmt::format("100 looks that found 1,000 rows: {:.0f} us each, 1 row: {:.0f} us; a row's part",
                          with_rows_us[1], with_rows_us[0]));
    costs.add("relay.row", relay_us, processor_time, "the relay's own thread in those of 1,000 rows, a row's part");
}

void measure_bell(const Server& server, Connection& writer, CostFile& costs) {
    Server::settle();
    constexpr int rings = 300;
    std::vector<std::unique_ptr<Connection>> listeners;
    std::vector<double> at;
    const std::vector<std::size_t> counts{0, 1, 10, 50};
    for (const std::size_t count : counts) {
        while (listeners.size() < count) {
            listeners.push_back(std::make_unique<Connection>(server.options()));
            listeners.back()->run("LISTEN larder_outbox");
        }
        at.push_back(server.cost_us(rings, [&](int) {
            writer.run("NOTIFY larder_outbox");
            for (const auto& listener : listeners) listener->wait_for_notice(patience);
        }));
    }
    costs.add("postgres.notify", at[0], processor_time, "300 times NOTIFY, without a listener");
    costs.add(
        "postgres.bell", (at[3] - at[0]) / 50, processor_time,
        fmt::format("the same with 1, 10, 50 listeners: {:.0f}, {:.0f}, {:.0f} us in all; a listener's part of 50",
                    at[1], at[2], at[3]));
}

void measure_trigger(const Server& server, Connection& writer, CostFile& costs) {
    Server::settle();
    double us[2] = {};
    constexpr int rounds = 10, changes = 300;
    for (int round = 0; round < rounds; ++round)
        for (const int with : {0, 1}) {
            writer.run(with == 1 ? "SET session_replication_role = origin" : "SET session_replication_role = replica");
            us[with] += server.cost_us(changes, [&](int n) {
                writer.run(fmt::format("UPDATE submissions SET score = {} WHERE submission_id = {}", n % 90,
                                       1 + n * 101 + round));
            }) / rounds;
        }
    costs.add("postgres.trigger", us[1] - us[0], processor_time,
              fmt::format("3,000 changes of one row: {:.0f} us with the triggers, {:.0f} us without", us[1], us[0]));
}

void measure_compute(const Server& server, CostFile& costs) {
    Server::settle();
    postgres::PostgresSource source(server.url());
    std::mt19937 random(1);
    constexpr int loads = 400;
    const double own_us = thread_processor_us();
    const double us = server.cost_us(loads, [&](int) { source.load(1 + static_cast<int>(random() % assignments)); });
    costs.add("postgres.compute", us, processor_time,
              fmt::format("400 times PostgresSource::load of {} submissions, as many as OULAD's assignments have; "
                          "the worker uses {:.0f} us besides",
                          submissions_each, (thread_processor_us() - own_us) / loads));
}

using Clock = std::chrono::steady_clock;

/// When each assignment was changed last.
using Commits = std::array<std::atomic<Clock::rep>, assignments + 1>;

/// Notes how long a change was on its way.
class Watching final : public NoticeSink {
public:
    explicit Watching(const Commits& commits) : commits_(commits) {}
    void changed(std::span<const AssignmentId> ids) override {
        for (const AssignmentId id : ids) {
            const Clock::duration at(commits_[static_cast<std::size_t>(id)].load());
            if (at.count() != 0)
                delays.add(std::chrono::duration<double>(Clock::now().time_since_epoch() - at).count());
        }
    }
    void everything_changed(std::string_view) override {}
    std::optional<OutboxPosition> position() override { return std::nullopt; }
    void remember(const OutboxPosition&) override {}

    Delays delays;

private:
    const Commits& commits_;
};

void print_row(const char* what, double processors, double p50_s, double p99_s) {
    fmt::print("{:<12}{:>8.3f} processors of the database, stale p50 {:.1f} ms, p99 {:.1f} ms\n", what, processors,
               p50_s * 1e3, p99_s * 1e3);
}

}  // namespace

void measure_postgres(const std::string& directory, CostFile& costs) {
    const Server server(directory);
    Connection writer(server.options());
    fill(writer);
    measure_looks(server, writer, costs);
    measure_bell(server, writer, costs);
    measure_trigger(server, writer, costs);
    measure_compute(server, costs);
}

void compare_with_relays(const std::string& directory, Costs costs) {
    constexpr int hosts = 20, changes = 180;
    constexpr double changes_per_s = 30;
    const Server server(directory);
    Connection writer(server.options());
    fill(writer);
    Commits commits{};
    std::vector<std::unique_ptr<Watching>> sinks;
    std::vector<std::unique_ptr<PostgresRelay>> relays;
    std::vector<std::jthread> threads;
    for (int host = 0; host < hosts; ++host) {
        sinks.push_back(std::make_unique<Watching>(commits));
        relays.push_back(std::make_unique<PostgresRelay>(server.url(), *sinks.back(), Log{}));
        threads.emplace_back([&relay = *relays.back()](std::stop_token stop) { relay.run(stop); });
    }
    std::this_thread::sleep_for(std::chrono::seconds(2));
    Random random(1);
    const auto began = Clock::now();
    const double us = server.cost_us(1, [&](int) {
        for (int n = 0; n < changes; ++n) {
            std::this_thread::sleep_for(std::chrono::duration<double>(random.gap_s(changes_per_s)));
            const int assignment = 1 + n % assignments;
            writer.run(
                fmt::format("UPDATE assignments SET max_score = {} WHERE assignment_id = {}", 50 + n, assignment));
            commits[static_cast<std::size_t>(assignment)] = Clock::now().time_since_epoch().count();
        }
    });
    const double lasted_s = std::chrono::duration<double>(Clock::now() - began).count();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    threads.clear();
    Delays measured;
    for (const auto& sink : sinks) measured.add_all(sink->delays);
    print_row("measured", us / 1e6 / lasted_s, measured.quantile_s(0.5), measured.quantile_s(0.99));

    costs.database_processors = 2;
    costs.round_trip_us = 100;  // through a socket of this machine
    const FleetResult simulated = simulate({.hosts = hosts,
                                            .changes_per_s = changes / lasted_s,
                                            .views_per_s = 0.001,
                                            .mode = Mode::outbox,
                                            .measured_s = 60},
                                           costs);
    print_row("simulated", simulated.engines.front().busy_share * costs.database_processors,
              simulated.staleness.quantile_s(0.5), simulated.staleness.quantile_s(0.99));
}

}  // namespace larder::bench::sim
