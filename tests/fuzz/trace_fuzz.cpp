// A trace as a replay reads it.
//
//     flags: u8 (1: the trace is compressed first), trace
#include <optional>
#include <string>
#include <vector>

#include "shm/layout.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/input_file.hpp"
#include "tools/trace_file.hpp"
#include "tools/trace_reader.hpp"

using namespace larder;
using namespace larder::fuzz;
using namespace larder::tools;

namespace {

/// The requests before its end, or before the first bad line, as text.
std::string read(const InputFile& input) {
    std::string all;
    std::int64_t last_ns = 0;
    try {
        const TraceFile file(input.path());
        TraceReader reader(file);
        for (TraceRequest request; reader.next(request);) {
            require(request.at_ns >= last_ns, "time never goes back");
            require(!request.key.empty() && request.key.size() <= shm::kMaxKeyBytes, "a key has its length");
            last_ns = request.at_ns;
            all += std::to_string(request.at_ns) + " " + request.key + " " + std::to_string(request.size_bytes) + "\n";
        }
    } catch (const CsvError& error) {
        require(error.file == input.path() && !error.reason.empty(), "an error names the file and the reason");
        all += "refused: " + error.reason;
    }
    return all;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static InputFile plain("trace.csv"), compressed("trace.csv.gz");
    Bytes input(data, size);
    const bool both = (input.byte() & 1) != 0;
    const std::string_view trace = input.rest();
    plain.write(trace, false);
    const std::string requests = read(plain);
    if (!both || trace.substr(0, 2) == "\x1f\x8b") return 0;
    compressed.write(trace, true);
    require(read(compressed) == requests, "a compressed trace is read as the trace");
    return 0;
}
