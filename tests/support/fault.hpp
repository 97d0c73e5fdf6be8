// What counter loops make fail: the n-th arena allocation, or the n-th system call of a kind with an error that the
// kernel may give it, once or from then on.
#pragma once

#include <errno.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/system.hpp"
#include "shm/testing.hpp"

namespace larder::test {

struct Fault {
    std::string_view what;
    std::optional<shm::system::Call> call;  // none: an allocation
    int error = 0;
    bool sticky = false;

    std::string name(std::uint64_t n) const {
        std::string text(what);
        text += " " + std::to_string(n) + (sticky ? " and all later ones fail" : " fails");
        return call ? text + ": " + std::strerror(error) : text;
    }
    /// The n-th from now on.
    void arm(std::uint64_t n) const {
        disarm();
        if (call)
            shm::system::fail_nth(*call, n, error, sticky);
        else
            shm::testing::fail_allocation(n, sticky);
    }
    /// Since it was armed, the n-th was made. REQUIRES: what this process made them with has ended.
    bool was_reached(std::uint64_t n) const {
        return (call ? shm::system::calls_made(*call) : shm::testing::allocations_asked()) >= n;
    }
    static void disarm() {
        shm::system::fail_nothing();
        shm::testing::fail_allocation(0);
    }
};

/// Every one that is no lie about who lives and what is named how: those change what is right. Not `all_errors`: the
/// first of each call.
inline std::vector<Fault> faults(bool all_errors) {
    using shm::system::Call;
    struct Errors {
        std::string_view what;
        Call call;
        std::vector<int> errors;
    };
    std::vector<Fault> all;
    for (const bool sticky : {false, true}) {
        all.push_back({"allocation", std::nullopt, 0, sticky});
        for (const Errors& one : std::initializer_list<Errors>{
                 {"open", Call::open, {EMFILE, EACCES, ENOSPC}},
                 {"temporary file", Call::temporary_file, {EMFILE, ENOSPC, EOPNOTSUPP}},
                 {"link", Call::link, {EEXIST, EACCES, ENOSPC}},
                 {"allocate", Call::allocate, {ENOSPC, EINTR, EFBIG}},
                 {"map", Call::map, {ENOMEM, EAGAIN}},
                 {"advise", Call::advise, {EINVAL}},
                 {"lock", Call::lock, {ENOLCK, EAGAIN}},
                 {"query lock", Call::query_lock, {ENOLCK, EIO}},
                 {"status", Call::status, {EIO, EACCES, ENOMEM}},
                 {"futex wait", Call::futex_wait, {EINTR, EAGAIN}},
                 {"futex wake", Call::futex_wake, {EINVAL}},
                 {"read file", Call::read_file, {EMFILE, EACCES, EIO}},
                 {"remove", Call::remove, {EACCES, EROFS}},
                 {"make directory", Call::make_directory, {EACCES, ENOSPC}},
                 {"change mode", Call::change_mode, {EPERM, EROFS}},
                 {"random", Call::random, {EINTR, ENOSYS}},
             })
            for (const int error : one.errors)
                if (all_errors || error == one.errors.front()) all.push_back({one.what, one.call, error, sticky});
    }
    return all;
}

}  // namespace larder::test
