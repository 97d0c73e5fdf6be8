// A segment and its lock file, as every process of a test sees them.
#pragma once

#include <signal.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "shm/process.hpp"
#include "shm/registry.hpp"
#include "shm/segment.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/shm_fixture.hpp"

namespace larder::test {

/// Nobody is registered.
struct RegistryHost {
    ScopedDirectory directory;
    shm::Location location = location_of(directory);
    std::unique_ptr<shm::Segment> segment =
        shm::Segment::create(location, small_options(directory.path()), nullptr, nullptr);
    shm::LockFile* lock_file = open_lock_file();
    shm::Registry registry{segment->view(), lock_file};

    shm::LockFile* open_lock_file() const {
        const shm::process::Lock lock(kWatchdog);
        return shm::LockFile::open(location.lock_path());
    }
    std::optional<shm::Registration> claim(const std::string& role = "test") {
        const shm::process::Lock lock(kWatchdog);
        return registry.claim(role);
    }
    bool reap(std::uint32_t slot) {
        const shm::process::Lock lock(kWatchdog);
        return registry.reap(slot);
    }
    const shm::SegmentView& view() const { return segment->view(); }
    shm::ProcessSlot& slot(std::uint32_t index) const { return view().process(index); }
    shm::Word64& cell(std::uint32_t index, std::uint32_t block = 0, std::uint32_t cell_index = 0) const {
        return view().threads(index)[block].cells[cell_index];
    }
    void pin(std::uint32_t index, std::uint64_t units, std::uint32_t block = 0, std::uint32_t cell_index = 0) const {
        if (slot(index).blocks_high < block + 1) slot(index).blocks_high = block + 1;
        cell(index, block, cell_index) = units;
    }

    /// A child that has claimed a slot and pins units 77 in it; the parent knows which.
    ChildProcess attached_child(std::uint32_t& index) {
        auto child = ChildProcess::start([this](Channel& parent) {
            const auto registration = claim("child");
            if (!registration) return 1;
            pin(registration->slot, 77);
            view().threads(registration->slot)[0].owner = 1;
            view().threads(registration->slot)[0].inside = 1;
            view().threads(registration->slot)[0].counts[0] = 5;
            parent.tell_bytes(&registration->slot, sizeof registration->slot);
            parent.hear();
            return 0;
        });
        REQUIRE(child.channel().hear_bytes(&index, sizeof index));
        return child;
    }
    /// The slot that such a child left when it was killed.
    std::uint32_t slot_of_dead() {
        std::uint32_t index = 0;
        auto child = attached_child(index);
        child.kill(SIGKILL);
        REQUIRE(child.wait().was_killed_by(SIGKILL));
        return index;
    }
    bool is_cleared(std::uint32_t index) const {
        const shm::ThreadBlock& block = view().threads(index)[0];
        return block.cells[0] == 0 && block.owner == 0 && block.inside == 0;
    }
};

}  // namespace larder::test
