// larder_instructions OPERATION COUNT: does one thing so often, for callgrind to count. What an operation costs is the
// difference between two counts: preparing is the same in both.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "bench/scoped_cache.hpp"
#include "bench/workload.hpp"

namespace larder::bench {
namespace {

constexpr std::uint32_t kEntries = 1'000;
constexpr std::size_t kValueBytes = 64;

// A hit where all entries are backed by a database.
constexpr std::string_view kBackedHit = "backed_hit";

using Operation = std::function<void(Cache&, std::uint32_t)>;

void hit(Cache& cache, std::uint32_t n) { require(bool(cache.get(key_of(n % kEntries).text())), "a miss"); }

const std::map<std::string_view, Operation> kOperations = {
    {"hit", hit},
    {kBackedHit, hit},
    {"hit_or_compute",
     [](Cache& cache, std::uint32_t n) {
         const auto never = [] { return std::optional<std::string>(); };
         require(bool(cache.get_or_compute(key_of(n % kEntries).text(), never)), "a miss");
     }},
    {"miss", [](Cache& cache, std::uint32_t n) { require(!cache.get(key_of(kKeys + n).text()), "a hit"); }},
    {"put",
     [](Cache& cache, std::uint32_t n) {
         static const std::string value = value_of(0, kValueBytes);
         require(cache.put(key_of(n % kEntries).text(), value) == PutResult::stored, "a put was refused");
     }},
    {"invalidate", [](Cache& cache, std::uint32_t n) { cache.invalidate(key_of(n % kEntries).text()); }},
};

int run(std::string_view name, const char* count_text) {
    const auto operation = kOperations.find(name);
    std::uint32_t count = 0;
    const char* const end = count_text + std::strlen(count_text);
    const bool is_number = std::from_chars(count_text, end, count).ptr == end;
    if (operation == kOperations.end() || !is_number) {
        std::fprintf(stderr, "usage: larder_instructions hit|backed_hit|hit_or_compute|miss|put|invalidate COUNT\n");
        return 2;
    }
    ScopedCache cache(roomy(kEntries, kValueBytes));
    fill(*cache, kEntries, kValueBytes, {.backed = name == kBackedHit});
    for (std::uint32_t n = 0; n < count; ++n) operation->second(*cache, n);
    return 0;
}

}  // namespace
}  // namespace larder::bench

int main(int argc, char** argv) try {
    return larder::bench::run(argc == 3 ? argv[1] : "", argc == 3 ? argv[2] : "");
} catch (const std::exception& error) {
    std::fprintf(stderr, "larder_instructions: %s\n", error.what());
    return 3;
}
