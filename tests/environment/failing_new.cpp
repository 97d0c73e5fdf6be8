// The language's operator new, taken over: the program's own definition comes before the library's.
#include "tests/environment/failing_new.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

constinit thread_local std::uint64_t allocations = 0, fail_at = 0;  // 0: none fails
constinit thread_local bool is_sticky = false;

void* allocate(std::size_t bytes) noexcept {
    ++allocations;
    if (fail_at != 0 && (allocations == fail_at || (is_sticky && allocations > fail_at))) return nullptr;
    return std::malloc(bytes == 0 ? 1 : bytes);
}

}  // namespace

namespace larder::test {

FailingNew::FailingNew(std::uint64_t n, bool sticky) {
    allocations = 0;
    is_sticky = sticky;
    fail_at = n;
}

FailingNew::~FailingNew() { fail_at = 0; }

std::uint64_t FailingNew::asked() const { return allocations; }

}  // namespace larder::test

void* operator new(std::size_t bytes) {
    if (void* const memory = allocate(bytes)) return memory;
    throw std::bad_alloc();
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
