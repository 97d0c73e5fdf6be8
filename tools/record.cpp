// larder record: a trace of what is asked of a live cache, for `larder replay` and `larder advise`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>

#include "tools/inspection.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/stop_signals.hpp"
#include "tools/use_recorder.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kMostTimes = 1'000;  // of one key between two polls: more are hits at every size

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
    void add(std::int64_t at_ns, const Uses& uses) {
        const std::string line = fmt::format("{}.{:06},{:016x},{}\n", at_ns / 1'000'000'000, at_ns / 1'000 % 1'000'000,
                                             uses.key_hash, uses.value_bytes);
        const std::uint64_t times = std::min(uses.times, kMostTimes);
        for (std::uint64_t n = 0; n < times; ++n) file_ << line;
        requests_ += times;
    }
    void check() {
        if (!file_.flush()) throw Refusal(kFailure, "cannot write to " + path_);
    }
    std::uint64_t requests() const { return requests_; }

private:
    const std::string path_;
    std::ofstream file_;
    std::uint64_t requests_ = 0;
};

int run(const Arguments& arguments) {
    StopSignals signals;
    const Inspection inspection = inspect(arguments.cache);
    TraceWriter trace(arguments.output);
    UseRecorder recorder(inspection.view(), arguments.one_in);
    const std::int64_t began_ns = segment_now_ns();
    const auto is_over = [&](std::int64_t now_ns) {
        return arguments.time.count() != 0 && now_ns - began_ns >= std::chrono::nanoseconds(arguments.time).count();
    };
    for (std::int64_t now_ns = began_ns; !is_over(now_ns) && !signals.wait(arguments.every);) {
        now_ns = segment_now_ns();
        recorder.poll(now_ns, [&](const Uses& uses) { trace.add(now_ns - began_ns, uses); });
        trace.check();
    }
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
                 "Looks so often; between two looks the order of requests is lost [default: 10ms]");
    add_count(*verb, "--sample", arguments->one_in, "One key in so many, all of its requests [default: 64]");
    verb->footer(
        "Reads the counts of the key table: keys that are not tracked are not seen, and nobody who uses the cache "
        "does anything for it.\nExit code 1: nothing was asked.");
    verb->callback([&action, arguments] {
        if (arguments->one_in == 0) throw CLI::ValidationError("--sample", "give 1 or more");
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
