// Runs a fuzzer's kept cases without libFuzzer, and mutants of them: what fuzzing can be where there is no time to be
// led by coverage.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
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

void run(const Fuzzer& fuzzer, const std::string& bytes) {
    fuzzer.run(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

/// Mutants of the cases, each of a number: the same case and seed give the same one.
class Mutants {
public:
    Mutants(const std::vector<std::string>& cases, std::uint64_t seed) : cases_(cases), seed_(seed) {}

    std::string make(std::uint64_t number) {
        random_.seed(seed_ * 1'000'003 + number);
        std::string bytes = any_case();
        for (std::size_t edits = 1 + below(6); edits > 0; --edits) edit(bytes);
        return bytes;
    }

private:
    std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }
    const std::string& any_case() { return cases_[below(cases_.size())]; }
    std::string piece_of(const std::string& from) {
        const std::size_t at = below(from.size() + 1);
        return from.substr(at, below(32));
    }

    void edit(std::string& bytes) {
        const std::size_t at = below(bytes.size() + 1);
        switch (below(6)) {
        case 0:
            if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ 1 << below(8));
            break;
        case 1:
            if (at < bytes.size()) bytes[at] = "\0\x7F\x80\xFF\n "[below(6)];
            break;
        case 2:
            bytes.erase(at, below(16));
            break;
        case 3:
            bytes.insert(at, piece_of(bytes));
            break;
        case 4:
            bytes.insert(at, piece_of(any_case()));
            break;
        default:  // the end of another case
            bytes.erase(at);
            if (const std::string& other = any_case(); at < other.size()) bytes += other.substr(at);
        }
    }

    const std::vector<std::string>& cases_;
    const std::uint64_t seed_;
    std::mt19937_64 random_;
};

struct Settings {
    std::string name;
    std::vector<std::string> directories;
    std::uint64_t mutants = 0, seed = 1;
    std::optional<std::uint64_t> only;
};

int run(const Fuzzer& fuzzer, const Settings& settings) {
    const larder::test::Watchdog watchdog;
    std::vector<std::string> cases;
    for (const std::string& directory : settings.directories)
        for (const fs::path& path : files_in(directory)) {
            std::fprintf(stderr, "%s\n", path.c_str());  // the last line of a run that ends early
            cases.push_back(content_of(path));
            run(fuzzer, cases.back());
        }
    if (cases.empty()) return std::fprintf(stderr, "no cases\n"), 1;
    std::string directories;
    for (const std::string& directory : settings.directories) directories += " " + directory;
    Mutants mutants(cases, settings.seed);
    const std::uint64_t first = settings.only.value_or(0), end = settings.only ? first + 1 : settings.mutants;
    for (std::uint64_t number = first; number < end; ++number) {
        std::fprintf(stderr, "mutant: larder_fuzz_cases %s%s --seed %lu --only %lu\n", settings.name.c_str(),
                     directories.c_str(), settings.seed, number);
        run(fuzzer, mutants.make(number));
    }
    std::fprintf(stderr, "%zu cases, %lu mutants\n", cases.size(), end - first);
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App program("Runs the kept cases of a fuzzer, and mutants of them");
    Settings settings;
    program.add_option("name", settings.name, "The fuzzer")->required();
    program.add_option("directories", settings.directories, "Where its cases are")->required();
    program.add_option("--mutants", settings.mutants, "How many mutants")->capture_default_str();
    program.add_option("--seed", settings.seed, "Of the mutants")->capture_default_str();
    program.add_option("--only", settings.only, "Just the mutant of this number");
    CLI11_PARSE(program, count, arguments);
    const auto* const fuzzer = std::find_if(std::begin(kFuzzers), std::end(kFuzzers),
                                            [&](const Fuzzer& one) { return one.name == settings.name; });
    if (fuzzer == std::end(kFuzzers)) return std::fprintf(stderr, "no fuzzer %s\n", settings.name.c_str()), 2;
    return run(*fuzzer, settings);
}
