#include "tools/processors.hpp"

#include <sched.h>

#include <catch2/catch.hpp>
#include <functional>
#include <thread>

using namespace larder::tools;

namespace {

cpu_set_t usable() {
    cpu_set_t set;
    CPU_ZERO(&set);
    ::sched_getaffinity(0, sizeof set, &set);
    return set;
}

/// What a thread may use after doing that.
cpu_set_t usable_after(const std::function<void()>& action) {
    cpu_set_t set;
    std::thread([&] {
        action();
        set = usable();
    }).join();
    return set;
}

}  // namespace

TEST_CASE("As many workers as processors have one each, and the processors are all used") {
    const cpu_set_t all = usable();
    const auto processors = static_cast<std::size_t>(CPU_COUNT(&all));
    cpu_set_t used;
    CPU_ZERO(&used);
    for (std::size_t slot = 0; slot < processors; ++slot) {
        const cpu_set_t own = usable_after([&] { stay_on_own_processor(slot, processors); });
        CHECK(CPU_COUNT(&own) == 1);
        CPU_OR(&used, &used, &own);
    }
    CHECK(CPU_EQUAL(&used, &all));
}

TEST_CASE("Fewer or more workers than processors go where the kernel puts them") {
    const cpu_set_t all = usable();
    const auto processors = static_cast<std::size_t>(CPU_COUNT(&all));
    for (const std::size_t slot : {processors, processors + 7}) {
        const cpu_set_t own = usable_after([&] { stay_on_own_processor(slot, processors); });
        CHECK(CPU_EQUAL(&own, &all));
    }
    for (const std::size_t workers : {processors + 1, processors + 7}) {
        const cpu_set_t own = usable_after([&] { stay_on_own_processor(0, workers); });
        CHECK(CPU_EQUAL(&own, &all));
    }
    if (processors > 1) {
        const cpu_set_t own = usable_after([&] { stay_on_own_processor(0, processors - 1); });
        CHECK(CPU_EQUAL(&own, &all));
    }
}
