// What a step of test cases has proved.
#include "tests/prove/proof.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>

#include "tests/support/scoped_directory.hpp"
#include "tests/support/skipped.hpp"

using namespace larder;
using namespace larder::prove;

namespace {

const std::string kBegin = R"(<TestCase name="one" tags="[R13]">)", kEnd = "</TestCase>\n";
const std::string kHeld = kBegin + R"(<OverallResult success="true"/>)" + kEnd;
const std::string kFailed = kBegin + R"(<OverallResult success="false"/>)" + kEnd;
const std::string kSkipped =
    kBegin + "<Warning>" + test::kNeedsRoot + R"(</Warning><OverallResult success="true"/>)" + kEnd;

/// One step that reports such cases, and R13 after it.
struct Run {
    explicit Run(const std::string& cases) {
        const test::ScopedDirectory directory;
        std::ofstream(directory.file("cases")) << "<Catch><Group>" << cases;
        const std::string tests = "sh -c 'cp " + directory.file("cases") + R"( "$3"')";  // -r xml -o FILE
        Proof proof(directory.path(), true);
        outcome = proof.run({Kind::cases, "some tests", tests, tests, "R13"});
        for (const Promise& one : proof.promises())
            if (one.name == "R13") promise = one;
    }

    Outcome outcome;
    Promise promise;
};

}  // namespace

TEST_CASE("Cases that were skipped are told, and count nothing") {
    const Run run(kHeld + kSkipped + kHeld);
    CHECK(run.outcome.passed);
    CHECK(run.outcome.skipped == 1);
    CHECK(run.promise.measured == 0);
    CHECK(run.promise.samples == 2);
}

TEST_CASE("Where all cases were skipped, or there is none, nothing is measured") {
    for (const std::string& cases : {std::string(), kSkipped, kSkipped + kSkipped}) {
        const Run run(cases);
        CHECK(run.outcome.passed);
        CHECK(std::isnan(run.promise.measured));
        CHECK(run.promise.samples == 0);
    }
}

TEST_CASE("A case that failed is a violation, and so is one in which the program died") {
    CHECK(Run(kHeld + kFailed).promise.measured == 1);
    CHECK(Run(kHeld + kFailed + kBegin).promise.measured == 2);
    CHECK(Run(kSkipped + kBegin + test::kNeedsRoot).promise.measured == 1);
}
