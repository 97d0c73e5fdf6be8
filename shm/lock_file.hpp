// NAME.lock: a byte per registry slot, locked with F_SETLK by the slot's process, and one for administration.
//
// Closing any descriptor of a file drops all of a process's locks on it, so that each file is opened once a process and
// never closed. Threads of one process all get the same byte from the kernel: process::Lock lets one of them claim, and
// `claimed_by` one copy of the library in it.
#pragma once

#include <atomic>
#include <bitset>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "shm/layout.hpp"
#include "shm/system.hpp"

namespace larder::shm {

/// One per process and file, never destroyed. After a fork the child has the file, but none of the bytes.
class LockFile {
public:
    static constexpr std::uint32_t kAdministration = kProcesses;  // replacing the segment, saying its identity

    /// The lock file of that path, made when absent. Throws OpenError "registry". REQUIRES: process::Lock held.
    static LockFile* open(const std::string& path);

    /// This process has the byte from now on. REQUIRES (all three): process::Lock held.
    bool take(std::uint32_t byte);
    void drop(std::uint32_t byte);
    bool holds(std::uint32_t byte) const;
    /// A byte of a registry slot that this process holds, else kProcesses.
    std::uint32_t held_slot() const;

    /// Another process has the byte. An error of the kernel counts as yes. From any thread.
    bool held_by_other(std::uint32_t byte) const;
    /// Another process has any slot's byte.
    bool any_slot_held_by_other() const;
    /// Takes again what went with a descriptor that the program closed. REQUIRES: process::Lock held.
    void restore() const;
    /// It was not there before: nobody's byte can be seen in it who had another one.
    bool is_new() const { return is_new_; }
    /// The path still leads to this file.
    bool is_current() const;

    /// Waits for the administration byte, for as long as the budget says.
    bool take_administration(std::chrono::milliseconds budget);
    void drop_administration() { drop(kAdministration); }

private:
    LockFile(std::string path, int descriptor, system::FileId file, bool is_new)
        : path_(std::move(path)), file_(file), is_new_(is_new), descriptor_(descriptor) {}
    static LockFile* find(system::FileId file);
    void forget_after_fork() const;
    int descriptor() const;

    const std::string path_;
    mutable std::atomic<bool> reopened_{false};
    const system::FileId file_;
    const bool is_new_;
    mutable std::atomic<int> descriptor_;
    LockFile* next_ = nullptr;
    mutable std::uint64_t generation_ = 0;  // the process generation that held_ is about
    mutable std::bitset<kProcesses + 1> held_;
};

}  // namespace larder::shm
