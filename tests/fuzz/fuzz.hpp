// What all fuzzers use: bytes taken from the front of an input, and the end of a run that found a broken promise.
//
// A fuzzer is one function, LLVMFuzzerTestOneInput, in a source of its own. It must give the same result for the same
// bytes whatever ran before it, and leave nothing behind.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace larder::fuzz {

/// A broken promise ends the process, so that a fuzzer keeps the input.
inline void require(bool holds, std::string_view promise) {
    if (holds) return;
    std::fprintf(stderr, "broken: %.*s\n", static_cast<int>(promise.size()), promise.data());
    std::abort();
}

/// Past the end all numbers are 0 and all texts empty.
class Bytes {
public:
    Bytes(const std::uint8_t* data, std::size_t size) : left_(reinterpret_cast<const char*>(data), size) {}

    bool empty() const { return left_.empty(); }
    std::uint8_t byte() { return static_cast<std::uint8_t>(number(1)); }
    /// Little endian.
    std::uint64_t number(std::size_t bytes) {
        const std::string_view text = take(bytes);
        std::uint64_t number = 0;
        for (std::size_t i = 0; i < text.size(); ++i)
            number |= std::uint64_t{static_cast<unsigned char>(text[i])} << (8 * i);
        return number;
    }
    std::string_view take(std::size_t bytes) {
        const std::string_view taken = left_.substr(0, bytes);
        left_.remove_prefix(taken.size());
        return taken;
    }
    /// Up to the next `separator`, which is dropped.
    std::string_view take_until(char separator) {
        const std::string_view taken = take(std::min(left_.find(separator), left_.size()));
        take(1);
        return taken;
    }
    std::string_view rest() { return take(left_.size()); }

private:
    std::string_view left_;
};

/// Where a fuzzer may make a directory: one that is removed also after a crash, when the environment names it.
inline std::string scratch_parent() {
    const char* given = std::getenv("LARDER_FUZZ_SCRATCH");
    return given != nullptr ? given : "/dev/shm";
}

}  // namespace larder::fuzz
