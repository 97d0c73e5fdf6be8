// The doctor's look at processes: who died or stands still inside a section, whose pins keep memory, whose leases hang.
#include <algorithm>
#include <string>

#include "shm/cache.hpp"
#include "shm/doctor.hpp"
#include "shm/elapsed.hpp"
#include "shm/entry_cursor.hpp"
#include "shm/inspector.hpp"
#include "shm/process.hpp"
#include "shm/record.hpp"
#include "shm/record_copy.hpp"
#include "shm/segment.hpp"
#include "shm/shard.hpp"
#include "shm/system.hpp"

namespace larder::shm {
namespace {

constexpr std::int64_t kLookAgainNs = 200'000'000;

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string title(const ProcessFacts& process) {
    return "process " + number(process.pid) + " (" + process.name + ", " + process.role + ")";
}

/// REQUIRES: it is alive.
bool is_stopped(const ProcessFacts& process) {
    const char state = process::status_of(process.pid).state;
    return state == 'T' || state == 't';
}

/// Its pids mean something here.
bool shares_namespace(const SegmentView& view, std::vector<Finding>& findings) {
    try {
        check_namespaces(view.header());
        return true;
    } catch (const OpenError& error) {
        findings.push_back({"other_namespace", Severity::warning,
                            std::string("Processes cannot be judged from here: ") + error.reason + ".",
                            "Run the doctor where the cache's processes run."});
        return false;
    }
}

/// A writer that is inside a section at two looks is stopped or dead: sections take microseconds.
void examine_section(const SegmentView& view, const ProcessFacts& process, std::vector<Finding>& findings) {
    const std::uint32_t shard = *process.inside;
    const bool half = shard < view.geometry->shards && read_shard(view, shard).mutating;
    const std::string where = " inside a writing section of shard " + number(shard);
    if (!process.alive) {
        if (half)
            findings.push_back({"dead_writer", Severity::error,
                                title(process) + " died" + where + ", which is half edited.",
                                "Nothing: the next writer empties that shard; reads of it are misses until then."});
        return;
    }
    const bool stopped = is_stopped(process);
    findings.push_back(
        {stopped ? "writer_stopped" : "writer_slow", stopped ? Severity::error : Severity::warning,
         title(process) + (stopped ? " was stopped" : " has long been") + where + ".",
         "Puts to that shard return `busy` until it goes on (kill -CONT " + number(process.pid) + ") or ends."});
}

bool still_inside(const std::vector<ProcessFacts>& later, const ProcessFacts& process) {
    return std::any_of(later.begin(), later.end(), [&process](const ProcessFacts& other) {
        return other.slot == process.slot && other.incarnation == process.incarnation && other.inside == process.inside;
    });
}

void examine_sections(const SegmentView& view, const Examination& examination,
                      const std::vector<ProcessFacts>& processes, std::vector<Finding>& findings) {
    const bool any =
        std::any_of(processes.begin(), processes.end(), [](const auto& p) { return p.inside.has_value(); });
    if (!any) return;
    pause(examination, kLookAgainNs);
    const std::vector<ProcessFacts> later = read_processes(view);
    for (const ProcessFacts& process : processes)
        if (process.inside && still_inside(later, process)) examine_section(view, process, findings);
}

/// `mutating` set, or `moves` odd, without anybody inside.
void examine_half_edited(const SegmentView& view, const Examination& examination,
                         const std::vector<ProcessFacts>& processes, std::vector<Finding>& findings) {
    const auto half = [&view](std::uint32_t i) {
        const ShardFacts shard = read_shard(view, i);
        return !shard.closed && (shard.mutating || shard.moves % 2 != 0);
    };
    for (std::uint32_t i = 0; i < view.geometry->shards; ++i) {
        if (!half(i)) continue;
        const bool known =
            std::any_of(processes.begin(), processes.end(), [i](const auto& p) { return p.inside == i; });
        if (known) continue;
        pause(examination, 1'000'000);
        if (half(i))
            findings.push_back({"half_edited", Severity::error, "Shard " + number(i) + " was left half edited.",
                                "Nothing: the next writer empties that shard; reads of it may be misses until then."});
    }
}

std::string key_at(const SegmentView& view, std::uint64_t offset) {
    const std::uint64_t room = record_room(*view.geometry, offset);
    if (room == 0) return "?";
    const Record& record = *view.at<Record>(offset);  // pinned: nobody changes it
    return record_fits(record, room) ? std::string(key_of(record)) : "?";
}

/// Pins that have kept an arena from being used again for long.
void examine_pins(const SegmentView& view, const Examination& examination, const std::vector<ProcessFacts>& processes,
                  std::vector<Finding>& findings) {
    const Geometry& geometry = *view.geometry;
    const auto blocked = [&](std::uint32_t arena) {
        const ArenaState& state = view.arena_state(arena);
        return is_condemned(state.word.load(std::memory_order_acquire)) && is_long_condemned(state, examination.now_ns);
    };
    for (const ProcessFacts& process : processes) {
        if (!process.alive) continue;
        for (const std::uint64_t pin : process.pins) {
            if (pin < geometry.arenas_at || pin >= geometry.arenas_at + geometry.arenas * geometry.arena_bytes)
                continue;
            const auto arena = static_cast<std::uint32_t>((pin - geometry.arenas_at) / geometry.arena_bytes);
            if (!blocked(arena)) continue;
            findings.push_back({"arena_pinned", Severity::error,
                                title(process) + " still has a handle to key `" + key_at(view, pin) +
                                    "`: for over 10 s it has kept arena " + number(arena) + " from being used again.",
                                "Drop the handle in that process, or restart it; a shard without a spare arena takes "
                                "no values until then."});
        }
    }
}

void examine_dead(const std::vector<ProcessFacts>& processes, std::vector<Finding>& findings) {
    const auto dead = std::count_if(processes.begin(), processes.end(), [](const auto& p) { return !p.alive; });
    if (dead == 0) return;
    findings.push_back({"dead_processes", Severity::info,
                        "Slots of processes that have ended: " + number(static_cast<std::uint64_t>(dead)) + ".",
                        "Nothing: a listener cleans them within seconds, else the next put or attach does."});
}

void examine_leases(const SegmentView& view, const Examination& examination, const std::vector<ProcessFacts>& processes,
                    std::vector<Finding>& findings) {
    constexpr std::int64_t kLateNs = 1'000'000'000;
    for (const LeaseFacts& lease : read_leases(view)) {
        if (lease.state != LeaseState::held) continue;
        const auto holder = std::find_if(processes.begin(), processes.end(), [&lease](const ProcessFacts& p) {
            return p.slot == lease.holder && p.incarnation == lease.holder_incarnation;
        });
        if (holder != processes.end() && holder->alive && elapsed_ns(lease.deadline_ns, examination.now_ns) <= kLateNs)
            continue;
        const bool dead = holder == processes.end() || !holder->alive;
        findings.push_back({dead ? "dead_lease" : "late_lease", Severity::info,
                            (holder == processes.end() ? "A process that ended" : title(*holder)) +
                                (dead ? " left a lease." : " holds a lease past its deadline."),
                            "Nothing: who asks for that key next takes it over."});
    }
}

}  // namespace

void examine_processes(const SegmentView& view, const Examination& examination, std::vector<Finding>& findings) {
    if (!shares_namespace(view, findings)) return;
    const std::vector<ProcessFacts> processes = read_processes(view);
    examine_sections(view, examination, processes, findings);
    examine_half_edited(view, examination, processes, findings);
    examine_pins(view, examination, processes, findings);
    examine_dead(processes, findings);
    examine_leases(view, examination, processes, findings);
}

}  // namespace larder::shm
