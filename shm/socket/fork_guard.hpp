// Descriptors that a forked child must not keep: the listener's.
//
// A child closes its copies of the listening and the clients' sockets before fork returns in it. Otherwise a dead
// listener's socket would stay open in its children, and clients would wait for answers from nobody. Handlers of
// pthread_atfork do this; children made without them (vfork, posix_spawn) are expected to exec, which closes the
// descriptors too.
#pragma once

#include <mutex>

namespace larder::shm {

/// While it is held no thread of this process forks. Hold it for a few system calls at most, and never fork under it.
std::unique_lock<std::mutex> hold_off_forks();

/// From now on a forked child closes its copy of this descriptor. REQUIRES: hold_off_forks() is held.
void close_in_children(int descriptor);
/// Before the descriptor is closed here. REQUIRES: hold_off_forks() is held.
void forget_in_children(int descriptor);

}  // namespace larder::shm
