// Open connections to all workers of a service, so that each of them can be asked.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "shm/process.hpp"
#include "tests/support/http_client.hpp"

namespace larder::freshness {

class Crew {
public:
    Crew(std::uint16_t port, std::size_t workers) : port_(port), workers_(workers) {}

    /// Calls use(worker's pid, answer) for each worker's answer. One that has died since, or that lives and does not
    /// answer, is left out; before, another is looked for in its place.
    template <class Use>
    void ask_all(const std::string& target, Use&& use) {
        complete();
        for (auto client = clients_.begin(); client != clients_.end();) {
            const test::HttpAnswer answer = client->second->get(target);
            if (answer.status == 0) {
                silent_ += is_alive(std::stoi(client->first)) ? 1 : 0;
                client = clients_.erase(client);
                continue;
            }
            use(std::stoi(client->first), answer);
            ++client;
        }
    }

    /// How often a worker that lived did not answer.
    std::uint64_t silent() const { return silent_; }

private:
    static bool is_alive(int pid) {
        const shm::process::Status status = shm::process::status_of(static_cast<std::uint32_t>(pid));
        return !status.gone && !status.is_zombie_without_threads() && !status.is_exiting();
    }

    /// The kernel chooses who is given a connection.
    void complete() {
        constexpr int kTries = 20;
        for (int n = 0; n < kTries && clients_.size() < workers_; ++n) {
            auto client = std::make_unique<test::HttpClient>(port_);
            if (!client->connected()) continue;
            const std::string worker = client->get("/healthz").header("X-Worker");
            if (!worker.empty()) clients_.emplace(worker, std::move(client));
        }
    }

    const std::uint16_t port_;
    const std::size_t workers_;
    std::map<std::string, std::unique_ptr<test::HttpClient>> clients_;  // by pid
    std::uint64_t silent_ = 0;
};

}  // namespace larder::freshness
