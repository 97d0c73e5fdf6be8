// larder_bench: Google Benchmark's options, or --promises for the table of what Larder promises.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <exception>
#include <string_view>

#include "bench/promises.hpp"

int main(int argc, char** argv) {
    try {
        if (argc == 2 && std::string_view(argv[1]) == "--promises") return larder::bench::print_promises();
        benchmark::Initialize(&argc, argv);
        if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
        benchmark::RunSpecifiedBenchmarks();
        benchmark::Shutdown();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "larder_bench: %s\n", error.what());
        return 3;
    }
}
