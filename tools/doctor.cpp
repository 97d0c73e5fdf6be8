// larder doctor: looks at a cache and its surroundings, names each finding and what to do about it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "shm/doctor.hpp"
#include "tools/database_option.hpp"
#include "tools/doctor_database.hpp"
#include "tools/doctor_files.hpp"
#include "tools/inspection.hpp"
#include "tools/json_lines.hpp"
#include "tools/options.hpp"
#include "tools/terminal.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

struct Arguments {
    Options cache;
    DatabaseOption database;
    bool checksums = false, json = false;
};

/// What is wrong, the worst first; and facts (severity info), which ask for nothing.
struct Report {
    std::vector<shm::Finding> findings, notes;
};

/// The segment, where it can be read.
std::optional<shm::Segment> examine_cache(const Arguments& arguments, std::vector<shm::Finding>& findings) {
    try {
        const shm::Location location = require_cache(arguments.cache);
        findings = examine_files(location);
        shm::Segment segment = shm::Segment::attach_read_only(location.segment_path());
        Progress progress("examining");
        const auto report = [&progress](std::uint64_t done, std::uint64_t total) { progress.show(done, total); };
        const auto more = shm::examine(segment.view(), {arguments.checksums, segment_now_ns(), report});
        findings.insert(findings.end(), more.begin(), more.end());
        examine_lock(location, segment.view(), findings);
        return segment;
    } catch (const OpenError& error) {
        if (error.stage == "options") throw;
        findings.push_back({"open_" + error.stage, shm::Severity::error, error.reason + ".", error.remedy + "."});
    } catch (const Refusal& refusal) {  // there is none
        if (!arguments.database.is_named()) throw;
        findings.push_back({"no_cache", shm::Severity::warning, std::string("There is ") + refusal.what() + ".",
                            "`larder serve` and `larder listen` make it."});
    }
    return std::nullopt;
}

std::vector<shm::Finding> examine_all(const Arguments& arguments) {
    std::vector<shm::Finding> findings;
    const std::optional<shm::Segment> segment = examine_cache(arguments, findings);
    if (!arguments.database.is_named()) return findings;
    const std::optional<shm::SegmentView> view = segment ? std::optional(segment->view()) : std::nullopt;
    examine_database(arguments.database, view ? &*view : nullptr, findings);
    return findings;
}

Report report_of(std::vector<shm::Finding> all) {
    std::stable_sort(all.begin(), all.end(),
                     [](const shm::Finding& a, const shm::Finding& b) { return a.severity > b.severity; });
    const auto first_note = std::find_if(all.begin(), all.end(),
                                         [](const shm::Finding& one) { return one.severity == shm::Severity::info; });
    return {{all.begin(), first_note}, {first_note, all.end()}};
}

boost::json::array json_of(const std::vector<shm::Finding>& list, bool with_severity) {
    boost::json::array array;
    for (const shm::Finding& one : list) {
        boost::json::object object{{"name", one.name}};
        if (with_severity) object["severity"] = shm::name_of(one.severity);
        object["what"] = escaped(one.what);
        object["remedy"] = escaped(one.remedy);
        array.push_back(std::move(object));
    }
    return array;
}

const char* colour_of(shm::Severity severity) {
    switch (severity) {
    case shm::Severity::info:
        return "\033[36m";
    case shm::Severity::warning:
        return "\033[33m";
    case shm::Severity::error:
        return "\033[31m";
    }
    return "";
}

void show_text(const Report& report) {
    const bool colours = wants_colour(1);
    if (report.findings.empty()) print("no findings\n");
    for (const std::vector<shm::Finding>* const list : {&report.findings, &report.notes})
        for (const shm::Finding& one : *list)
            print(fmt::format("{}{:<8}{} {}: {}\n         {}\n", colours ? colour_of(one.severity) : "",
                              one.severity == shm::Severity::info ? "note" : shm::name_of(one.severity),
                              colours ? "\033[0m" : "", one.name, escaped(one.what), escaped(one.remedy)));
}

int run(const Arguments& arguments) {
    const Report report = report_of(examine_all(arguments));
    if (arguments.json)
        print_json({{"findings", json_of(report.findings, true)}, {"notes", json_of(report.notes, false)}});
    else
        show_text(report);
    return report.findings.empty() ? kOk : kNegative;
}

}  // namespace

void add_doctor(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb =
        program.add_subcommand("doctor", "Examine a cache read-only and say what to do about each finding");
    add_selection(*verb, arguments->cache);
    arguments->database.add_to(*verb)->required(false)->description(
        "Examine this database, too, and how its changes come here");
    verb->add_flag("--checksums", arguments->checksums, "Read all values and compare their checksums");
    verb->add_flag("--json", arguments->json,
                   "{findings: [{name, severity: warning|error, what, remedy}], notes: [{name, what, remedy}]}");
    verb->footer("Exit code 1: there are findings. Notes are facts that ask for nothing: with them alone it is 0.");
    verb->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace larder::tools
