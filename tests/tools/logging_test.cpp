// What is logged, in each format, whatever bytes are in it.
#include "tools/logging.hpp"

#include <fcntl.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/child_process.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/skipped.hpp"

using namespace larder;
using test::ChildProcess;
using test::CommandResult;
using test::LarderCommand;
using test::run_larder;
using test::ScopedDirectory;
using tools::LogFormat;

namespace {

const std::string hostile =
    "a \"b\" \\ \n{\"level\":\"x\"}\r\t\x1b[2J\x7f\xc2\x9b \xff\xfe \xe2\x80\xae gr\xc3\xbc\xc3\x9f %n {}";

/// The lines that `log` writes on stderr in a process of its own.
template <class Log>
std::vector<std::string> lines_on_stderr(Log&& log) {
    const ScopedDirectory directory;
    const std::string path = directory.file("log");
    ChildProcess child = ChildProcess::start([&](test::Channel&) {
        ::dup2(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), STDERR_FILENO);
        log();
        return 0;
    });
    CHECK(child.wait().exited_with(0));
    std::ifstream file(path, std::ios::binary);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

bool has_control(const std::string& line) {
    return std::any_of(line.begin(), line.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }) ||
           line.find("\xc2\x9b") != std::string::npos;
}

/// The error of `larder advise` about a file that is not there.
CommandResult complain_about(const std::string& path, const std::string& format) {
    const ScopedDirectory directory;
    return run_larder(directory.path(), {"--log-format", format, "advise", "--", path});
}

/// A journal of our own at its usual place, in a mount namespace of our own. Below 0: it is not to be had.
int own_journal() {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", "/run", "tmpfs", 0, nullptr) != 0)
        return -1;
    std::filesystem::create_directories("/run/systemd/journal");
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const sockaddr_un address{AF_UNIX, "/run/systemd/journal/socket"};
    return ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? fd : -1;
}

std::string received(int fd) {
    char buffer[4096];
    const ssize_t count = ::recv(fd, buffer, sizeof buffer, 0);
    return count < 0 ? std::string() : "\n" + std::string(buffer, static_cast<std::size_t>(count));
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a line of text is one line without a control character", "[logging]") {
    const auto lines = lines_on_stderr([] {
        tools::start_logging("info");
        tools::log_line(LogLevel::info, hostile);
        spdlog::warn("from {}", hostile);
        tools::log_line(LogLevel::debug, "not at this level");
        tools::announce(LogLevel::info, hostile);
    });
    REQUIRE(lines.size() == 3);
    for (const std::string& line : lines) CHECK_FALSE(has_control(line));
    CHECK_THAT(lines[0], Catch::Matches("[0-9-]{10}T[0-9:.]{12}Z info \\[[0-9]+\\] a \"b\" .*"));
    CHECK_THAT(lines[1], Catch::Contains(" warning [") && Catch::Contains("] from a \"b\""));
    CHECK_THAT(lines[2], Catch::StartsWith("larder: a \"b\" "));
}

TEST_CASE("a line of JSON is one object with the whole message", "[logging]") {
    const auto lines = lines_on_stderr([] {
        tools::start_logging("warning", LogFormat::json);
        tools::log_line(LogLevel::error, hostile);
        spdlog::warn("from {}", hostile);
        tools::log_line(LogLevel::info, "not at this level");
        tools::announce(LogLevel::info, "whatever the level");
        tools::log_line(LogLevel::info, "not at this level");
    });
    REQUIRE(lines.size() == 3);
    for (const std::string& line : lines) CHECK_FALSE(has_control(line));
    const auto object = boost::json::parse(lines[0]).as_object();
    CHECK(object.size() == 4);
    CHECK(object.at("level") == "error");
    CHECK(object.at("pid").as_int64() > 0);
    CHECK_THAT(std::string(object.at("time").as_string()),
               Catch::Matches("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"));
    std::string expected = hostile;
    expected.replace(expected.find("\xff\xfe"), 2, "\xef\xbf\xbd\xef\xbf\xbd");
    CHECK(std::string(object.at("message").as_string()) == expected);
    CHECK(std::string(boost::json::parse(lines[1]).at("message").as_string()) == "from " + expected);
    CHECK(boost::json::parse(lines[2]).at("level") == "info");
}

TEST_CASE("a verb's failure is told in the format of the log", "[logging]") {
    const std::string path = "/nowhere/\n\x1b[2J\"\\\xff";
    const CommandResult text = complain_about(path, "text"), json = complain_about(path, "json");
    CHECK(text.code == 3);
    CHECK(json.code == 3);
    CHECK_THAT(text.err, Catch::StartsWith("larder: ") && Catch::EndsWith("\n"));
    CHECK_FALSE(has_control(text.err.substr(0, text.err.size() - 1)));
    const auto object = boost::json::parse(json.err).as_object();
    CHECK(object.at("level") == "error");
    CHECK_THAT(std::string(object.at("message").as_string()), Catch::Contains("/nowhere/\n\x1b[2J\"\\"));
}

TEST_CASE("a format that is not there is a usage error that names its option or variable", "[logging]") {
    const ScopedDirectory directory;
    const CommandResult flag = run_larder(directory.path(), {"ls", "--log-format", "xml"});
    CHECK(flag.code == 2);
    CHECK(flag.err == "larder: --log-format: `xml` is not a log format: write text, json or journal\n");
    const CommandResult variable = run_larder(directory.path(), {"ls"}, "", {{"LARDER_LOG_FORMAT", "xml"}});
    CHECK(variable.code == 2);
    CHECK_THAT(variable.err, Catch::StartsWith("larder: LARDER_LOG_FORMAT: `xml`"));
    CHECK(tools::log_format_of("json") == LogFormat::json);
    CHECK(tools::log_format_of("") == LogFormat::text);
}

TEST_CASE("the journal gets the message with its level, and is chosen where stderr goes to it", "[logging]") {
    const ScopedDirectory directory;
    ChildProcess child = ChildProcess::start([](test::Channel&) {
        const int journal = own_journal();
        if (journal < 0) return 77;
        struct stat status {};
        if (::fstat(STDERR_FILENO, &status) != 0) return 1;
        if (tools::log_format_of("") != LogFormat::text) return 2;
        const std::string device = std::to_string(status.st_dev);
        ::setenv("JOURNAL_STREAM", (device + ":" + std::to_string(status.st_ino + 1)).c_str(), 1);
        if (tools::log_format_of("") != LogFormat::text) return 3;  // of another stream
        ::setenv("JOURNAL_STREAM", (device + ":" + std::to_string(status.st_ino)).c_str(), 1);
        if (tools::log_format_of("") != LogFormat::journal) return 4;
        if (tools::log_format_of("text") != LogFormat::text) return 5;
        tools::start_logging("info", tools::log_format_of(""));
        tools::log_line(LogLevel::warning, "one\ntwo");
        const std::string warning = received(journal);
        if (!has(warning, "\nMESSAGE=one\\x0atwo\n") || !has(warning, "\nPRIORITY=4\n")) return 6;
        if (!has(warning, "\nSYSLOG_IDENTIFIER=larder\n")) return 7;
        tools::announce(LogLevel::error, "failed");
        const std::string error = received(journal);
        if (!has(error, "\nMESSAGE=failed\n") || !has(error, "\nPRIORITY=3\n")) return 8;
        tools::log_line(LogLevel::debug, "not at this level");
        return received(journal).empty() ? 0 : 9;
    });
    const auto end = child.wait();
    if (end.exited_with(77)) {
        WARN(test::kNeedsRoot);
        return;
    }
    for (int code = 1; code < 10; ++code) CHECK_FALSE(end.exited_with(code));
    CHECK(end.exited_with(0));
}

TEST_CASE("a journal that is not there is no place for a log", "[logging]") {
    if (::access("/run/systemd/journal/socket", F_OK) == 0) return;  // it is there
    CHECK_THROWS_AS(tools::log_format_of("journal"), std::invalid_argument);
}
