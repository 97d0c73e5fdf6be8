// larder record: a trace of what is asked of a live cache, for `larder replay` and `larder advise`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "shm/counters.hpp"
#include "shm/segment.hpp"
#include "tools/inspection.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/stop_signals.hpp"
#include "tools/use_recorder.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kMostLines = 100'000;  // of one look; of more uses each key keeps the same share

struct Arguments {
    Options cache;
    std::string output;
    milliseconds time{0};  ///< 0: until a signal
    milliseconds every{10};
    std::uint64_t one_in = 64;
};

class TraceWriter {
public:
    explicit TraceWriter(const std::string& path) : path_(path), file_(path) {
        file_ << "time,key,size\n";
        check();
    }

    /// What was asked between two looks, in an order that nobody knows: in random order, lest each key be asked many
    /// times in a row, as it hardly was.
    void add(std::int64_t at_ns, const std::vector<Uses>& uses) {
        std::uint64_t asked = 0;
        for (const Uses& one : uses) asked += one.times;
        order_.clear();
        for (std::uint32_t n = 0; n < uses.size(); ++n) order_.insert(order_.end(), kept(uses[n].times, asked), n);
        std::shuffle(order_.begin(), order_.end(), random_);
        for (const std::uint32_t n : order_)
            file_ << fmt::format("{}.{:06},{:016x},{}\n", at_ns / 1'000'000'000, at_ns / 1'000 % 1'000'000,
                                 uses[n].key_hash, uses[n].value_bytes);
        requests_ += order_.size();
        left_out_ += asked - std::min<std::uint64_t>(asked, order_.size());
        check();
    }
    std::uint64_t requests() const { return requests_; }
    std::uint64_t left_out() const { return left_out_; }

private:
    /// Of so many uses of one key, where so many were asked in all.
    std::uint64_t kept(std::uint64_t times, std::uint64_t asked) {
        if (asked <= kMostLines) return times;
        const double share = static_cast<double>(kMostLines) / static_cast<double>(asked);
        return static_cast<std::uint64_t>(static_cast<double>(times) * share +
                                          std::uniform_real_distribution<double>()(random_));
    }
    void check() {
        if (!file_.flush()) throw Refusal(kFailure, "cannot write to " + path_);
    }

    const std::string path_;
    std::ofstream file_;
    std::mt19937_64 random_;
    std::vector<std::uint32_t> order_;
    std::uint64_t requests_ = 0, left_out_ = 0;
};

std::uint64_t untracked_lookups(const shm::SegmentView& view) {
    return shm::read_totals(view)[shm::Counter::untracked_lookups];
}

/// What the trace lacks.
void tell_of_gaps(const TraceWriter& trace, std::uint64_t untracked, bool is_closed) {
    if (is_closed) log_line(LogLevel::warning, "the cache was removed or replaced meanwhile: recorded until then");
    if (trace.left_out() != 0)
        log_line(LogLevel::warning, fmt::format("{} more requests were too many to write: the same share of each key's "
                                                "was left out; give a larger --sample",
                                                trace.left_out()));
    if (untracked != 0)
        log_line(LogLevel::warning, fmt::format("{} requests, of all keys, were for keys that are not tracked and not "
                                                "in the trace: the cache needs more --tracked-keys",
                                                untracked));
}

int run(const Arguments& arguments) {
    StopSignals signals;
    const Inspection inspection = inspect(arguments.cache);
    const shm::SegmentView& view = inspection.view();
    TraceWriter trace(arguments.output);
    UseRecorder recorder(view, arguments.one_in);
    const std::uint64_t untracked_before = untracked_lookups(view);
    const std::int64_t began_ns = segment_now_ns();
    const bool has_end = arguments.time.count() != 0;
    const std::int64_t end_ns = began_ns + std::chrono::nanoseconds(arguments.time).count();
    bool is_over = false, is_closed = false;
    for (std::int64_t now_ns = began_ns; !is_over && !is_closed;) {
        const auto left = milliseconds((end_ns - now_ns) / 1'000'000 + 1);
        is_over = signals.wait(has_end ? std::min(arguments.every, left) : arguments.every);
        is_closed = shm::is_closed_for_good(view);
        now_ns = segment_now_ns();
        trace.add(now_ns - began_ns, recorder.poll(now_ns));
        is_over |= has_end && now_ns >= end_ns;
    }
    tell_of_gaps(trace, untracked_lookups(view) - untracked_before, is_closed);
    log_line(LogLevel::warning, fmt::format("recorded {} requests, of one key in {}: larder advise {} --sampled {}",
                                            trace.requests(), arguments.one_in, arguments.output, arguments.one_in));
    return trace.requests() == 0 ? kNegative : kOk;
}

}  // namespace

void add_record(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb =
        program.add_subcommand("record", "Record a trace of `time,key,size` lines of what is asked of a live cache");
    add_selection(*verb, arguments->cache);
    verb->add_option("--output", arguments->output, "Where the trace is written; a key stands there by its hash")
        ->type_name("FILE")
        ->required();
    add_duration(*verb, "--time", arguments->time, "Ends after so long [default: at Ctrl-C]");
    add_duration(*verb, "--every", arguments->every,
                 "Looks so often; between two looks the order of requests is not known, and random in the trace "
                 "[default: 10ms]");
    add_count(*verb, "--sample", arguments->one_in, "One key in so many, all of its requests [default: 64]");
    verb->footer(
        "Reads the counts of the key table: keys that are not tracked are not seen, and nobody who uses the cache "
        "does anything for it.\nExit code 1: nothing was asked.");
    verb->callback([&action, arguments] {
        if (arguments->one_in == 0) throw CLI::ValidationError("--sample", "give 1 or more");
        if (arguments->every.count() <= 0) throw CLI::ValidationError("--every", "give 1ms or more");
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
