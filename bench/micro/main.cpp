// larder_bench: single operations, with Google Benchmark's options. The promises are measured by larder_compare.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <exception>

int main(int argc, char** argv) try {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "larder_bench: %s\n", error.what());
    return 3;
}
