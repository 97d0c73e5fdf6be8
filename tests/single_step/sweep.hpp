// One operation, killed after k instructions, for k = offset, offset + stride, ... until it is done.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shm/segment.hpp"
#include "tests/single_step/stepped_process.hpp"
#include "tests/single_step/survivor.hpp"
#include "tests/single_step/world.hpp"

namespace larder::single_step {

struct SweepReport {
    std::uint64_t instructions = 0;  // of the whole operation, once
    std::uint64_t stride = 0;
    std::uint64_t kills = 0;
    std::uint64_t inside = 0;              // of the victims that died in a writing section
    std::uint64_t broken = 0;              // of them left a shard half edited
    std::vector<std::int64_t> answers_ns;  // a put and a lookup on each shard by the survivor after each kill
    std::string failure;                   // "": none; else begins with the promise that is broken
    std::uint64_t failed_at = 0;
};

class Sweep {
public:
    explicit Sweep(std::uint32_t operation);

    /// `stride` 0: so that there are about `points`.
    SweepReport run(std::uint64_t offset, std::uint64_t stride, std::uint64_t points);

private:
    const Operation& operation() const { return operations()[number_]; }
    SteppedProcess start_victim() const;
    void break_shard();
    std::uint32_t half_edited() const;
    void measure();
    bool kill_after(std::uint64_t instructions);
    void remove_another() const;
    std::string fail(const std::string& what);

    const std::uint32_t number_;
    const World world_;
    test::SharedObject<Answers> answers_;
    Survivor survivor_;
    const shm::Segment segment_;
    SweepReport report_;
};

}  // namespace larder::single_step
