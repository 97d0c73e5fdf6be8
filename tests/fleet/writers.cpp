#include "tests/fleet/writers.hpp"

#include <stdexcept>

#include "core/submission_source.hpp"
#include "shm/system.hpp"
#include "tests/support/eventually.hpp"

namespace larder::fleet {

struct Writers::Writer {
    std::mt19937_64 random;
    std::unique_ptr<postgres::Connection> connection;
};

Writers::Writers(const Database& database, Ledger& ledger, Pace pace, std::uint64_t seed)
    : database_(database), ledger_(ledger), pace_(pace), seed_(seed) {
    for (std::size_t number = 0; number < static_cast<std::size_t>(pace.writers); ++number)
        threads_.emplace_back([this, number] { write(number); });
}

Writers::~Writers() {
    stop();
    for (std::thread& thread : threads_)
        if (thread.joinable()) thread.join();
}

void Writers::finish() {
    for (std::thread& thread : threads_) thread.join();
    if (lost_ != 0) throw std::runtime_error("a writer found no way back to the database");
}

void Writers::write(std::size_t number) {
    Writer writer{.random = std::mt19937_64(seed_ * 1'000 + number), .connection = nullptr};
    if (!reconnect(writer)) return;
    for (std::uint32_t round = 0; pace_.rounds == 0 || round < pace_.rounds; ++round)
        for (std::size_t n = number; n < ledger_.size(); n += static_cast<std::size_t>(pace_.writers)) {
            if (stopped_ || !commit(writer, static_cast<std::uint32_t>(n + 1))) return;
            pause(writer, pace_.most_pause_ms);
        }
}

/// The next version of it is committed, whatever that takes. False: there is no way back to the database.
bool Writers::commit(Writer& writer, std::uint32_t assignment) {
    Commits& commits = ledger_[assignment - 1];
    const auto version = static_cast<std::int64_t>(commits.size()) + 1;
    const std::string id = std::to_string(assignment);
    const bool is_silent = pace_.is_careless && assignment == 1;
    const std::string begin = is_silent ? "BEGIN; SET LOCAL session_replication_role = replica; " : "BEGIN; ";
    while (true) {
        try {
            writer.connection->run(begin + "UPDATE submissions SET score = " + std::to_string(version) +
                                   " WHERE submission_id = " + id);
            pause(writer, pace_.most_commit_ms);
            writer.connection->run("COMMIT");
            break;
        } catch (const SourceError&) {
            if (!reconnect(writer)) return false;
        }
        try {
            const postgres::Rows rows =
                writer.connection->run("SELECT score::bigint FROM submissions WHERE submission_id = " + id);
            if (rows.integer(0, 0) == version) break;
        } catch (const SourceError&) {}  // the next step of the loop meets it again
    }
    commits.push_back(now_ns());
    return true;
}

bool Writers::reconnect(Writer& writer) {
    const bool is_back = test::eventually(
        [&] {
            try {
                writer.connection = database_.connect("fleet writer");
                return true;
            } catch (const SourceError&) {
                return false;
            }
        },
        std::chrono::seconds(60));
    if (!is_back) ++lost_;
    return is_back;
}

void Writers::pause(Writer& writer, int most_ms) {
    if (most_ms == 0) return;
    const auto most_ns = static_cast<std::uint64_t>(most_ms) * 1'000'000;
    shm::system::sleep_ns(static_cast<std::int64_t>(writer.random() % most_ns));
}

}  // namespace larder::fleet
