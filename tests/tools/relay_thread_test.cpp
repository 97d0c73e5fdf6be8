// The relay's thread: what it says while it cannot begin.
#include "tools/relay_thread.hpp"

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "core/sqlite_database.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/scoped_directory.hpp"

using namespace larder;

namespace {

/// The default logger's lines, for as long as this lives.
class CapturedLog {
public:
    CapturedLog() : before_(spdlog::default_logger()) {
        spdlog::set_default_logger(
            std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)));
    }
    ~CapturedLog() { spdlog::set_default_logger(before_); }
    CapturedLog(const CapturedLog&) = delete;
    CapturedLog& operator=(const CapturedLog&) = delete;

    /// REQUIRES: nobody logs any more.
    std::size_t lines_with(const std::string& what) const {
        std::istringstream lines(text_.str());
        std::size_t count = 0;
        for (std::string line; std::getline(lines, line);) count += line.find(what) != std::string::npos;
        return count;
    }

private:
    std::ostringstream text_;
    std::shared_ptr<spdlog::logger> before_;
};

/// How often a file was opened since this was made.
class Opened {
public:
    explicit Opened(const std::string& path) : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
        REQUIRE(::inotify_add_watch(fd_, path.c_str(), IN_OPEN | IN_CLOSE) >= 0);
    }
    ~Opened() { ::close(fd_); }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;

    int times() {
        // Opening and closing take turns: two equal events in a row would be told as one.
        inotify_event event;
        while (::read(fd_, &event, sizeof event) == sizeof event) times_ += (event.mask & IN_OPEN) != 0;
        return times_;
    }

private:
    int fd_;
    int times_ = 0;
};

}  // namespace

TEST_CASE("a database that no relay can begin with is tried again and again, and complained of once") {
    const test::ScopedCache cache;
    const std::string path = cache.directory.file("no.db");
    std::ofstream(path) << std::string(1'000, 'x');
    const CapturedLog log;
    {
        Opened opened(path);
        const tools::RelayThread relay(std::make_shared<const SqliteDatabase>(path), cache.cache);
        CHECK(test::eventually([&opened] { return opened.times() >= 4; }));
        CHECK_FALSE(relay.caught_up());
    }
    CHECK(log.lines_with("Outbox relay") == 1);
}
