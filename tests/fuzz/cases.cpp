// Runs a fuzzer's kept cases without libFuzzer: larder_fuzz_cases NAME DIRECTORY...
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/watchdog.hpp"

// LARDER_FUZZERS is X(name) X(name)...; each fuzzer's function has that name here.
#define X(name) extern "C" int fuzz_##name(const std::uint8_t* data, std::size_t size);
LARDER_FUZZERS
#undef X

namespace {

namespace fs = std::filesystem;

struct Fuzzer {
    std::string_view name;
    int (*run)(const std::uint8_t* data, std::size_t size);
};
#define X(name) {#name, fuzz_##name},
constexpr Fuzzer kFuzzers[] = {LARDER_FUZZERS};
#undef X

std::vector<fs::path> files_in(const fs::path& directory) {
    std::vector<fs::path> files;
    if (fs::is_directory(directory))
        for (const auto& file : fs::directory_iterator(directory)) files.push_back(file.path());
    std::sort(files.begin(), files.end());
    return files;
}

std::string content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void run(const Fuzzer& fuzzer, const fs::path& path) {
    std::fprintf(stderr, "%s\n", path.c_str());  // the last line of a run that ends early
    const std::string bytes = content_of(path);
    fuzzer.run(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int count, char** arguments) {
    const std::string_view name = count > 1 ? arguments[1] : "";
    const auto* const fuzzer =
        std::find_if(std::begin(kFuzzers), std::end(kFuzzers), [name](const Fuzzer& one) { return one.name == name; });
    if (fuzzer == std::end(kFuzzers)) {
        std::fprintf(stderr, "usage: larder_fuzz_cases NAME DIRECTORY...\n");
        return 2;
    }
    const larder::test::Watchdog watchdog;
    std::size_t cases = 0;
    for (int i = 2; i < count; ++i)
        for (const fs::path& path : files_in(arguments[i])) {
            run(*fuzzer, path);
            ++cases;
        }
    std::fprintf(stderr, "%zu cases\n", cases);
    return cases > 0 ? 0 : 1;
}
