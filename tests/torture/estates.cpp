#include "tests/torture/estates.hpp"

#include <algorithm>

#include "shm/inspector.hpp"
#include "shm/system.hpp"

namespace larder::torture {
namespace {

bool is_free(const shm::ProcessSlot& process) {
    return process.state.load() == static_cast<std::uint32_t>(shm::SlotState::free);
}

}  // namespace

void Estates::open(pid_t pid) {
    const std::int64_t now_ns = shm::system::monotonic_ns();
    for (std::uint32_t slot = 0; slot < std::min(view_.header().registry_high.load(), shm::kProcesses); ++slot) {
        const shm::ProcessSlot& process = view_.process(slot);
        if (process.pid.load() == static_cast<std::uint32_t>(pid) && !is_free(process))
            return open_.push_back({pid, slot, process.incarnation.load(), now_ns});
    }
}

std::string Estates::close(std::int64_t patience_ns) {
    const std::int64_t now_ns = shm::system::monotonic_ns();
    std::string overdue;
    const auto is_closed = [&](const Estate& estate) {
        const char* const left = left_of(estate);
        if (left == nullptr)
            times_ns_.push_back(now_ns - estate.killed_ns);
        else if (overdue.empty() && now_ns - estate.killed_ns > patience_ns)
            overdue = std::string(left) + " of process " + std::to_string(estate.pid) + ", slot " +
                      std::to_string(estate.slot);
        return left == nullptr;
    };
    open_.erase(std::remove_if(open_.begin(), open_.end(), is_closed), open_.end());
    return overdue;
}

/// Null: nothing.
const char* Estates::left_of(const Estate& estate) const {
    const shm::ProcessSlot& process = view_.process(estate.slot);
    const auto is_still_its = [&] { return process.incarnation.load() == estate.incarnation; };
    if (is_still_its() && !is_free(process)) return "the slot";
    // Whoever has the slot next may have pins of its own.
    if (is_still_its() && has_pins(estate.slot) && is_still_its() && is_free(process)) return "a pin";
    return has_lease(estate) ? "a lease" : nullptr;
}

bool Estates::has_pins(std::uint32_t slot) const {
    for (std::uint32_t block = 0; block < shm::kThreadBlocks; ++block)
        for (const auto& cell : view_.threads(slot)[block].cells)
            if (cell.load() != 0) return true;
    return false;
}

bool Estates::has_lease(const Estate& estate) const {
    const std::vector<shm::LeaseFacts> leases = shm::read_leases(view_);
    return std::any_of(leases.begin(), leases.end(), [&](const shm::LeaseFacts& lease) {
        return lease.state == shm::LeaseState::held && lease.holder == estate.slot &&
               lease.holder_incarnation == estate.incarnation;
    });
}

}  // namespace larder::torture
