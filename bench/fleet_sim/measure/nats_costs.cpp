#include "bench/fleet_sim/measure/nats_costs.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <nats/nats.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bench/fleet_sim/measure/processor_time.hpp"
#include "bench/server_process.hpp"

namespace larder::bench::sim {
namespace {

using std::chrono::steady_clock;

constexpr int servers = 3, operations = 2'000;
constexpr int askers = 16, operations_each = 500;  // busy servers do not look for work in vain
constexpr const char* stream = "LARDER_NOTICES";
constexpr const char* subject = "larder.notices";

void check(natsStatus status, const char* what) {
    if (status != NATS_OK) throw std::runtime_error(fmt::format("nats: {}: {}", what, natsStatus_GetText(status)));
}

/// One that nobody listens on now.
int free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const bool is_bound = ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                          ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    ::close(socket);
    if (!is_bound) throw std::runtime_error("no port is free");
    return ntohs(address.sin_port);
}

struct Close {
    void operator()(natsConnection* connection) const { natsConnection_Destroy(connection); }
    void operator()(natsSubscription* subscription) const { natsSubscription_Destroy(subscription); }
    void operator()(jsCtx* context) const { jsCtx_Destroy(context); }
    void operator()(kvStore* store) const { kvStore_Destroy(store); }
};
using Connection = std::unique_ptr<natsConnection, Close>;
using Subscription = std::unique_ptr<natsSubscription, Close>;
using Context = std::unique_ptr<jsCtx, Close>;
using Store = std::unique_ptr<kvStore, Close>;

/// By server, the one that used most in front: it leads.
using Used = std::array<double, servers>;

class Cluster {
public:
    explicit Cluster(const std::string& directory) {
        for (int& port : ports_) port = free_port();
        std::array<int, servers> inner{};
        std::string routes;
        for (int& port : inner) {
            port = free_port();
            routes += fmt::format("{}nats://127.0.0.1:{}", routes.empty() ? "" : ",", port);
        }
        for (int n = 0; n < servers; ++n)
            processes_[n] = std::make_unique<ServerProcess>(
                find_program("nats-server"),
                std::vector<std::string>{"-n", fmt::format("n{}", n), "-a", "127.0.0.1", "-p",
                                         std::to_string(ports_[n]), "-js", "-sd", fmt::format("{}/n{}", directory, n),
                                         "--cluster_name", "larder", "--cluster",
                                         fmt::format("nats://127.0.0.1:{}", inner[n]), "--routes", routes},
                [this, n] { return connect(n) != nullptr; });
    }
    Connection connect(int server) const {
        natsConnection* connection = nullptr;
        natsConnection_ConnectTo(&connection, fmt::format("nats://127.0.0.1:{}", ports_[server % servers]).c_str());
        return Connection(connection);
    }
    Used processor_us() const {
        Used used;
        for (int n = 0; n < servers; ++n) used[n] = sim::processor_us(processes_[n]->pid());
        return used;
    }
    /// A call's share of what the servers have used; they go on after the last one for a while.
    template <class Call>
    Used cost_us(int calls, Call&& call) const {
        using namespace std::chrono_literals;
        const Used before_us = processor_us();
        const auto began = steady_clock::now();
        for (int n = 0; n < calls; ++n) call(n);
        std::this_thread::sleep_for(50ms);
        const double lasted_s = std::chrono::duration<double>(steady_clock::now() - began).count();
        Used used = processor_us();
        for (int n = 0; n < servers; ++n)
            used[n] = std::max(0.0, used[n] - before_us[n] - idle_us_per_s_[n] * lasted_s) / calls;
        std::sort(used.rbegin(), used.rend());
        return used;
    }
    /// The same of several threads that are in a hurry: work(thread, n).
    template <class Work>
    Used cost_together_us(Work&& work) const {
        Used used = cost_us(1, [&](int) {
            std::vector<std::future<void>> threads;
            for (int thread = 0; thread < askers; ++thread)
                threads.push_back(std::async(std::launch::async, [&work, thread] {
                    for (int n = 0; n < operations_each; ++n) work(thread, n);
                }));
            for (std::future<void>& thread : threads) thread.get();
        });
        for (double& us : used) us /= askers * operations_each;
        return used;
    }
    /// What they use without being asked anything is no operation's.
    void measure_idle() {
        using namespace std::chrono_literals;
        const Used before_us = processor_us();
        std::this_thread::sleep_for(2s);
        const Used after_us = processor_us();
        for (int n = 0; n < servers; ++n) idle_us_per_s_[n] = (after_us[n] - before_us[n]) / 2;
    }

private:
    std::array<int, servers> ports_{};
    std::array<std::unique_ptr<ServerProcess>, servers> processes_;
    Used idle_us_per_s_{};
};

double sum(const Used& used) { return std::accumulate(used.begin(), used.end(), 0.0); }
double follower(const Used& used) { return (used[1] + used[2]) / 2; }

/// The cluster elects its leaders first.
template <class Call>
void retry(const char* what, Call&& call) {
    natsStatus status = NATS_ERR;
    for (int n = 0; n < 100 && status != NATS_OK; ++n) {
        status = call();
        if (status != NATS_OK) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    check(status, what);
}

void make_stream(jsCtx* context) {
    jsStreamConfig settings;
    jsStreamConfig_Init(&settings);
    const char* subjects[] = {subject};
    settings.Name = stream;
    settings.Subjects = subjects;
    settings.SubjectsLen = 1;
    settings.Replicas = servers;
    retry("making the stream", [&] { return js_AddStream(nullptr, context, &settings, nullptr, nullptr); });
}

void make_store(jsCtx* context, const char* name) {
    kvConfig settings;
    kvConfig_Init(&settings);
    settings.Bucket = name;
    settings.History = 1;
    settings.StorageType = js_MemoryStorage;
    settings.Replicas = servers;
    kvStore* store = nullptr;
    retry("making a bucket", [&] { return js_CreateKeyValue(&store, context, &settings); });
    kvStore_Destroy(store);
}

void publish(jsCtx* context, const std::string& message) {
    jsPubAck* acknowledgement = nullptr;
    check(js_Publish(&acknowledgement, context, subject, message.data(), static_cast<int>(message.size()), nullptr,
                     nullptr),
          "publishing");
    jsPubAck_Destroy(acknowledgement);
}

void count(natsConnection*, natsSubscription*, natsMsg* message, void* counter) {
    static_cast<std::atomic<int>*>(counter)->fetch_add(1, std::memory_order_relaxed);
    natsMsg_Destroy(message);
}

void measure_stream(const Cluster& cluster, jsCtx* context, CostFile& costs) {
    const std::string message(200, 'n');  // some ten notices
    std::vector<double> times_us;
    const Used alone = cluster.cost_us(operations, [&](int) {
        const auto began = steady_clock::now();
        publish(context, message);
        times_us.push_back(std::chrono::duration<double, std::micro>(steady_clock::now() - began).count());
    });
    std::sort(times_us.begin(), times_us.end());
    const double typical_us = times_us[times_us.size() / 2];
    costs.add("nats.publish_leader", alone[0], processor_time, "2,000 messages of 200 B, each acknowledged; file, R3");
    costs.add("nats.publish_follower", follower(alone), processor_time, "the same, mean of the two others");
    costs.add(
        "nats.replicate", std::max(0.0, typical_us - alone[0] - follower(alone)), "us",
        fmt::format("p50 of an acknowledgement, {:.0f} us on loopback, less leader's and follower's time", typical_us));
}

/// Who consumes the stream as a host does.
class Consumers {
public:
    Consumers(const Cluster& cluster, bool of_stream) : cluster_(cluster), of_stream_(of_stream) {}
    ~Consumers() { subscriptions_.clear(); }

    void add() {
        connections_.push_back(cluster_.connect(static_cast<int>(connections_.size())));
        jsCtx* context = nullptr;
        check(natsConnection_JetStream(&context, connections_.back().get(), nullptr), "a context");
        contexts_.emplace_back(context);
        natsSubscription* subscription = nullptr;
        if (of_stream_)
            retry("subscribing", [&] { return subscribe_in_order(&subscription, context); });
        else
            check(natsConnection_Subscribe(&subscription, connections_.back().get(), subject, count, &delivered_),
                  "subscribing");
        check(natsConnection_Flush(connections_.back().get()), "flushing");
        subscriptions_.emplace_back(subscription);
    }
    /// One message at all of them.
    void await(int messages) {
        const auto until = steady_clock::now() + std::chrono::seconds(10);
        while (delivered_.load() < messages * static_cast<int>(subscriptions_.size())) {
            if (steady_clock::now() > until) throw std::runtime_error("nats: messages were not delivered");
            std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
    }
    void restart() { delivered_ = 0; }
    std::size_t size() const { return subscriptions_.size(); }

private:
    natsStatus subscribe_in_order(natsSubscription** subscription, jsCtx* context) {
        jsSubOptions options;
        jsSubOptions_Init(&options);
        options.Ordered = true;
        options.Stream = stream;
        options.Config.DeliverPolicy = js_DeliverNew;
        return js_Subscribe(subscription, context, subject, count, &delivered_, nullptr, &options, nullptr);
    }

    const Cluster& cluster_;
    const bool of_stream_;  // else of the subject: no consumer that the server keeps
    std::atomic<int> delivered_{0};
    std::vector<Connection> connections_;
    std::vector<Context> contexts_;
    std::vector<Subscription> subscriptions_;
};

/// What one more consumer adds to a message's cost.
void measure_delivery(const Cluster& cluster, jsCtx* context, bool of_stream, CostFile& costs) {
    constexpr int messages = 200;
    constexpr std::array<std::size_t, 2> counts{20, 120};
    const std::string message(200, 'n');
    Consumers consumers(cluster, of_stream);
    std::array<double, 2> us{};
    for (std::size_t size = 0; size < counts.size(); ++size) {
        while (consumers.size() < counts[size]) consumers.add();
        std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the servers tell each other
        consumers.restart();
        us[size] = sum(cluster.cost_us(messages, [&](int n) {
            publish(context, message);
            consumers.await(n + 1);
        }));
    }
    costs.add(
        of_stream ? "nats.deliver" : "nats.deliver_plain", (us[1] - us[0]) / static_cast<double>(counts[1] - counts[0]),
        processor_time,
        fmt::format("200 messages to 20 {}: {:.0f} us each, all servers; to 120: {:.0f}; a 100th of the difference",
                    of_stream ? "ordered consumers" : "subscribers of the subject", us[0], us[1]));
}

/// A thread's own way to the cluster.
struct Asker {
    Asker(const Cluster& cluster, int number) : connection(cluster.connect(number)) {
        jsCtx* made = nullptr;
        check(natsConnection_JetStream(&made, connection.get(), nullptr), "a context");
        context.reset(made);
    }
    Store open(const char* bucket) const {
        kvStore* store = nullptr;
        check(js_KeyValue(&store, context.get(), bucket), "opening a bucket");
        return Store(store);
    }
    Connection connection;
    Context context;
};

std::vector<Asker> make_askers(const Cluster& cluster) {
    std::vector<Asker> all;
    for (int number = 0; number < askers; ++number) all.emplace_back(cluster, number);
    return all;
}

void measure_documents(const Cluster& cluster, jsCtx* context, CostFile& costs) {
    make_store(context, "documents");
    make_store(context, "leases");
    const std::string document(4'096, 'd');
    const std::vector<Asker> all = make_askers(cluster);
    std::vector<Store> documents, leases;
    for (const Asker& asker : all) {
        documents.push_back(asker.open("documents"));
        leases.push_back(asker.open("leases"));
    }
    const auto key = [](int thread, int n) { return fmt::format("assignment_stats.{}", thread * operations_each + n); };
    const auto bytes = static_cast<int>(document.size());
    const std::string count = fmt::format("{} by 16 threads at once", askers * operations_each);
    const Used puts = cluster.cost_together_us([&](int thread, int n) {
        check(kvStore_Put(nullptr, documents[thread].get(), key(thread, n).c_str(), document.data(), bytes), "a put");
    });
    costs.add("nats.kv_put_leader", puts[0], processor_time, "puts of 4 KiB, memory, R3; " + count);
    costs.add("nats.kv_put_follower", follower(puts), processor_time, "the same, mean of the two others");
    const Used gets = cluster.cost_together_us([&](int thread, int n) {
        kvEntry* entry = nullptr;
        check(kvStore_Get(&entry, documents[thread].get(), key(thread, n).c_str()), "a get");
        kvEntry_Destroy(entry);
    });
    costs.add("nats.kv_get", sum(gets), processor_time, "gets of 4 KiB from any server, all three servers; " + count);
    const Used latest = cluster.cost_together_us([&](int thread, int n) {
        natsMsg* message = nullptr;
        const std::string its_subject = "$KV.documents." + key(thread, n);
        check(js_GetLastMsg(&message, all[thread].context.get(), "KV_documents", its_subject.c_str(), nullptr, nullptr),
              "a get");
        natsMsg_Destroy(message);
    });
    costs.add("nats.kv_get_leader", latest[0], processor_time, "gets of 4 KiB from the leader; " + count);
    costs.add("nats.kv_get_follower", follower(latest), processor_time, "the same, mean of the two others");
    const Used creates = cluster.cost_together_us([&](int thread, int n) {
        check(kvStore_Create(nullptr, leases[thread].get(), key(thread, n).c_str(), "holder", 6), "a create");
    });
    costs.add("nats.kv_create_leader", creates[0], processor_time, "creates, memory, R3; " + count);
    costs.add("nats.kv_create_follower", follower(creates), processor_time, "the same, mean of the two others");
}

void answer(natsConnection* connection, natsSubscription*, natsMsg* message, void*) {
    natsConnection_PublishString(connection, natsMsg_GetReply(message), "4711");
    natsMsg_Destroy(message);
}

void measure_asking(const Cluster& cluster, CostFile& costs) {
    const Connection relay = cluster.connect(1);
    natsSubscription* subscription = nullptr;
    check(natsConnection_Subscribe(&subscription, relay.get(), "larder.position", answer, nullptr), "subscribing");
    const Subscription kept(subscription);
    check(natsConnection_Flush(relay.get()), "flushing");
    const std::vector<Asker> all = make_askers(cluster);
    const double own_us = own_processor_us();
    const Used asked = cluster.cost_together_us([&](int thread, int) {
        natsMsg* reply = nullptr;
        check(natsConnection_RequestString(&reply, all[thread].connection.get(), "larder.position", "", 5'000),
              "a request");
        natsMsg_Destroy(reply);
    });
    const std::string count = fmt::format("{} requests and replies of 16 threads", askers * operations_each);
    costs.add("nats.ask", sum(asked), processor_time, count + ", all servers; two thirds go through two of them");
    costs.add("relay.answer", (own_processor_us() - own_us) / (askers * operations_each) / 2, processor_time,
              "half of what asker and answerer, one process, use for those");
}

}  // namespace

void measure_nats(const std::string& directory, CostFile& costs) {
    Cluster cluster(directory);
    const Connection connection = cluster.connect(0);
    jsCtx* made = nullptr;
    check(natsConnection_JetStream(&made, connection.get(), nullptr), "a context");
    const Context context(made);
    make_stream(context.get());
    cluster.measure_idle();
    measure_stream(cluster, context.get(), costs);
    for (const bool of_stream : {true, false}) measure_delivery(cluster, context.get(), of_stream, costs);
    measure_documents(cluster, context.get(), costs);
    measure_asking(cluster, costs);
}

}  // namespace larder::bench::sim
