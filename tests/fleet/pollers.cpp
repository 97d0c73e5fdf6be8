#include "tests/fleet/pollers.hpp"

#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "shm/system.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/quantile.hpp"

namespace larder::fleet {
namespace {

constexpr std::chrono::milliseconds kPatience{250};  // of a poller for an answer
constexpr std::int64_t kAvoidedNs = 2'000'000'000;   // a page that had none: others, which may be stale, are to be seen
constexpr std::chrono::seconds kSettlingPatience{2};
constexpr int kAConnection = 50;  // requests
constexpr std::int64_t kRetryNs = 5'000'000;

std::string page_of(std::uint32_t assignment) {
    return "/api/assignments/" + std::to_string(assignment) + "/analytics/";
}

std::optional<Version> version_on(std::string_view page) {
    constexpr std::string_view name = "\"max\":";
    const std::size_t at = page.find(name);
    if (at == std::string_view::npos) return std::nullopt;
    Version version = 0;
    const auto [end, error] = std::from_chars(page.data() + at + name.size(), page.data() + page.size(), version);
    return error == std::errc() ? std::optional(version) : std::nullopt;
}

/// Keeps a connection for some requests.
class Visitor {
public:
    explicit Visitor(std::chrono::milliseconds patience) : patience_(patience) {}
    Answer ask(std::uint32_t assignment) {
        Answer answer{.begin_ns = now_ns(), .end_ns = 0, .assignment = assignment};
        if (!client_ || requests_ >= kAConnection) {
            client_ = std::make_unique<test::HttpClient>(Host::port, patience_);
            requests_ = 0;
        }
        ++requests_;
        const test::HttpAnswer page =
            client_->connected() ? client_->get(page_of(assignment)) : test::HttpAnswer{.status = 0};
        answer.end_ns = now_ns();
        answer.kind = kind_of(page);
        if (answer.shows_version()) {
            const std::optional<Version> version = version_on(page.body);
            answer.version = version.value_or(0);
            if (!version) answer.kind = AnswerKind::wrong;
        }
        if (page.status == 0) client_ = nullptr;
        return answer;
    }

private:
    static AnswerKind kind_of(const test::HttpAnswer& page) {
        if (page.status == 0) return AnswerKind::silent;
        if (page.status == 503) return AnswerKind::refused;
        if (page.status != 200) return AnswerKind::wrong;
        const std::string state = page.header("X-Cache");
        if (state.find("degraded") != std::string::npos) return AnswerKind::degraded;
        return state.starts_with("hit") ? AnswerKind::hit : AnswerKind::computed;
    }
    const std::chrono::milliseconds patience_;
    std::unique_ptr<test::HttpClient> client_;
    int requests_ = 0;
};

Settling settle_one(const Host& host, const Ledger& ledger, int patience_ms) {
    host.node().network().enter();
    const std::int64_t begin = now_ns();
    const std::int64_t deadline = begin + std::int64_t{patience_ms} * 1'000'000;
    Visitor visitor(kSettlingPatience);
    std::vector<std::uint32_t> pending;
    for (std::uint32_t n = 1; n <= ledger.size(); ++n) pending.push_back(n);
    while (!pending.empty() && now_ns() < deadline) {
        const std::size_t before = pending.size();
        std::erase_if(pending, [&](std::uint32_t n) {
            if (now_ns() >= deadline) return false;
            const Answer answer = visitor.ask(n);
            return answer.shows_version() && answer.version == ledger[n - 1].size();
        });
        if (pending.size() == before) shm::system::sleep_ns(kRetryNs);
    }
    return {.missed = pending.size(),
            .took_ms = static_cast<double>(now_ns() - begin) / test::kMs,
            .first_missed = pending.empty() ? 0 : pending.front()};
}

}  // namespace

Pollers::Pollers(const std::vector<std::unique_ptr<Host>>& hosts, std::uint32_t assignments, int pause_us)
    : assignments_(assignments), pause_us_(pause_us), answers_(hosts.size() * a_host) {
    for (std::size_t n = 0; n < answers_.size(); ++n)
        threads_.emplace_back([this, n, &host = *hosts[n / a_host]] {
            poll(host, static_cast<std::uint32_t>(n % a_host) * assignments_ / a_host, answers_[n]);
        });
}

Pollers::~Pollers() { finish(); }

std::vector<std::vector<Answer>> Pollers::finish() {
    stopped_ = true;
    for (std::thread& thread : threads_)
        if (thread.joinable()) thread.join();
    std::vector<std::vector<Answer>> all(answers_.size() / a_host);
    for (std::size_t n = 0; n < answers_.size(); ++n)
        all[n / a_host].insert(all[n / a_host].end(), answers_[n].begin(), answers_[n].end());
    return all;
}

void Pollers::poll(const Host& host, std::uint32_t first, std::vector<Answer>& answers) {
    host.node().network().enter();
    Visitor visitor(kPatience);
    std::vector<std::int64_t> avoided_until(assignments_, 0);
    for (std::uint32_t n = first; !stopped_; ++n) {
        std::int64_t& until = avoided_until[n % assignments_];
        bool is_down = false;
        if (now_ns() >= until) {
            answers.push_back(visitor.ask(n % assignments_ + 1));
            is_down = answers.back().kind == AnswerKind::silent;
            if (is_down) until = now_ns() + kAvoidedNs;
        }
        shm::system::sleep_ns(is_down ? kRetryNs : std::int64_t{pause_us_} * 1'000);
    }
}

std::vector<Settling> settle(const std::vector<std::unique_ptr<Host>>& hosts, const Ledger& ledger, int patience_ms) {
    std::vector<Settling> all(hosts.size());
    std::vector<std::thread> threads;
    for (std::size_t n = 0; n < hosts.size(); ++n)
        threads.emplace_back([&, n] { all[n] = settle_one(*hosts[n], ledger, patience_ms); });
    for (std::thread& thread : threads) thread.join();
    return all;
}

}  // namespace larder::fleet
