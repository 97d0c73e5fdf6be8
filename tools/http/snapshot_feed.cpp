#include "tools/http/snapshot_feed.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <set>
#include <utility>

#include "core/submission_source.hpp"
#include "shm/system.hpp"
#include "tools/assignment_rates.hpp"
#include "tools/dashboard_json.hpp"
#include "tools/top_source.hpp"

namespace larder::tools {
namespace {

using std::chrono::steady_clock;
using Text = std::shared_ptr<const std::string>;

constexpr int kMostOfAnAuthor = 10'000;
constexpr std::chrono::seconds kIdsLast{30};  // before the database is asked again which assignments there are
constexpr std::chrono::milliseconds kFirstInterval{250};
constexpr std::size_t kShownJobs = 20;

/// Who is shown the same: all admins, or one author.
struct Audience {
    Role role = Role::admin;
    UserId user_id = 0;
    bool operator<(const Audience& other) const {
        return std::pair(role, user_id) < std::pair(other.role, other.user_id);
    }
};

Audience audience_of(const Caller& caller) {
    return caller.role == Role::admin ? Audience{} : Audience{caller.role, caller.user_id};
}

std::string event(std::string_view name, std::string_view data) {
    return fmt::format("event: {}\ndata: {}\n\n", name, data);
}

std::int64_t wall_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace

/// What the thread and the streams share. `texts`: of each audience that somebody is in, null until it is made.
struct SnapshotFeed::Watchers {
    struct Latest {
        std::size_t watchers = 0;
        std::uint64_t number = 0;
        Text text;
    };
    std::mutex mutex;
    std::condition_variable_any changed;
    std::map<Audience, Latest> latest;

    std::size_t count() const {
        std::size_t sum = 0;
        for (const auto& [audience, one] : latest) sum += one.watchers;
        return sum;
    }
};

class SnapshotFeed::Watcher final : public EventStream {
public:
    Watcher(std::shared_ptr<Watchers> watchers, Audience audience, std::string hello)
        : watchers_(std::move(watchers)),
          audience_(audience),
          hello_(std::make_shared<const std::string>(event("hello", hello))) {}
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher() override {
        const std::lock_guard lock(watchers_->mutex);
        const auto at = watchers_->latest.find(audience_);
        if (--at->second.watchers == 0) watchers_->latest.erase(at);
    }

    Text next() override {
        if (hello_) return std::exchange(hello_, nullptr);
        const std::lock_guard lock(watchers_->mutex);
        const Watchers::Latest& latest = watchers_->latest.at(audience_);
        return std::exchange(seen_, latest.number) == latest.number ? nullptr : latest.text;
    }

private:
    const std::shared_ptr<Watchers> watchers_;
    const Audience audience_;
    Text hello_;
    std::uint64_t seen_ = 0;
};

/// The looks while somebody watches.
class SnapshotFeed::Looker {
public:
    Looker(const Options& options, SourcePool& sources, WarmQueue& jobs, const std::function<bool()>& relay_caught_up)
        : source_(options), sources_(sources), jobs_(jobs), relay_caught_up_(relay_caught_up) {}

    /// The first look, by which the next one knows what has changed.
    void prepare() { source_.look(); }

    std::map<Audience, Text> look(const std::set<Audience>& audiences) {
        auto jobs = recent_jobs();
        TopSnapshot top = source_.look({.reads_database = jobs.has_value(), .relay_caught_up = relay_caught_up_()});
        const shm::SegmentView* const view = source_.view();
        const std::int64_t now_ns = shm::system::monotonic_ns();
        DashboardMoment moment;
        if (view == nullptr)
            moment.top = std::move(top);
        else
            moment = read_moment(*view, std::move(top), now_ns);
        moment.at_ms = wall_ms();
        moment.jobs = std::move(jobs);
        std::map<Audience, Text> texts;
        for (const Audience& audience : audiences) {
            Own& own = own_[audience];
            refresh_ids(audience, own);
            if (view != nullptr) own.rates.look(*view, now_ns);
            if (audience.role == Role::admin) name_absent_keys(moment, own.rates.rows());
            texts[audience] = std::make_shared<const std::string>(
                event("snapshot", moment_json(moment, audience.role, own.rates.rows())));
        }
        for (auto at = own_.begin(); at != own_.end();)
            at = audiences.count(at->first) == 0 ? own_.erase(at) : std::next(at);
        return texts;
    }

private:
    /// The assignments that an audience may see.
    struct Own {
        AssignmentRates rates;
        std::optional<steady_clock::time_point> asked;
    };

    std::optional<std::vector<WarmJob>> recent_jobs() {
        try {
            return jobs_.recent(kShownJobs);
        } catch (const SourceError&) {
            return std::nullopt;
        }
    }

    /// While the database cannot be read, those that were known are shown.
    void refresh_ids(const Audience& audience, Own& own) {
        const auto now = steady_clock::now();
        if (own.asked && now - *own.asked < kIdsLast) return;
        own.asked = now;
        try {
            std::vector<AssignmentId> ids = sources_.read([&audience](SubmissionSource& source) {
                return audience.role == Role::admin ? source.all_ids()
                                                    : source.recent_of_author(audience.user_id, kMostOfAnAuthor);
            });
            std::sort(ids.begin(), ids.end());
            own.rates.set_ids(std::move(ids));
        } catch (const SourceError& error) {
            spdlog::debug("Dashboard: {}", error.what());
        }
    }

    TopSource source_;
    SourcePool& sources_;
    WarmQueue& jobs_;
    const std::function<bool()>& relay_caught_up_;
    std::map<Audience, Own> own_;
};

SnapshotFeed::SnapshotFeed(Options cache, SourceFactory open_source, WarmQueue& jobs,
                           std::function<bool()> relay_caught_up)
    : options_(std::move(cache)),
      sources_(std::move(open_source)),
      jobs_(jobs),
      relay_caught_up_(std::move(relay_caught_up)),
      watchers_(std::make_shared<Watchers>()),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

SnapshotFeed::~SnapshotFeed() = default;

std::unique_ptr<EventStream> SnapshotFeed::watch(const Caller& caller) {
    const Audience audience = audience_of(caller);
    std::string hello = hello_json(caller, options_.name);
    {
        const std::lock_guard lock(watchers_->mutex);
        if (watchers_->count() >= most_watchers) return nullptr;
        ++watchers_->latest[audience].watchers;
    }
    watchers_->changed.notify_one();
    return std::make_unique<Watcher>(watchers_, audience, std::move(hello));
}

void SnapshotFeed::run(const std::stop_token& stop) {
    std::optional<Looker> looker;  // only while somebody watches: what it knew before would be old
    std::unique_lock lock(watchers_->mutex);
    while (!stop.stop_requested()) {
        if (watchers_->latest.empty()) {
            looker.reset();
            watchers_->changed.wait(lock, stop, [this] { return !watchers_->latest.empty(); });
            continue;
        }
        std::set<Audience> audiences;
        for (const auto& [audience, latest] : watchers_->latest) audiences.insert(audience);
        const auto begin = steady_clock::now();
        const bool is_first = !looker;
        lock.unlock();
        std::map<Audience, Text> texts;
        try {
            if (is_first)
                looker.emplace(options_, sources_, jobs_, relay_caught_up_).prepare();
            else
                texts = looker->look(audiences);
        } catch (const std::exception& error) {
            spdlog::error("The dashboard's figures cannot be read: {}", error.what());
            looker.reset();
        }
        lock.lock();
        for (auto& [audience, text] : texts)
            if (const auto at = watchers_->latest.find(audience); at != watchers_->latest.end()) {
                at->second.text = std::move(text);
                ++at->second.number;
            }
        // Whoever comes first waits less; else one look a second, whoever comes and goes.
        watchers_->changed.wait_until(lock, stop, begin + (is_first && looker ? kFirstInterval : interval),
                                      [] { return false; });
    }
}

}  // namespace larder::tools
