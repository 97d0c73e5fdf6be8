#include "tests/single_step/operation.hpp"

#include <utility>
#include <variant>

namespace larder::single_step {
namespace {

using namespace std::chrono_literals;

void nothing(Side&) {}
void put_first(Side& side) { side.put(side.victim(), 1); }

void fill_up(Side& side) {
    for (std::uint32_t n = 1; n < Side::kVictims; ++n) side.put(side.victim(n), 1);
}

/// So many retired records that the next put gives them back.
void retire_many(Side& side) {
    for (std::uint32_t n = 0; n < 16; ++n) side.put(side.victim(), n);
}

void put(Side& side) { side.cache.put(side.victim(), side.value); }
void put_tagged(Side& side) { side.cache.put(side.victim(), side.value, side.tagged); }

void fill(Side& side) {
    Begun begun = side.cache.begin(side.victim());
    if (std::holds_alternative<Lease>(begun)) side.cache.fill(std::move(std::get<Lease>(begun)), side.value);
}

void compute(Side& side) {
    side.cache.get_or_compute(side.victim(), [&]() -> std::optional<std::string> { return side.value; });
}

constexpr Operation all[] = {
    {"put", Kind::use, nothing, put},
    {"replace", Kind::use, put_first, put},
    {"tagged", Kind::use, put_first, put_tagged},
    {"evict", Kind::use, fill_up, put, 1},
    {"reclaim", Kind::use, retire_many, put},
    {"erase", Kind::use, put_first, [](Side& side) { side.cache.erase(side.victim()); }},
    {"touch", Kind::use, put_first, [](Side& side) { side.cache.touch(side.victim(), 60s); }},
    {"get", Kind::use, put_first, [](Side& side) { side.cache.get(side.victim()); }},
    {"fill", Kind::use, nothing, fill},
    {"compute", Kind::use, nothing, compute},
    {"invalidate", Kind::use, put_first, [](Side& side) { side.cache.invalidate(side.victim()); }},
    {"invalidate_tag", Kind::use, put_tagged, [](Side& side) { side.cache.invalidate_tag("victims"); }},
    {"tend", Kind::use, put_first, [](Side& side) { side.cache.tend(); }},
    {"rebuild", Kind::rebuild, put_first, put},
    {"attach", Kind::attach, nothing, nothing},
    {"create", Kind::create, nothing, nothing},
};

}  // namespace

std::span<const Operation> operations() { return all; }

}  // namespace larder::single_step
