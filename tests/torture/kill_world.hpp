// What the processes of the kill torture share beside the cache: plain atomics in memory of their own, so that a dead
// process's last words stay as it left them.
#pragma once

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>

namespace larder::torture {

inline constexpr std::uint32_t kActors = 6;
inline constexpr std::uint32_t kShards = 8;
inline constexpr std::uint32_t kKeys = 400;

/// What a process is doing, as far as its death may cost others something.
enum class Doing : std::uint32_t { nothing, reading, writing };

/// Why the torture failed; the first one stays.
enum class Wrong : std::uint32_t { none, bytes, pinned_bytes, dumped_bytes, put_refused, exception };

struct alignas(64) ActorState {
    std::atomic<int> pid{0};
    std::atomic<Doing> doing{Doing::nothing};
    std::atomic<std::uint64_t> answered{0};  // the last round in which it finished an operation on every shard
    std::array<std::atomic<std::int64_t>, kShards> answers_ns{};  // how long a lookup and a put took there
    std::atomic<std::uint64_t> operations{0};
    std::atomic<bool> paused{false};
};

struct KillWorldState {
    std::array<ActorState, kActors> actors{};
    std::atomic<std::uint64_t> round{0};
    std::atomic<bool> pause{false}, stop{false};
    std::atomic<Wrong> wrong{Wrong::none};
};

class KillWorld {
public:
    KillWorld()
        : memory_(::mmap(nullptr, sizeof(KillWorldState), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        if (memory_ == MAP_FAILED) throw std::runtime_error("mmap");
        state_ = new (memory_) KillWorldState{};
    }
    KillWorld(const KillWorld&) = delete;
    KillWorld& operator=(const KillWorld&) = delete;
    ~KillWorld() { ::munmap(memory_, sizeof(KillWorldState)); }

    KillWorldState* operator->() const { return state_; }

private:
    void* memory_;
    KillWorldState* state_ = nullptr;
};

inline std::string key_of(std::uint32_t n) { return (n % 3 == 0 ? "user:" : "page:") + std::to_string(n); }
inline std::string tag_of(std::uint32_t n) { return "tag:" + std::to_string(n % 16); }

}  // namespace larder::torture
