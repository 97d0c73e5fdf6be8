// Commands whose n-th call of a name fails: they do what they say, or say what went wrong, and the cache is whole.
#include "tests/failing_calls/failing_run.hpp"

using namespace larder;
using namespace larder::test;

namespace {

const std::vector<FailingCall> calls = {
    {"open", {EMFILE, EACCES, ENFILE}}, {"mmap", {ENOMEM, EAGAIN}},          {"fcntl", {ENOLCK, EIO}},
    {"linkat", {EACCES, ENOSPC}},       {"posix_fallocate", {ENOSPC, EIO}},  {"poll", {ENOMEM, EINTR}},
    {"socket", {EMFILE, EACCES}},       {"connect", {ECONNREFUSED, EAGAIN}}, {"send", {EPIPE, ENOBUFS}},
    {"recv", {ECONNRESET, ENOMEM}},
};

/// In a child: the test itself has none open.
bool has(const FailingScene& scene, const std::string& key) {
    const auto look = [&](Channel&) {
        try {
            return Cache::open({.directory = scene.path(), .create = false}).get(key).value() == "value" ? 0 : 1;
        } catch (const OpenError&) {
            return 1;
        }
    };
    return ChildProcess::start(look).wait().exited_with(0);
}

bool put(const FailingScene& scene, const std::string& key) {
    return run_larder(scene.path(), {"put", key, "--size", "16MiB"}, "value").code == 0;
}

void put_into_nothing(const Extent& extent, std::set<std::string>& failed) {
    loop(calls, extent, failed, [](const Failure& failure) {
        const FailingScene scene;
        INFO(failure.text());
        const CommandResult result =
            LarderCommand(scene.path(), {"put", "key", "--size", "16MiB"}, failure.environment(scene.mark()))
                .finish("value", kHang);
        scene.check_ending(result);
        if (!scene.has_failed()) CHECK(result.code == 0);
        CHECK(has(scene, "key") == (result.code == 0));
        scene.check_cache();
        if (failure.n % 8 == 1) scene.check_doctor();
        return scene.has_failed();
    });
}

void use_what_is_there(const std::vector<std::string>& arguments, const Extent& extent, std::set<std::string>& failed) {
    loop(calls, extent, failed, [&](const Failure& failure) {
        const FailingScene scene;
        INFO(arguments.front() << ": " << failure.text());
        REQUIRE(put(scene, "key"));
        const CommandResult result =
            LarderCommand(scene.path(), arguments, failure.environment(scene.mark())).finish("value", kHang);
        scene.check_ending(result);
        if (!scene.has_failed()) CHECK(result.code == 0);
        const bool is_gone = arguments.front() == "invalidate" && result.code == 0;
        CHECK(has(scene, "key") != is_gone);
        if (arguments.front() == "get" && result.code == 0) CHECK(result.out == "value");
        if (arguments.front() == "put") CHECK(has(scene, "other") == (result.code == 0));
        scene.check_cache();
        return scene.has_failed();
    });
}

/// The listener is another process, whose calls do not fail.
void tell_a_listener(const Extent& extent, std::set<std::string>& failed) {
    const FailingScene scene;
    REQUIRE(put(scene, "key"));
    LarderCommand listener(scene.path(), {"listen"});
    REQUIRE(eventually([&] { return run_larder(scene.path(), {"ls", "--json"}).json().at("listening").as_bool(); }));
    loop(calls, extent, failed, [&](const Failure& failure) {
        INFO(failure.text());
        REQUIRE(put(scene, "key"));
        std::filesystem::remove(scene.mark());
        const CommandResult result =
            LarderCommand(scene.path(), {"invalidate", "key"}, failure.environment(scene.mark())).finish({}, kHang);
        scene.check_ending(result);
        if (result.code == 0) CHECK_FALSE(has(scene, "key"));
        if (!scene.has_failed()) CHECK(result.code == 0);
        return scene.has_failed();
    });
    listener.signal(SIGTERM);
    CHECK(listener.finish({}, kHang).code == 0);
    scene.check_cache();
    scene.check_doctor();
}

void all_commands(const Extent& extent) {
    std::set<std::string> failed;
    put_into_nothing(extent, failed);
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"put", "other"}, {"get", "key"}, {"invalidate", "key"}})
        use_what_is_there(arguments, extent, failed);
    tell_a_listener(extent, failed);
    check_all_failed(calls, failed);
}

constexpr Extent kEach{true, true, 200, true}, kSome{false, false, 12};

}  // namespace

TEST_CASE("a command whose call fails does what it says, or says why not") { all_commands(kSome); }

TEST_CASE("a command whose call fails, all errors, once and from then on", "[.all]") { all_commands(kEach); }
