// What steps have proved that passed, and what is left of a promise when one did not.
#include "tests/prove/proof.hpp"

#include <poll.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

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

/// A proof of steps that take next to no time, and the promise R13, or another one, after it.
struct Run {
    explicit Run(const std::vector<Step>& steps, const std::string& name = "R13") {
        const test::ScopedDirectory directory;
        Proof proof(directory.path());
        for (const Step& step : steps) outcome = proof.run(step);
        for (const Promise& one : proof.promises())
            if (one.name == name) promise = one;
        why = proof.why(name);
    }

    Outcome outcome;  // of the last step
    Promise promise;
    std::string why;
};

/// A step whose cases are those.
class Reported {
public:
    explicit Reported(const std::string& cases, const std::string& then = "true") {
        std::ofstream(files_.file("cases")) << "<Catch><Group>" << cases;
        step = {Kind::cases, "cases", "sh -c 'cp " + files_.file("cases") + " \"$3\"; " + then + "'", {"R13"}};
    }

    Step step;

private:
    const test::ScopedDirectory files_;
};

Run run_cases(const std::string& cases) {
    const Reported reported(cases);
    return Run({reported.step});
}

/// A harness that writes these lines to its file, and then does what is left to do.
class Harness {
public:
    explicit Harness(const std::vector<Promise>& figures, const std::string& then = "true") {
        std::ofstream(files_.file("figures")).flush();
        for (const Promise& one : figures) append_promise(files_.file("figures"), one);
        step = {Kind::harness, "harness", "sh -c 'cat " + files_.file("figures") + " >\"$1\"; " + then + "'", {"R13"}};
    }

    Step step;

private:
    const test::ScopedDirectory files_;
};

Promise violations(double measured, const std::string& name = "R13") {
    return {name, "violations", {"==", 0}, measured, 10, {measured}, "measure"};
}

}  // namespace

TEST_CASE("Cases that were skipped are told, and count nothing") {
    const Run run = run_cases(kHeld + kSkipped + kHeld);
    CHECK(run.outcome.passed);
    CHECK(run.outcome.skipped == 1);
    CHECK(run.promise.measured == 0);
    CHECK(run.promise.samples == 2);
}

TEST_CASE("Where all cases were skipped, or there is none, nothing is measured") {
    for (const std::string& cases : {std::string(), kSkipped, kSkipped + kSkipped}) {
        const Run run = run_cases(cases);
        CHECK(run.outcome.passed);
        CHECK(std::isnan(run.promise.measured));
        CHECK(run.promise.samples == 0);
    }
}

TEST_CASE("A case that failed is a violation, and so is one in which the program died") {
    CHECK(run_cases(kHeld + kFailed).promise.measured == 1);
    CHECK(run_cases(kHeld + kFailed + kBegin).promise.measured == 2);
    CHECK(run_cases(kSkipped + kBegin + test::kNeedsRoot).promise.measured == 1);
}

TEST_CASE("A harness that passed tells of its promises, in their order, and of nothing else") {
    const Harness harness({violations(0)});
    const Run run({harness.step});
    CHECK(run.outcome.passed);
    CHECK(run.promise.measured == 0);
    CHECK(run.promise.samples == 10);
    CHECK(run.why.empty());
    CHECK(std::isnan(Run({harness.step}, "R1").promise.measured));
    CHECK(prove::promises().size() == 16);
}

TEST_CASE("Where a step did not pass none of its promises holds, whatever it or another one measured") {
    const Harness passed({violations(0)});
    const Harness failing({violations(0)}, "exit 1"), dying({}, "kill -SEGV $$");
    const Reported cases(kHeld, "exit 1");
    for (const Step& step : {failing.step, dying.step, cases.step, Step{Kind::plain, "plain", "false", {}, {"R13"}}}) {
        for (const std::vector<Step>& both : {std::vector<Step>{passed.step, step}, {step, passed.step}}) {
            const Run run(both);
            CHECK(std::isnan(run.promise.measured));
            CHECK_FALSE(holds(run.promise.goal, run.promise.measured));
            CHECK(run.why == step.name);
        }
    }
}

TEST_CASE("What a failed step measured on the wrong side of the goal stays to be seen") {
    const Harness harness({violations(3)}, "exit 1");
    const Run run({harness.step});
    CHECK_FALSE(run.outcome.passed);
    CHECK(run.promise.measured == 3);
}

TEST_CASE("A harness that leaves out a promise, or tells of one that is not its own, has not passed") {
    const Harness silent({}), other({violations(0), violations(0, "R8")});
    const Run without({silent.step}), with({other.step});
    CHECK_FALSE(without.outcome.passed);
    CHECK_THAT(without.outcome.log, Catch::Contains("did not measure R13"));
    CHECK_FALSE(with.outcome.passed);
    CHECK_THAT(with.outcome.log, Catch::Contains("measured R8"));
}

TEST_CASE("What a step checks without measuring it does not hold either when it does not pass") {
    const Harness measured({violations(0)});
    Harness passing({violations(0, "R8")}), failing({violations(0, "R8")}, "exit 1");
    for (Step* const step : {&passing.step, &failing.step}) {
        step->name = "other";
        step->measures = {"R8"};
        step->checks = {"R13"};
    }
    CHECK(Run({measured.step, passing.step}).promise.measured == 0);
    const Run run({measured.step, failing.step});
    CHECK(std::isnan(run.promise.measured));
    CHECK(run.promise.rounds == std::vector<double>{0});  // to be shown
    CHECK(run.why == "other");
}

TEST_CASE("A step whose program is not there is told, and counts nothing; where it is required, it has failed") {
    Step step{Kind::plain, "plain", "false", {}, {"R13"}, "larder-no-such-program"};
    const Run run({step});
    CHECK(run.outcome.missing == "larder-no-such-program");
    CHECK(run.why.empty());
    step.required = true;
    CHECK(Run({step}).why == "plain");
    CHECK(Run({{Kind::plain, "plain", "true", {}, {"R13"}, "sh"}}).outcome.passed);
}

TEST_CASE("Cases of a plain step that were skipped are told") {
    const std::string say = std::string("echo '") + test::kNeedsRoot + "'; ";
    const Run run({{Kind::plain, "plain", "sh -c \"" + say + say + "\"", {}, {"R13"}}});
    CHECK(run.outcome.passed);
    CHECK(run.outcome.skipped == 2);
}

TEST_CASE("A step that takes too long is killed with all that it started, and says so") {
    const test::ScopedDirectory directory;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);  // of which the step's processes have the other end
    Proof proof(directory.path(), std::chrono::milliseconds(500));
    const Outcome outcome = proof.run({Kind::plain, "slow", "sh -c 'sleep 1000 & wait'", {}, {"R13"}});
    ::close(ends[1]);
    pollfd end{ends[0], POLLIN, 0};
    char byte = 0;
    CHECK((::poll(&end, 1, 20'000) == 1 && ::read(ends[0], &byte, 1) == 0));
    ::close(ends[0]);
    CHECK_FALSE(outcome.passed);
    CHECK_THAT(outcome.log, Catch::Contains("killed after"));
    CHECK(proof.why("R13") == "slow");
}

TEST_CASE("A directory's name may hold what shells take for more") {
    const test::ScopedDirectory outer;
    const std::string directory = outer.file("it's a $(false); \"name\"");
    std::filesystem::create_directory(directory);
    const Harness harness({violations(0)});
    const Reported cases(kHeld);
    Proof proof(directory);
    CHECK(proof.run(harness.step).passed);
    CHECK(proof.run(cases.step).passed);
    CHECK(proof.promises().at(12).samples == 11);
}

TEST_CASE("A step that did not pass says where its log is") {
    const test::ScopedDirectory directory;
    Proof proof(directory.path());
    const Outcome outcome = proof.run({Kind::plain, "a step", "false", {}, {}});
    CHECK_THAT(outcome.log, Catch::Contains("all of it: " + directory.file("a-step.log")));
}

TEST_CASE("Figures that are there already are not taken for new ones") {
    const test::ScopedDirectory directory;
    append_promise(directory.file("promises"), violations(0));
    CHECK_THROWS_WITH(Proof(directory.path()), Catch::Contains("is not empty"));
}

TEST_CASE("Each step shows promises that there are, each promise is measured by some step of each form") {
    for (const bool quick : {true, false}) {
        std::set<std::string> names, known, measured;
        for (const Promise& one : prove::promises()) known.insert(one.name);
        for (const Step& step : steps(quick)) {
            CAPTURE(step.name);
            CHECK(names.insert(step.name).second);  // of their files, too
            CHECK((step.kind != Kind::cases || step.measures.size() == 1));
            CHECK((step.kind != Kind::plain || step.measures.empty()));
            CHECK(step.required != quick);
            for (const std::string& name : step.checks) CHECK(known.count(name) == 1);
            measured.insert(step.measures.begin(), step.measures.end());
        }
        CHECK(measured == known);
    }
}
