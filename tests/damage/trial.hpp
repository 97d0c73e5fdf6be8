// Trials: each mutant is attached and used by a process of its own, with an alarm; a few at a time.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/damage/mutant.hpp"
#include "tests/damage/reader.hpp"
#include "tests/damage/specimen.hpp"

namespace larder::damage {

/// What the process was at when it ended.
enum class Stage : std::uint32_t { writing_file, inspecting, attaching, reading, verifying, writing, done };
inline constexpr std::array<std::string_view, 7> kStages = {
    "writing its file", "inspecting it", "attaching", "reading", "reading with checksums", "writing", "done"};

/// In memory that the process and its parent share: what a dead process said last stays.
struct Outcome {
    std::atomic<Stage> stage;
    std::uint64_t hits, misses, wrong_bytes, refused;
    Hits kept;           // of each key read once, with and without checksums
    char findings[512];  // of the doctor, each with a space after it
    char failure[256];   // empty: none
};

enum class Ending : std::uint8_t {
    well,
    wrong,  // bytes
    crashed,
    hung
};

struct Trial {
    Mutant mutant;
    Ending ending = Ending::well;
    int signal = 0;
    std::int64_t took_ns = 0;
    const Outcome* outcome = nullptr;  // good during the call that is told
};

struct TrialRules {
    std::uint64_t reads = 1'000;  // without checksums, and as many with them; of each key first
    bool writes = false;          // puts, too
};

/// The next one, or none.
using Mutants = std::function<std::optional<Mutant>()>;

/// Runs all of them; `told` hears of each when it has ended, in any order.
void run_trials(const std::vector<Specimen>& specimens, const Mutants& mutants, const TrialRules& rules,
                const std::function<void(const Trial&)>& told);

}  // namespace larder::damage
