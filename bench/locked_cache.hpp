// The peer: what one writes with Boost in a day. A process-shared interprocess_mutex around a MultiIndex container in
// shared memory, hashed by key, with an LRU sequence; every lookup locks, moves the entry to the end of the sequence
// and copies the value out. Not robust: a process that dies in it holds the lock for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace larder::bench {

class LockedCache {
public:
    LockedCache(std::uint64_t entries, std::size_t value_bytes);
    ~LockedCache();

    void put(std::string_view key, std::string_view value, std::int64_t expires_ns);
    /// A hit, counted, as a string of its own.
    std::optional<std::string> get(std::string_view key);
    /// The same into a string that keeps its memory from call to call.
    bool get(std::string_view key, std::string& value);

private:
    struct Shared;
    std::byte* base_ = nullptr;
    std::size_t bytes_ = 0;
    Shared* shared_ = nullptr;
};

}  // namespace larder::bench
