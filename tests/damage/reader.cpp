#include "tests/damage/reader.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <span>
#include <utility>

#include "shm/counters.hpp"
#include "shm/doctor.hpp"
#include "shm/entry_cursor.hpp"
#include "shm/hash.hpp"
#include "shm/inspector.hpp"
#include "shm/location.hpp"
#include "shm/segment.hpp"
#include "tests/support/proving_value.hpp"
#include "tools/inspection.hpp"
#include "tools/json_lines.hpp"
#include "tools/stat_report.hpp"

namespace larder::damage {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kShownBytes = 256;  // base64 of more takes most of the time

enum class Bytes { right, wrong, another_keys };

Bytes judge(std::string_view key, std::string_view value) {
    if (test::proven_version(key, value)) return Bytes::right;
    return test::proves_any_key(value) ? Bytes::another_keys : Bytes::wrong;
}

Tally dump(const Specimen& specimen, const shm::SegmentView& view, bool checksums) {
    Tally tally;
    const std::int64_t now_ns = tools::segment_now_ns();
    shm::EntryCursor cursor(view, {.prefix = {}, .values = true, .dead = true, .checksums = checksums});
    for (auto page = cursor.next(64, now_ns); !page.empty(); page = cursor.next(64, now_ns))
        for (const shm::Entry& entry : page) {
            if (!checksums)  // the text is the same with them, and takes most of the time
                tools::json_text(
                    tools::entry_json(entry, tools::entry_line(view, entry, now_ns), entry.value.size() < kShownBytes));
            const bool right = entry.value.empty() || judge(entry.key, entry.value) == Bytes::right;
            ++(right ? tally.hits : tally.wrong_bytes);
        }
    for (std::uint32_t n = 0; n < specimen.shape().keys; n += 8) {
        const auto entry = shm::find_entry(view, specimen.key(n), true, now_ns);
        ++(entry ? tally.hits : tally.misses);
    }
    return tally;
}

}  // namespace

Reader::Reader(Cache& cache, const Specimen& specimen, const std::string& path, std::uint64_t seed)
    : cache_(cache), specimen_(specimen), random_(seed) {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
        if (line.ends_with(path)) std::sscanf(line.c_str(), "%lx-%lx", &mapped_from_, &mapped_to_);
}

void Reader::read(std::uint64_t times) {
    for (std::uint64_t n = 0; n < times && failure_.empty(); ++n) {
        if (n % 64 != 0) {
            read_once();
        } else {
            get_copies(8);
            n += 8;
        }
    }
}

Hits Reader::read_each() {
    Hits hits;
    for (std::uint32_t n = 0; n < specimen_.shape().keys && failure_.empty(); ++n)
        hits[n] = check(specimen_.key(n), cache_.get(specimen_.key(n)));
    return hits;
}

void Reader::read_copies(std::uint64_t times) {
    for (std::uint64_t n = 0; n < times && failure_.empty(); n += 64) get_copies(64);
}

void Reader::read_once() {
    const std::string key = any_key();
    switch (random_() % 8) {
    case 0:
        check(key, cache_.peek(key));
        return;
    case 1:
        cache_.contains(key);
        cache_.key_use(key);
        return;
    case 2: {
        const std::array<std::string, 3> keys{key, any_key(), any_key()};
        const std::array<std::string_view, 3> views{keys[0], keys[1], keys[2]};
        const std::vector<Pinned> got = cache_.get_many(views);
        for (std::size_t i = 0; i < keys.size(); ++i) check(keys[i], got[i]);
        return;
    }
    default:
        check(key, cache_.get(key));
    }
}

/// With all of the thread's pins in use a hit is a copy.
void Reader::get_copies(std::uint64_t times) {
    std::vector<Pinned> held;
    for (int look = 0; look < 64 && held.size() < shm::kPinCells; ++look)
        if (Pinned got = cache_.get(any_key()); got.state() != State::none) held.push_back(std::move(got));
    for (; times > 0; --times) {
        const std::string key = any_key();
        check(key, cache_.get(key));
    }
}

bool Reader::leaves_mapping(std::string_view value) const {
    const auto from = reinterpret_cast<std::uint64_t>(value.data());
    return from >= mapped_from_ && from < mapped_to_ && value.size() > mapped_to_ - from;
}

bool Reader::check(const std::string& key, const Pinned& got) {
    const bool hit = got.state() != State::none;
    ++(hit ? tally_.hits : tally_.misses);
    if (!got) return hit;
    if (leaves_mapping(got.value())) {
        failure_ = "a value of " + std::to_string(got.value().size()) + " bytes leaves the mapping";
        return hit;
    }
    const std::string value(got.value());  // a peer may put right what it had damaged while it is judged
    switch (judge(key, value)) {
    case Bytes::right:
        break;
    case Bytes::another_keys:
        failure_ = "the value of " + key + " is another key's";
        break;
    case Bytes::wrong:
        ++tally_.wrong_bytes;
    }
    return hit;
}

Inspected inspect(const Specimen& specimen, const std::string& directory) try {
    const shm::Location location = shm::locate(directory, kCacheName, false);
    const tools::Inspection inspection{location, shm::Segment::attach_read_only(location.segment_path())};
    const std::int64_t now_ns = tools::segment_now_ns();
    tools::stat_text(inspection, now_ns, true);
    tools::json_text(tools::stat_json(inspection, now_ns));
    Inspected inspected;
    inspected.dumped = dump(specimen, inspection.view(), false);
    inspected.verified = dump(specimen, inspection.view(), true);
    const auto no_pause = [](std::int64_t) {};  // nobody else is there who could change what is looked at twice
    for (const shm::Finding& one : shm::examine(inspection.view(), {true, now_ns, {}, no_pause}))
        if (one.severity != shm::Severity::info) inspected.findings += one.name + " ";
    return inspected;
} catch (const OpenError& error) {
    return {"open_" + error.stage + " ", {}, {}};
}

void write_all(Cache& cache, const Specimen& specimen, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (std::uint32_t n = 0; n < 300; ++n) {
        const std::string key = specimen.key(static_cast<std::uint32_t>(random() % (2 * specimen.shape().keys)));
        const std::string value = test::proving_value(key, n, random() % specimen.shape().most_bytes);
        switch (random() % 6) {
        case 0:
            cache.erase(key);
            break;
        case 1:
            cache.touch(key, 1h);
            break;
        case 2:
            cache.get_or_compute(key, [&] { return std::optional<std::string>(value); });
            break;
        default:
            cache.put(key, value);
        }
        if (n % 100 == 99) cache.tend();
    }
}

}  // namespace larder::damage
