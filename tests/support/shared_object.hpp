// One object in memory that forked children share, beside the cache: a dead process's last words stay as it left them.
#pragma once

#include <sys/mman.h>

#include <new>
#include <stdexcept>
#include <type_traits>

namespace larder::test {

/// T: of atomics, or of fields that one process writes at a time. Pages are there once they are used.
template <class T>
class SharedObject {
    static_assert(std::is_trivially_destructible_v<T>);

public:
    SharedObject() : memory_(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        if (memory_ == MAP_FAILED) throw std::runtime_error("mmap");
        object_ = new (memory_) T;
    }
    SharedObject(const SharedObject&) = delete;
    SharedObject& operator=(const SharedObject&) = delete;
    ~SharedObject() { ::munmap(memory_, sizeof(T)); }

    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }

private:
    void* memory_;
    T* object_ = nullptr;
};

}  // namespace larder::test
