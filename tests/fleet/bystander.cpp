#include "tests/fleet/bystander.hpp"

#include <memory>
#include <utility>

#include "core/postgres/connection.hpp"
#include "core/submission_source.hpp"
#include "shm/system.hpp"

namespace larder::fleet {
namespace {

constexpr std::int64_t kPauseNs = 20'000'000;

}  // namespace

Bystander::Bystander(int node, std::string url) : node_(node), url_(std::move(url)), thread_([this] { ask(); }) {}

Bystander::~Bystander() { finish(); }

Quantiles Bystander::finish() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
    return quantiles_of(times_ns_);
}

void Bystander::ask() {
    node_.network().enter();
    std::unique_ptr<postgres::Connection> connection;
    while (!stopped_) {
        const std::int64_t begin_ns = now_ns();
        try {
            if (!connection)
                connection = std::make_unique<postgres::Connection>(postgres::ConnectionOptions{
                    .url = url_, .name = "bystander", .patience = std::chrono::seconds(20)});
            connection->run("SELECT 1");
            times_ns_.push_back(now_ns() - begin_ns);
        } catch (const SourceError&) {
            connection = nullptr;
        }
        shm::system::sleep_ns(kPauseNs);
    }
}

}  // namespace larder::fleet
