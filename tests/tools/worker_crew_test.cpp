#include "tools/worker_crew.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

using namespace larder::tools;
using namespace std::chrono_literals;

TEST_CASE("a dead worker is replaced at once, until the fifth death within 10 s", "[serve]") {
    BackOff back_off;
    const BackOff::Clock::time_point start{1h};
    for (int i = 0; i < 5; ++i) {
        back_off.note_death(start + i * 1s);
        CHECK(back_off.pause() == 0ms);
    }
    back_off.note_death(start + 5s);
    CHECK(back_off.pause() == 1s);
    back_off.note_death(start + 6s);
    CHECK(back_off.pause() == 2s);
    for (int i = 0; i < 10; ++i) back_off.note_death(start + 7s);
    CHECK(back_off.pause() == 10s);
    CHECK(back_off.total_deaths() == 17);
}

TEST_CASE("deaths that are far apart are never waited for, and a quiet time forgives", "[serve]") {
    BackOff back_off;
    const BackOff::Clock::time_point start{1h};
    for (int i = 0; i < 100; ++i) back_off.note_death(start + i * 3s);
    CHECK(back_off.pause() == 0ms);
    for (int i = 0; i < 8; ++i) back_off.note_death(start + 400s);
    CHECK(back_off.pause() > 1s);
    back_off.note_death(start + 411s);
    CHECK(back_off.pause() == 0ms);
}

TEST_CASE("a ticket says the same after its way through a command line", "[serve]") {
    const WorkerTicket ticket =
        WorkerTicket::parse(WorkerTicket{.supervisor = 123, .port = 65'535, .slot = 63}.to_text());
    CHECK(ticket.supervisor == 123);
    CHECK(ticket.port == 65'535);
    CHECK(ticket.slot == 63);
    for (const char* text : {"", "1", "1:2", "1:2:", "1:2:64", "1:65536:0", "x:1:1", "1:1:1:1", "1:1:1 "})
        CHECK_THROWS_AS(WorkerTicket::parse(text), std::invalid_argument);
}

TEST_CASE("the ticket stands behind the verb, before all that the user gave", "[serve]") {
    const WorkerTicket ticket{.supervisor = 1, .port = 2, .slot = 3};
    using Words = std::vector<std::string>;
    CHECK(worker_command_line({"serve", "--log-level", "info", "serve", "--db", "serve", "--"}, ticket) ==
          Words{"serve", "--log-level", "info", "serve", "--worker=1:2:3", "--db", "serve", "--"});
    CHECK(worker_command_line({"larder", "serve"}, ticket) == Words{"larder", "serve", "--worker=1:2:3"});
}
