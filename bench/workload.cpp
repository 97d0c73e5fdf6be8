#include "bench/workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

namespace larder::bench {
namespace {

constexpr std::uint64_t kSeed = 20'000;
constexpr double kExponent = 0.99;

// The standard's distributions differ between libraries; these do not.
double unit(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1.0p-53; }
std::uint32_t below(std::mt19937_64& random, std::uint32_t limit) {
    return static_cast<std::uint32_t>(unit(random) * limit);
}

class Zipf {
public:
    explicit Zipf(std::mt19937_64& random) : up_to_(kKeys), number_of_(kKeys) {
        double sum = 0;
        for (std::uint32_t rank = 0; rank < kKeys; ++rank) {
            sum += std::pow(rank + 1, -kExponent);
            up_to_[rank] = sum;
            number_of_[rank] = rank;
        }
        for (std::uint32_t n = kKeys; n > 1; --n) std::swap(number_of_[n - 1], number_of_[below(random, n)]);
    }
    std::uint32_t operator()(std::mt19937_64& random) const {
        const auto at = std::lower_bound(up_to_.begin(), up_to_.end(), unit(random) * up_to_.back());
        return number_of_[static_cast<std::size_t>(std::min(at, up_to_.end() - 1) - up_to_.begin())];
    }

private:
    std::vector<double> up_to_;
    std::vector<std::uint32_t> number_of_;  // of the key with this rank
};

template <class Next>
Sequence make(Next&& next) {
    Sequence made;
    made.keys.reserve(Sequence::kLength);
    made.numbers.reserve(Sequence::kLength);
    made.marks.assign(1, 0);
    for (std::size_t n = 0; n < Sequence::kLength; ++n) {
        made.numbers.push_back(next());
        made.keys.push_back(key_of(made.numbers.back()));
        made.marks.push_back(made.marks.back() + mark_of(made.numbers.back()));
    }
    return made;
}

Sequence make_uniform(std::uint32_t first) {
    std::mt19937_64 random(kSeed);
    return make([&] { return first + below(random, kKeys); });
}

Sequence make_zipf() {
    std::mt19937_64 random(kSeed);
    const Zipf zipf(random);
    return make([&] { return zipf(random); });
}

}  // namespace

std::string_view name_of(Distribution distribution) {
    return distribution == Distribution::uniform ? "uniform" : "zipf";
}

std::string bytes_text(std::size_t bytes) {
    return bytes < 1024 ? fmt::format("{} B", bytes) : fmt::format("{} KiB", bytes / 1024);
}

Key key_of(std::uint32_t number) {
    constexpr std::string_view kName = "assignment_stats:";
    Key key;
    std::copy(kName.begin(), kName.end(), key.bytes.begin());
    for (std::size_t at = kKeyBytes; at-- > kName.size(); number /= 10)
        key.bytes[at] = static_cast<char>('0' + number % 10);
    return key;
}

std::uint64_t mark_of(std::uint32_t number) { return (number + 1) * 0x9e3779b97f4a7c15ULL; }

std::string value_of(std::uint32_t number, std::size_t size_bytes) {
    std::string value(size_bytes, '\0');
    std::uint64_t word = mark_of(number);
    for (std::size_t at = 0; at < size_bytes; at += sizeof word, word = word * 6364136223846793005ULL + 1)
        std::memcpy(value.data() + at, &word, std::min(sizeof word, size_bytes - at));
    return value;
}

const Sequence& sequence(Distribution distribution) {
    static const Sequence uniform = make_uniform(0);
    static const Sequence zipf = make_zipf();
    return distribution == Distribution::uniform ? uniform : zipf;
}

const Sequence& absent_sequence() {
    static const Sequence absent = make_uniform(1'000'000);
    return absent;
}

}  // namespace larder::bench
