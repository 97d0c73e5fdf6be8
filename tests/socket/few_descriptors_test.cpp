// A listener in a process that may open no more files. [no_asan]: the sanitizer opens some, too.
#include <poll.h>
#include <sys/resource.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string_view>

#include "tests/socket/running_listener.hpp"

using namespace larder::test;
namespace shm = larder::shm;

namespace {

/// No new descriptor in this process while it lives.
class NoDescriptors {
public:
    NoDescriptors() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        rlimit none = before_;
        none.rlim_cur = 1;  // as many as poll() is given
        ::setrlimit(RLIMIT_NOFILE, &none);
    }
    NoDescriptors(const NoDescriptors&) = delete;
    ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

}  // namespace

TEST_CASE("A listener that cannot begin says so once, with a log or without, and begins when it can",
          "[socket][fork][no_asan]") {
    const ScopedDirectory directory;
    ChildProcess process = ChildProcess::start([&](Channel&) {
        std::atomic<int> complaints{0};
        RecordingSink sink;
        shm::ListenerOptions silent = options_in(directory.path());
        shm::ListenerOptions options = silent;
        options.socket_path += ".other";
        options.lock_path += ".other";
        options.log = [&complaints](larder::LogLevel, std::string_view line) {
            if (line.find("no listener in this process for now") != std::string_view::npos) ++complaints;
        };
        auto none = std::make_unique<NoDescriptors>();
        const shm::ListenerThread one(options, sink), other(silent, sink);
        if (!eventually([&] { return complaints == 1; })) return 1;
        ::poll(nullptr, 0, 100);  // it tries again some times
        if (one.listening() || other.listening() || complaints != 1) return 2;
        none.reset();
        return eventually([&] { return one.listening() && other.listening(); }) && complaints == 1 ? 0 : 3;
    });
    CHECK(process.wait().exited_with(0));
}

TEST_CASE("A listener that loses its role while it has no descriptor for a client takes it again when it has some",
          "[socket][fork][no_asan]") {
    const ScopedDirectory directory;
    ChildProcess process = ChildProcess::start([&](Channel& test) {
        LogLines log;
        RecordingSink sink;
        shm::ListenerOptions options = options_in(directory.path());
        options.log = log.writer();
        const shm::ListenerThread listener(options, sink);
        if (!eventually([&] { return listener.listening(); })) return 1;
        auto none = std::make_unique<NoDescriptors>();
        test.tell('n');
        if (!eventually([&] { return log.has("cannot accept a client"); })) return 2;
        std::filesystem::remove(options.lock_path);
        if (!eventually([&] { return !listener.listening(); })) return 3;
        ::poll(nullptr, 0, 150);  // past its pause before it accepts again
        none.reset();
        if (!eventually([&] { return listener.listening(); })) return 4;
        test.tell('a');
        return test.hear() == 'e' ? 0 : 5;
    });
    REQUIRE(process.hear() == 'n');
    const SocketClient unheard(directory.file("c.sock"));
    REQUIRE(process.hear() == 'a');
    CHECK(SocketClient(directory.file("c.sock")).ask("ping") == "ok");
    process.tell('e');
    CHECK(process.wait().exited_with(0));
}
