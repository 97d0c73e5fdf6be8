// larder doctor: looks at a cache and its surroundings, names each finding and what to do about it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "shm/doctor.hpp"
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
    bool checksums = false, json = false;
};

std::vector<shm::Finding> examine_cache(const Arguments& arguments) {
    shm::Location location;
    try {
        location = require_cache(arguments.cache);
    } catch (const OpenError& error) {
        if (error.stage == "options") throw;
        return {{"open_" + error.stage, shm::Severity::error, error.reason + ".", error.remedy + "."}};
    }
    std::vector<shm::Finding> findings = examine_files(location);
    try {
        const shm::Segment segment = shm::Segment::attach_read_only(location.segment_path());
        Progress progress("examining");
        const auto report = [&progress](std::uint64_t done, std::uint64_t total) { progress.show(done, total); };
        const auto more = shm::examine(segment.view(), {arguments.checksums, segment_now_ns(), report});
        findings.insert(findings.end(), more.begin(), more.end());
    } catch (const OpenError& error) {
        findings.push_back({"open_" + error.stage, shm::Severity::error, error.reason + ".", error.remedy + "."});
    }
    std::stable_sort(findings.begin(), findings.end(),
                     [](const shm::Finding& a, const shm::Finding& b) { return a.severity > b.severity; });
    return findings;
}

void show_json(const std::vector<shm::Finding>& findings) {
    boost::json::array list;
    for (const shm::Finding& finding : findings)
        list.push_back(boost::json::object{{"name", finding.name},
                                           {"severity", shm::name_of(finding.severity)},
                                           {"what", escaped(finding.what)},
                                           {"remedy", escaped(finding.remedy)}});
    print_json({{"findings", std::move(list)}});
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

void show_text(const std::vector<shm::Finding>& findings) {
    const bool colours = wants_colour(1);
    if (findings.empty()) print("no findings\n");
    for (const shm::Finding& finding : findings)
        print(fmt::format("{}{:<8}{} {}: {}\n         {}\n", colours ? colour_of(finding.severity) : "",
                          shm::name_of(finding.severity), colours ? "\033[0m" : "", finding.name, escaped(finding.what),
                          escaped(finding.remedy)));
}

int run(const Arguments& arguments) {
    const std::vector<shm::Finding> findings = examine_cache(arguments);
    if (arguments.json)
        show_json(findings);
    else
        show_text(findings);
    const bool broken = std::any_of(findings.begin(), findings.end(), [](const shm::Finding& finding) {
        return finding.severity == shm::Severity::error;
    });
    return broken ? kNegative : kOk;
}

}  // namespace

void add_doctor(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb =
        program.add_subcommand("doctor", "Examine a cache read-only and say what to do about each finding");
    add_selection(*verb, arguments->cache);
    verb->add_flag("--checksums", arguments->checksums, "Read all values and compare their checksums");
    verb->add_flag("--json", arguments->json, "{findings: [{name, severity: info|warning|error, what, remedy}]}");
    verb->footer("Exit code 1: something is broken (severity error). Warnings and facts exit with 0.");
    verb->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace larder::tools
