#include "core/database.hpp"

#include <chrono>
#include <thread>

namespace larder {
namespace {

constexpr int most_attempts = 200;  // to begin while a writer has the lock
constexpr std::chrono::milliseconds attempt_interval{10};
constexpr int max_batches_at_once = 10'000;
constexpr std::chrono::milliseconds remote_patience{2'000};  // nobody may relay just now

std::unique_ptr<Relay> open_patiently(const Database& database, NoticeSink& sink, const Log& log) {
    for (int attempt = 1;; ++attempt) {
        try {
            return database.open_relay(sink, log);
        } catch (const SourceUnavailable&) {
            if (attempt == most_attempts || database.is_remote()) throw;
            std::this_thread::sleep_for(attempt_interval);
        }
    }
}

}  // namespace

int relay_once(const Database& database, NoticeSink& sink, const Log& log) {
    const std::unique_ptr<Relay> relay = open_patiently(database, sink, log);
    const auto until = std::chrono::steady_clock::now() + remote_patience;
    int rows = 0;
    for (int batch = 0; batch < max_batches_at_once && !relay->caught_up(); ++batch) {
        const int told = relay->poll();
        rows += told;
        if (told != 0 || !database.is_remote()) continue;
        if (std::chrono::steady_clock::now() > until) break;
        std::this_thread::sleep_for(attempt_interval);
    }
    return rows;
}

}  // namespace larder
