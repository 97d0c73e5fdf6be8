// Fills a cache as a scene of the dashboard's tests needs it, then asks for what is in it for a while.

#include <poll.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "tests/support/harness.hpp"

namespace larder::web {
namespace {

using namespace std::string_literals;

struct Settings {
    std::string cache = "default";
    std::uint64_t entries = 1'000;
    std::uint64_t value_bytes = 200;
    std::uint64_t seconds = 0;
    double spread = 100;
    bool hostile = false;
};

/// Markup, controls, marks that turn the text around, what is too long, and what is no text at all.
std::vector<std::string> hostile_keys() {
    return {"<img src=x onerror=alert(1)>",
            "</td></table><script>alert(1)</script>",
            "\"><svg/onload=alert(1)>",
            "javascript:alert(1)",
            "{\"__proto__\":{\"polluted\":1}}",
            "nul\0byte"s,
            "\x1b[2J\x1b[31mred\r\n\tnext\x7f",
            "event: hello\n\ndata: {}\n\n",
            "\xe2\x80\xaegnp.exe\xe2\x81\xa6 turned",
            "\xe2\x80\x8b\xe2\x80\x8d\xc2\xad\xef\xbb\xbf",
            "Z\xcc\x81\xcc\x82\xcc\x83\xcc\x84\xcc\x85\xcc\x86\xcc\x87\xcc\x88",
            "\xff\xfe\x80 no UTF-8",
            "\xed\xa0\x80 half a pair",
            "\xe6\x97\xa5\xe6\x9c\xac:\xf0\x9f\x8d\x9e",
            std::string(1'024, 'k'),
            std::string(1'024, '<')};
}

std::vector<std::string> keys_of(const Settings& settings) {
    std::vector<std::string> keys = settings.hostile ? hostile_keys() : std::vector<std::string>();
    for (std::uint64_t i = 0; keys.size() < settings.entries; ++i) keys.push_back("page:" + std::to_string(i));
    return keys;
}

int fill(const Settings& settings) {
    Cache cache = Cache::open({.name = settings.cache, .create = false, .role = "filler"});
    const std::vector<std::string> keys = keys_of(settings);
    const std::string value(settings.value_bytes, 'v');
    for (const std::string& key : keys) static_cast<void>(cache.put(key, value, {}));
    if (settings.hostile)
        for (const std::string& key : hostile_keys()) cache.invalidate_tag(key.substr(0, 256));
    std::printf("filled %zu\n", keys.size());
    std::fflush(stdout);

    // Some keys are asked for far more than others, and some are not there.
    std::mt19937_64 random(1);
    std::exponential_distribution<double> place(1 / settings.spread);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(settings.seconds);
    while (std::chrono::steady_clock::now() < end) {
        for (int i = 0; i < 50; ++i) {
            const auto at = static_cast<std::size_t>(place(random));
            if (i % 10 == 0)
                static_cast<void>(cache.get_or_compute("absent:" + std::to_string(at),
                                                       [] { return std::optional<std::string>(); }, {}));
            else if (const std::string& key = keys[at % keys.size()]; !cache.get(key))
                static_cast<void>(cache.put(key, value, {}));
        }
        // The machine is left to the browser.
        static_cast<void>(::poll(nullptr, 0, 5));
    }
    return 0;
}

}  // namespace
}  // namespace larder::web

int main(int argc, char** argv) {
    CLI::App program("Fills a cache and asks for what is in it");
    larder::web::Settings settings;
    program.add_option("--cache", settings.cache, "Name of the cache, which is there")->capture_default_str();
    program.add_option("--entries", settings.entries, "How many")->capture_default_str();
    program.add_option("--value-bytes", settings.value_bytes, "Of each")->capture_default_str();
    program.add_option("--seconds", settings.seconds, "Asks for so long")->capture_default_str();
    program.add_option("--spread", settings.spread, "Over about so many keys")->capture_default_str();
    program.add_flag("--hostile", settings.hostile, "With keys that would harm a careless page");
    CLI11_PARSE(program, argc, argv);
    return larder::test::run_harness("larder_web", [&] { return larder::web::fill(settings); });
}
