// A school with a cache of its own before it: what the tests of AssignmentStatsCache and of the access rule begin with.
#pragma once

#include <boost/json/parse.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/assignment_stats_cache.hpp"
#include "core/sqlite_database.hpp"
#include "tests/core/school.hpp"
#include "tests/support/manual_clock.hpp"

namespace larder::test {

/// The log lines of one cache.
class LogBook {
public:
    Log log(LogLevel level = LogLevel::debug) {
        Log log;
        log.level = level;
        log.write = [this](LogLevel of_line, std::string_view line) {
            const std::lock_guard lock(mutex_);
            lines_.push_back(std::string(names[static_cast<std::size_t>(of_line)]) + " " + std::string(line));
        };
        return log;
    }
    std::vector<std::string> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(lines_, {});
    }

private:
    static constexpr const char* names[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
    std::mutex mutex_;
    std::vector<std::string> lines_;
};

/// A source that counts what it is asked, and fails on request.
class WatchedSource final : public SubmissionSource {
public:
    struct Watch {
        std::atomic<int> loads{0}, owner_lookups{0};
        std::atomic<bool> broken{false};
        std::atomic<std::uint64_t> position{0};  ///< of a replica that it reads; 0: it is the primary
        std::function<void()> before_position, after_owner_lookup;
        std::function<void()> after_load;  ///< between reading and computing
    };
    WatchedSource(std::unique_ptr<SubmissionSource> source, Watch& watch) : source_(std::move(source)), watch_(watch) {}

    std::uint64_t position() override {
        if (watch_.before_position) watch_.before_position();
        return watch_.position;
    }
    std::optional<AssignmentRecord> load(AssignmentId id) override {
        ++watch_.loads;
        require_whole();
        auto record = source_->load(id);
        if (watch_.after_load) watch_.after_load();
        return record;
    }
    std::optional<Ownership> ownership(AssignmentId id) override {
        ++watch_.owner_lookups;
        require_whole();
        const auto ownership = source_->ownership(id);
        if (watch_.after_owner_lookup) watch_.after_owner_lookup();
        return ownership;
    }
    std::vector<AssignmentId> recent_of_author(UserId author_id, int limit) override {
        return source_->recent_of_author(author_id, limit);
    }
    std::vector<AssignmentId> all_ids() override { return source_->all_ids(); }
    std::vector<AssignmentId> active_since(Timestamp time) override { return source_->active_since(time); }

private:
    void require_whole() const {
        if (watch_.broken) throw SourceError("the disk is gone");
    }
    std::unique_ptr<SubmissionSource> source_;
    Watch& watch_;
};

/// Assignments 1 and 2 of teacher 7, each with one score.
struct CachedSchool : School {
    explicit CachedSchool(StatsCacheOptions options = {})
        : cache(Cache::open(cache_options())), stats(cache, factory(), logged(options)) {
        add_assignment(1, "7", "'Law'");
        add_assignment(2, "7");
        add_score(10, 1, "90");
        add_score(20, 2, "50");
        relay();
        book.take();
    }

    Options cache_options() {
        Options options;
        options.directory = cache_directory.path();
        options.name = "school";
        options.size_bytes = 32ULL << 20;
        options.clock = clock;
        options.random_seed = 1;
        return options;
    }
    SourceFactory factory() {
        return [this] { return std::make_unique<WatchedSource>(open_source(path()), watch); };
    }
    StatsCacheOptions logged(StatsCacheOptions options) {
        options.log = book.log();
        return options;
    }

    /// What a listening process does within 50 ms of a commit.
    int relay() { return relay_once(SqliteDatabase(path()), stats.notices(), {}); }

    /// The state in which the document was found, and its mean, as `hit 90.0`.
    std::string page(AssignmentId id) { return page_through(stats, id); }
    static std::string page_through(AssignmentStatsCache& through, AssignmentId id) {
        const auto document = through.get_or_calculate(id);
        if (!document) return "none";
        const auto json = boost::json::parse(document->bytes.value());
        const auto& mean = json.at("statistics").at("mean");
        const std::string shown = mean.is_null() ? "null" : to_text(Hundredths{std::llround(100 * mean.as_double())});
        return std::string(name_of(document->state)) + " " + shown;
    }
    boost::json::value document(AssignmentId id) {
        const auto found = stats.get_or_calculate(id);
        return found ? boost::json::parse(found->bytes.value()) : boost::json::value();
    }
    std::string hits_and_misses(AssignmentId id) {
        const HitRate rate = stats.hit_rate(id);
        return std::to_string(rate.hits) + "/" + std::to_string(rate.misses);
    }

    ScopedDirectory cache_directory;
    std::shared_ptr<ManualClock> clock =
        std::make_shared<ManualClock>(std::chrono::nanoseconds(std::chrono::hours{1'000}).count());
    WatchedSource::Watch watch;
    LogBook book;
    Cache cache;
    AssignmentStatsCache stats;
};

}  // namespace larder::test
