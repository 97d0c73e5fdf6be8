#include "shm/hash.hpp"

namespace larder::shm {

std::uint64_t checksum_of(std::string_view value) { return XXH3_64bits(value.data(), value.size()); }

}  // namespace larder::shm
