// The units of systemd, as it reads them itself; it is not started.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"

using namespace larder;
using test::CommandResult;
using test::run_shell;
using test::ScopedDirectory;

namespace {

const std::string source = std::string(LARDER_SOURCE_DIR) + "/tools/packaging/";
const std::string made = source + "larder.service.in";

std::string text_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE(file.is_open());
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// False, and said: the case proves nothing here.
bool has_systemd_analyze() {
    if (run_shell("/", "command -v systemd-analyze").code == 0) return true;
    WARN("skipped: no systemd-analyze");
    return false;
}

/// The units, with the program where the build has it.
struct Units {
    ScopedDirectory directory;
    std::string service = directory.file("larder.service"), socket = directory.file("larder.socket");
    explicit Units(const std::string& more = {}) {
        std::string text = text_of(made);
        const std::size_t at = text.find("ExecStart=") + 10;
        text.replace(at, text.find(' ', at) - at, LARDER_BINARY);
        std::ofstream(service) << text << more;
        std::filesystem::copy_file(source + "larder.socket", socket);
    }
    CommandResult verify() const {
        return run_shell("/", "systemd-analyze verify --man=no " + service + " " + socket + " 2>&1");
    }
};

}  // namespace

TEST_CASE("systemd finds nothing wrong with the units", "[units]") {
    if (!has_systemd_analyze()) return;
    const CommandResult verdict = Units().verify();
    CHECK(verdict.code == 0);
    CHECK(verdict.out.empty());
    CHECK_THAT(Units("\n[Service]\nNoSuchKey=1\n").verify().out, Catch::Contains("NoSuchKey"));  // it does look
}

TEST_CASE("the service is exposed to little", "[units]") {
    if (!has_systemd_analyze()) return;
    const Units units, open("\n[Service]\nProtectSystem=no\nCapabilityBoundingSet=CAP_SYS_ADMIN\nSystemCallFilter=\n");
    const auto judge = [](const std::string& unit) {
        return run_shell("/", "systemd-analyze security --offline=true --no-pager --threshold=20 " + unit).code;
    };
    CHECK(judge(units.service) == 0);
    CHECK(judge(open.service) != 0);
}

TEST_CASE("the service may see the processes that share its cache", "[units]") {
    const std::string text = text_of(made);
    for (const char* const key : {"ProtectProc=", "ProcSubset=", "PrivateUsers=", "PrivatePIDs=", "DynamicUser="}) {
        INFO(key);
        CHECK(text.find("\n" + std::string(key)) == std::string::npos);
    }
    CHECK(text.find("\nRuntimeDirectory=larder\nRuntimeDirectoryMode=0700\n") != std::string::npos);
}
