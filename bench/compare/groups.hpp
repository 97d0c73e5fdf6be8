// The parts of a comparison. Each is run in a process of its own: its memory is given back at its end, since no segment
// is ever unmapped.
#pragma once

#include <string>
#include <vector>

#include "bench/compare/report.hpp"

namespace larder::bench {

struct Group {
    const char* name;
    const char* shows;
    void (*run)(Report&);
};

void compare_hits(Report& report);       ///< S1 to S4
void compare_mixed(Report& report);      ///< reads beside puts, misses, evicting puts
void compare_processes(Report& report);  ///< S5
void measure_tails(Report& report);      ///< S6
void measure_notices(Report& report);    ///< S7
void measure_puts(Report& report);       ///< S8
void measure_attach(Report& report);     ///< S9
void measure_memory(Report& report);     ///< S10
void measure_recency(Report& report);    ///< S11
void compare_http(Report& report);       ///< S12
void compare_huge_pages(Report& report);
void measure_tools(Report& report);  ///< what a reader pays for being looked at
void measure_crowd(Report& report);  ///< a cold key that many processes ask for

inline const std::vector<Group> kGroups = {
    {"hits", "S1 to S4: one reader, beside the floor and the peers", compare_hits},
    {"mixed", "95 reads to 5 puts, misses, evicting puts, beside the peers", compare_mixed},
    {"processes", "S5: two readers against one", compare_processes},
    {"tails", "S6: readers in an open loop, with and without writers", measure_tails},
    {"notices", "S7: invalidations", measure_notices},
    {"puts", "S8: puts, overwriting and evicting", measure_puts},
    {"attach", "S9: attaching to a segment", measure_attach},
    {"memory", "S10: payload and overhead after a day's churn", measure_memory},
    {"recency", "S11: eviction beside an exact LRU", measure_recency},
    {"http", "S12: pages over HTTP, beside the same service on Redis", compare_http},
    {"pages", "hits in pages of 2 MiB and of 4 KiB", compare_huge_pages},
    {"tools", "a reader, looked at by stat, top, dump and record", measure_tools},
    {"crowd", "a cold key that eight processes ask for at once", measure_crowd},
};

}  // namespace larder::bench
