#include "tests/damage/mutant.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <utility>

#include "shm/directory.hpp"
#include "shm/record.hpp"

namespace larder::damage {
namespace {

/// Puts damage of each kind into one mutant.
class Mutator {
public:
    Mutator(const Specimen& specimen, Mutant& mutant, std::uint64_t seed)
        : specimen_(specimen), view_(specimen.view()), geometry_(*view_.geometry), mutant_(mutant), random_(seed) {}

    void damage(Damage kind) {
        switch (kind) {
        case Damage::header:
            return header();
        case Damage::geometry:
            return words_in(offsetof(shm::SegmentHeader, geometry), sizeof(shm::Geometry), few());
        case Damage::slots:
            return slots();
        case Damage::registry:
            return registry();
        case Damage::threads:
            return words_in(geometry_.threads_at + below(4) * kBlocksBytes, kBlocksBytes, many());
        case Damage::locks:
            return locks();
        case Damage::leases:
            return words_in(geometry_.leases_at, sizeof(shm::LeaseGroup) * shm::kLeaseLocks, many());
        case Damage::fences:
            return words_in(geometry_.fences_at, sizeof(shm::Word64) * shm::kFences, 4'000);
        case Damage::keys:
            return words_in(geometry_.keys_at, geometry_.shards_at - geometry_.keys_at, 4'000);
        case Damage::shards:
            return shards();
        case Damage::arena_states:
            return words_in(geometry_.arena_states_at, sizeof(shm::ArenaState) * geometry_.arenas, few());
        case Damage::arenas:
            return arenas();
        case Damage::records:
            return records();
        case Damage::values:
            return values();
        case Damage::truncation:
            return truncation();
        case Damage::zeros:
            return region('\0');
        case Damage::ones:
            return region('\xFF');
        case Damage::bits:
            return bits();
        case Damage::words:
            for (std::uint64_t n = many(); n > 0; --n) word_at(used_place(8));
            return;
        }
    }

private:
    static constexpr std::uint64_t kBlocksBytes = sizeof(shm::ThreadBlock) * shm::kThreadBlocks;

    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    std::uint64_t few() { return 1 + below(3); }
    std::uint64_t many() { return 1ULL << below(8); }

    template <class Word>
    Word old(std::uint64_t at) const {
        Word word{};
        std::memcpy(&word, view_.base + at, sizeof word);
        return word;
    }
    template <class Word>
    void put(std::uint64_t at, Word word) {
        mutant_.edits.push_back({at, std::string(reinterpret_cast<const char*>(&word), sizeof word)});
    }

    /// What programs meet: ends of ranges, neighbours of the right value, offsets, noise.
    std::uint64_t odd_value(std::uint64_t was) {
        const std::uint64_t values[] = {0,
                                        1,
                                        ~std::uint64_t{0},
                                        std::uint64_t{1} << 63,
                                        0x7FFFFFFF'FFFFFFFF,
                                        0xFFFFFFFF,
                                        0x80000000,
                                        was + 1,
                                        was - 1,
                                        was ^ std::uint64_t{1} << below(64),
                                        was << 1,
                                        specimen_.bytes(),
                                        below(specimen_.bytes()),
                                        random_(),
                                        random_() >> below(64)};
        return values[below(std::size(values))];
    }
    /// 8 or 4 bytes of it.
    void word_at(std::uint64_t at) {
        if (below(2) == 0) return put(at, odd_value(old<std::uint64_t>(at)));
        put(at + 4 * below(2), static_cast<std::uint32_t>(odd_value(old<std::uint32_t>(at))));
    }
    void words_in(std::uint64_t at, std::uint64_t size, std::uint64_t count) {
        for (; count > 0; --count) word_at(at + below(size / 8) * 8);
    }
    std::uint64_t used_place(std::uint64_t aligned) {
        const std::vector<std::uint64_t>& pages = specimen_.pages();
        return pages[below(pages.size())] + below(shm::kPageBytes / aligned) * aligned;
    }
    std::uint64_t any_record() { return specimen_.records()[below(specimen_.records().size())]; }
    const shm::Record& record(std::uint64_t at) const { return *view_.at<shm::Record>(at); }

    /// The geometry has a kind of its own.
    void header() {
        constexpr std::uint64_t kFrom = offsetof(shm::SegmentHeader, boot_id);
        switch (below(3)) {
        case 0:
            return words_in(0, offsetof(shm::SegmentHeader, geometry), few());
        case 1:
            return words_in(kFrom, offsetof(shm::SegmentHeader, notices) - kFrom, few());
        default:
            return words_in(offsetof(shm::SegmentHeader, notices), sizeof(shm::NoticeMark) * 8, many());
        }
    }

    void slots() {
        const std::uint64_t all = std::uint64_t{geometry_.shards} * geometry_.directory_slots;
        for (std::uint64_t n = many(); n > 0; --n) {
            std::uint64_t at = geometry_.directories_at + below(all) * 8;
            for (int look = 0; look < 16 && old<std::uint64_t>(at) == 0; ++look)
                at = geometry_.directories_at + below(all) * 8;
            const auto was = old<std::uint64_t>(at);
            const std::uint64_t arenas = geometry_.arenas_at / shm::kUnitBytes;
            const std::uint64_t arena_units = geometry_.arena_bytes / shm::kUnitBytes;
            const std::uint64_t end = arenas + geometry_.arenas * arena_units;
            const std::uint64_t places[] = {0,
                                            1,
                                            arenas - 1,
                                            arenas + below(4),
                                            arenas + arena_units - 1 - below(8),
                                            end - 1 - below(8),
                                            end,
                                            0xFFFFFFFF,
                                            any_record() / shm::kUnitBytes,
                                            any_record() / shm::kUnitBytes + 1 + below(8),
                                            below(end),
                                            random_() & 0xFFFFFFFF};
            const std::uint32_t tag = below(4) != 0 ? shm::slot_tag(was) : static_cast<std::uint32_t>(below(4096));
            put(at, below(8) == 0 ? odd_value(was) : shm::slot_word(places[below(std::size(places))], tag, random_()));
        }
    }

    void registry() {
        const bool all = below(8) == 0;  // every slot seems to be init's
        if (!all) return words_in(geometry_.registry_at, sizeof(shm::ProcessSlot) * (1 + below(8)), few());
        for (std::uint64_t slot = 0; slot < shm::kProcesses; ++slot) {
            const std::uint64_t at = geometry_.registry_at + slot * sizeof(shm::ProcessSlot);
            put(at + offsetof(shm::ProcessSlot, pid), std::uint32_t{1});
        }
    }

    void locks() {
        for (std::uint64_t n = many(); n > 0; --n) {
            const bool of_shard = below(2) == 0;
            const std::uint64_t at = of_shard ? geometry_.shards_at + below(geometry_.shards) * sizeof(shm::Shard)
                                              : geometry_.leases_at + below(shm::kLeaseLocks) * sizeof(shm::LeaseGroup);
            if (below(4) == 0)
                put(at + 16, static_cast<std::uint32_t>(below(512)));  // its kind: any of those that glibc knows
            else
                words_in(at, sizeof(pthread_mutex_t), 1);
        }
    }

    void shards() {
        const std::uint64_t at = geometry_.shards_at + below(geometry_.shards) * sizeof(shm::Shard);
        constexpr std::uint64_t kFrom = offsetof(shm::Shard, mutating);
        words_in(at + kFrom, sizeof(shm::Shard) - kFrom, few());
    }

    void arenas() {
        const std::uint64_t arena = geometry_.arenas_at + below(geometry_.arenas) * geometry_.arena_bytes;
        switch (below(4)) {
        case 0:
            return put(arena, odd_value(old<std::uint64_t>(arena)));  // where the index is
        case 1:
            return words_in(arena, 1024, few());
        case 2:
            return words_in(arena + geometry_.node_bytes, 512, few());  // the record heap's head
        default:
            return words_in(arena, 64 << 10, many());
        }
    }

    void records() {
        for (std::uint64_t n = many(); n > 0; --n) {
            const std::uint64_t at = any_record();
            const std::uint64_t behind = record(at).value_at - sizeof(shm::Record);
            if (below(4) == 0)
                word_at(at + sizeof(shm::Record) + below(behind / 8) * 8);
            else
                word_at(at + below(sizeof(shm::Record) / 8) * 8);
        }
    }

    void values() {
        for (std::uint64_t n = many(); n > 0; --n) {
            const std::uint64_t at = any_record();
            if (record(at).value_bytes == 0) continue;
            flip(at + record(at).value_at + below(record(at).value_bytes));
        }
    }

    void flip(std::uint64_t at) { put(at, static_cast<std::uint8_t>(old<std::uint8_t>(at) ^ 1u << below(8))); }

    void truncation() {
        const std::uint64_t lengths[] = {0,
                                         1,
                                         sizeof(shm::SegmentHeader) - 1,
                                         sizeof(shm::SegmentHeader),
                                         geometry_.arenas_at,
                                         geometry_.arenas_at + geometry_.arena_bytes,
                                         specimen_.bytes() - 1,
                                         specimen_.bytes() - shm::kPageBytes,
                                         specimen_.bytes() + 1,
                                         specimen_.bytes() + shm::kPageBytes,
                                         below(specimen_.bytes()),
                                         below(specimen_.bytes() / shm::kPageBytes) * shm::kPageBytes};
        mutant_.file_bytes = lengths[below(std::size(lengths))];
        if (below(2) == 0) put(offsetof(shm::SegmentHeader, geometry.segment_bytes), mutant_.file_bytes);
    }

    void region(char fill) {
        const std::uint64_t at = below(4) == 0 ? below(specimen_.bytes()) : used_place(1);
        const std::uint64_t size = std::min(1 + below(1ULL << below(21)), specimen_.bytes() - at);
        mutant_.edits.push_back({at, std::string(size, fill)});
    }

    void bits() {
        for (std::uint64_t n = many(); n > 0; --n) flip(used_place(1));
    }

    const Specimen& specimen_;
    const shm::SegmentView view_;
    const shm::Geometry& geometry_;
    Mutant& mutant_;
    std::mt19937_64 random_;
};

/// Where they begin and end.
std::vector<std::pair<std::uint64_t, std::uint64_t>> free_words(const Specimen& of) {
    const std::uint64_t fences = of.view().geometry->fences_at;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> words{
        {offsetof(shm::SegmentHeader, applied), offsetof(shm::SegmentHeader, recency)},
        {offsetof(shm::SegmentHeader, suspended_ns), offsetof(shm::SegmentHeader, open_at_ns)},
        {fences, fences + sizeof(shm::Word64) * shm::kFences}};
    for (const std::uint64_t at : of.records()) {
        const shm::RecordShape shape = shm::shape_of(*of.view().at<shm::Record>(at));
        words.emplace_back(at + offsetof(shm::Record, as_of), at + offsetof(shm::Record, created_ns));
        words.emplace_back(at + offsetof(shm::Record, expires_ns), at + offsetof(shm::Record, soft_expires_ns));
        words.emplace_back(at + shape.stripes_at(), at + shape.tags_at());
    }
    return words;
}

}  // namespace

bool Mutant::touches_arenas(const Specimen& of) const {
    return std::any_of(edits.begin(), edits.end(),
                       [&of](const Edit& edit) { return edit.at + edit.bytes.size() > of.view().geometry->arenas_at; });
}

Mutant Mutant::without_free_words(const Specimen& of) const {
    Mutant rest = *this;
    const auto words = free_words(of);
    for (Edit& edit : rest.edits)
        for (const auto& [from, to] : words) {
            const std::uint64_t first = std::max(from, edit.at), end = std::min(to, edit.at + edit.bytes.size());
            if (first < end) std::memcpy(&edit.bytes[first - edit.at], of.view().base + first, end - first);
        }
    return rest;
}

std::string Mutant::describe(const Specimen& of) const {
    constexpr std::size_t kShown = 4;
    std::string text = std::string(kDamages[static_cast<std::size_t>(damage)]) + " of `" + of.shape().name + "`";
    if (file_bytes != of.bytes()) text += ", length " + std::to_string(file_bytes);
    text += ", " + std::to_string(edits.size()) + " places:";
    for (std::size_t i = 0; i < std::min(edits.size(), kShown); ++i) {
        char place[64];
        std::snprintf(place, sizeof place, " %#lx+%zu", edits[i].at, edits[i].bytes.size());
        text += place;
        for (std::size_t n = 0; n < std::min<std::size_t>(edits[i].bytes.size(), 8); ++n) {
            std::snprintf(place, sizeof place, "%s%02x", n == 0 ? "=" : "", edits[i].bytes[n] & 0xFF);
            text += place;
        }
    }
    return text + (edits.size() > kShown ? " ..." : "");
}

Mutant make_mutant(const std::vector<Specimen>& specimens, std::uint64_t seed, std::uint64_t number) {
    Mutant mutant;
    mutant.number = number;
    mutant.damage = static_cast<Damage>(number % kDamages.size());
    mutant.specimen = static_cast<std::uint32_t>(number / kDamages.size() % specimens.size());
    mutant.file_bytes = specimens[mutant.specimen].bytes();
    Mutator(specimens[mutant.specimen], mutant, seed * 0x9e3779b97f4a7c15ULL + number).damage(mutant.damage);
    return mutant;
}

}  // namespace larder::damage
