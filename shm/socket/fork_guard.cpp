#include "shm/socket/fork_guard.hpp"

#include <pthread.h>
#include <unistd.h>

#include <set>

namespace larder::shm {
namespace {

struct Guard {
    std::mutex mutex;
    std::set<int> descriptors;
};

// Never destroyed: a thread may fork while the process exits.
Guard& guard() {
    static Guard& instance = *new Guard;
    return instance;
}

void before_fork() { guard().mutex.lock(); }
void after_fork_in_parent() { guard().mutex.unlock(); }
void after_fork_in_child() {
    for (const int descriptor : guard().descriptors) close(descriptor);
    guard().descriptors.clear();
    guard().mutex.unlock();
}

}  // namespace

std::unique_lock<std::mutex> hold_off_forks() {
    static const int registered = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    (void)registered;
    return std::unique_lock(guard().mutex);
}

void close_in_children(int descriptor) { guard().descriptors.insert(descriptor); }

void forget_in_children(int descriptor) { guard().descriptors.erase(descriptor); }

}  // namespace larder::shm
