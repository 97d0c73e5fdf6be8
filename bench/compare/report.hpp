// Report: what a run has measured. Rows and promises are kept as lines of files, which parts of the run that are
// processes of their own append to, too; at the end they are one JSON document and one table.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "bench/samples.hpp"
#include "core/promise.hpp"

namespace larder::bench {

/// One contender under one load.
struct Row {
    std::string group;      ///< "hit"
    std::string contender;  ///< "Larder, pinned"
    std::size_t value_bytes = 0;
    std::string load;                   ///< "uniform"; "" where there is but one
    std::string unit = "ns";            ///< of `rounds`
    std::vector<double> rounds;         ///< a mean of each
    std::optional<Quantiles> single{};  ///< of calls that were timed one by one, the clock's reading included
};

/// How much of everything: a median stands on `rounds`, quantiles on `samples`.
struct Effort {
    bool quick = false;
    std::size_t rounds = 15, pairs = 21, samples = 20'000;
};
inline constexpr Effort kQuick{true, 5, 9, 5'000};

/// The unit of promises with goals of several kinds.
inline constexpr const char* kOfTheGoal = "of the goal";

struct Judged {
    std::string what;  ///< for the reader: of which part of the promise this is the figure
    std::string unit;
    Goal goal;
    double measured = 0;
    std::vector<double> rounds{};
    std::size_t samples = 0;
};

class Report {
public:
    /// `directory`: for the files of lines, which are the report's. `command`: what measures the same again.
    Report(std::string directory, Effort effort, std::string command);

    const Effort& effort() const { return effort_; }

    /// Prints it and keeps it. Throws std::runtime_error: it cannot be kept.
    void add(const Row& row);
    /// The same of a promise's figure, or of one of its parts. Where a promise has goals of several kinds (S3, S4, S8,
    /// S10, S12) each figure is kept as a share of its goal, so that the worst of them counts and 1 is enough.
    void judge(const std::string& promise, const Judged& judged);
    void note(const std::string& text) const;
    /// A peer that took part.
    void version(const std::string& text);

    /// Everything that was kept, by any process.
    std::vector<Row> rows() const;
    std::vector<Promise> promises() const;
    std::vector<std::string> versions() const;  ///< each once

private:
    void append(const char* file, const std::string& line) const;
    std::vector<std::string> lines(const char* file) const;
    std::string directory_, command_;
    Effort effort_;
};

boost::json::object to_json(const Row& row);

}  // namespace larder::bench
