// The examples of the man pages, typed into a shell as they stand, in the order of the pages.
#include <catch2/catch.hpp>
#include <regex>
#include <string>

#include "tests/support/larder_command.hpp"
#include "tests/tools/serve_scene.hpp"
#include "tools/verb_texts.hpp"

using namespace larder;
using namespace larder::test;

namespace {

/// A directory as the examples take for granted: `school.db`, a cache `default` in use, files to import, a trace.
class Desk {
public:
    Desk() {
        CHECK(
            type("{ echo assignment_id,title,author_id,due_at,max_score,assigned_count; echo 1,Essay,7,,100,4; } "
                 ">assignments.csv\n"
                 "{ echo submission_id,assignment_id,student_id,status,score,max_score,is_late,submitted_at,graded_at;"
                 " echo 10,1,1,graded,80,100,0,,; } | gzip >submissions.csv.gz\n"
                 "sqlite3 other.db 'CREATE TABLE grades(id INTEGER PRIMARY KEY, task_id INTEGER)'\n"
                 "larder analytics 1 --db school.db\n"
                 "echo value | larder put page:1 -c pages")
                .code == 0);
    }
    /// The code of `timeout` for what does not end by itself: 124.
    CommandResult type(const std::string& commands) const {
        const std::string script =
            "cd " + school_.file(".") +
            "\nfor i in $(seq 2000); do echo $i,k$((i % 20)),1; done >trace.csv\nexport LARDER_SIZE=16MiB "
            "LARDER_LISTEN=127.0.0.1:0 TERM=xterm\n"
            "larder() { timeout 2 \"$LARDER\" \"$@\"; }\n" +
            commands + "\n";
        return run_shell(school_.file("cache"), script);
    }
    const ServedSchool& school() const { return school_; }

private:
    ServedSchool school_;
};

bool ends_by_itself(const std::string& command) {
    static const std::regex endless("larder (serve|listen|top|record|stat --watch)\\b.*");
    return !std::regex_match(command, endless);
}

/// What asks a service, or a listener at the usual place, is typed where one runs: it only has to be a command.
bool needs_a_server(const std::string& command) {
    return command.find("curl") != std::string::npos || command.find("nc -N") != std::string::npos;
}

}  // namespace

TEST_CASE("every example of the man pages is right as it stands", "[manual]") {
    const Desk desk;
    for (const tools::VerbText& row : tools::verb_texts()) {
        for (const tools::VerbExample& example : row.examples) {
            const std::string command(example.command);
            if (needs_a_server(command)) continue;
            INFO(command);
            const CommandResult result = desk.type(command);
            INFO(result.err);
            const bool is_finding = command.find("larder doctor") == 0 && result.code == 1;
            const bool has_no_terminal = command.find("larder top") == 0 && result.code == 2;
            if (ends_by_itself(command))
                CHECK((result.code == 0 || is_finding));
            else
                CHECK((result.code == 124 || result.code == 0 || has_no_terminal));
        }
    }
}

TEST_CASE("the examples that ask a service are right as they stand", "[manual][serve]") {
    const ServedSchool school;
    const Service service(school, with_key(school));
    const std::string port = std::to_string(service.port());
    for (const tools::VerbText& row : tools::verb_texts()) {
        for (const tools::VerbExample& example : row.examples) {
            std::string command(example.command);
            if (!needs_a_server(command)) continue;
            command = std::regex_replace(command, std::regex(":8080/"), ":" + port + "/");
            command = std::regex_replace(command, std::regex("/run/larder/"), school.file("cache") + "/");
            INFO(command);
            const CommandResult result = run_shell(
                school.file("cache"), "cd " + school.file(".") + "\nlarder() { \"$LARDER\" \"$@\"; }\n" + command);
            CHECK(result.code == 0);
            CHECK(result.out.find("error") == std::string::npos);
            CHECK_FALSE(result.out.empty());
        }
    }
}
