#include "core/source_pool.hpp"

#include <unistd.h>

namespace larder {

using std::chrono::steady_clock;

SourcePool::~SourcePool() { forget_inherited(); }

void SourcePool::forget_inherited() {
    const int pid = ::getpid();
    if (owner_pid_ == pid) return;
    for (auto& source : idle_) static_cast<void>(source.release());
    idle_.clear();
    turns_ = 0;
    owner_pid_ = pid;
}

void SourcePool::refuse_while_resting() {
    const std::lock_guard lock(mutex_);
    if (steady_clock::now() < unavailable_until_) throw SourceUnavailable(why_unavailable_);
}

void SourcePool::begin_turn() {
    std::unique_lock lock(mutex_);
    forget_inherited();
    const auto has_room = [this] { return most_open_ == 0 || turns_ < most_open_; };
    if (!turn_ended_.wait_for(lock, patience, has_room))
        throw SourceUnavailable(
            "all connections of this process to the database are in use: it is slow, or asked too "
            "much of");
    ++turns_;
}

void SourcePool::end_turn() {
    const std::lock_guard lock(mutex_);
    --turns_;
    turn_ended_.notify_one();
}

std::unique_ptr<SubmissionSource> SourcePool::take() {
    std::unique_ptr<SubmissionSource> source;
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            source = std::move(idle_.back());
            idle_.pop_back();
        }
    }
    return source && source->is_current() ? std::move(source) : open_();
}

void SourcePool::give_back(std::unique_ptr<SubmissionSource> source) {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < max_idle) idle_.push_back(std::move(source));
}

void SourcePool::note_unavailable(const char* why) {
    const std::lock_guard lock(mutex_);
    unavailable_until_ = steady_clock::now() + rest;
    why_unavailable_ = why;
}

}  // namespace larder
