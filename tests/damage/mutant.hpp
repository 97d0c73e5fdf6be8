// Mutant: a specimen with one kind of damage, chosen by a seed and a number.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tests/damage/specimen.hpp"

namespace larder::damage {

/// Where the damage is, and what of it.
enum class Damage : std::uint32_t {
    header,
    geometry,
    slots,
    registry,
    threads,
    locks,
    leases,
    fences,
    keys,
    shards,
    arena_states,
    arenas,   // heads, index nodes, the allocator's own words
    records,  // all but the value
    values,
    truncation,
    zeros,
    ones,
    bits,
    words,
};
inline constexpr std::array<std::string_view, 19> kDamages = {
    "header",       "geometry", "slots",   "registry", "threads",    "locks", "leases", "fences", "keys", "shards",
    "arena states", "arenas",   "records", "values",   "truncation", "zeros", "ones",   "bits",   "words"};

struct Mutant {
    std::uint64_t number = 0;
    Damage damage = Damage::header;
    std::uint32_t specimen = 0;
    std::vector<Edit> edits;
    std::uint64_t file_bytes = 0;

    /// It may have changed what a value or a record's lengths are: then wrong bytes are seen where nobody verifies
    /// them.
    bool touches_arenas(const Specimen& of) const;
    /// The same, with ends, notices' numbers, fences, which of them a record depends on, and how long the machine was
    /// suspended as they were: words of which one is as good as another, so that the doctor cannot name what they cost.
    Mutant without_free_words(const Specimen& of) const;
    /// Class, specimen, places.
    std::string describe(const Specimen& of) const;
};

Mutant make_mutant(const std::vector<Specimen>& specimens, std::uint64_t seed, std::uint64_t number);

}  // namespace larder::damage
