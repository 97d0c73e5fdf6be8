#include "core/source_pool.hpp"

#include <unistd.h>

#include <exception>

namespace larder {

SourcePool::Borrowed::Borrowed(SourcePool& pool, std::unique_ptr<SubmissionSource> source)
    : pool_(pool), source_(std::move(source)), exceptions_(std::uncaught_exceptions()) {}

SourcePool::Borrowed::~Borrowed() {
    if (std::uncaught_exceptions() == exceptions_) pool_.give_back(std::move(source_));
}

SourcePool::~SourcePool() { forget_inherited(); }

void SourcePool::forget_inherited() {
    const int pid = ::getpid();
    if (owner_pid_ == pid) return;
    for (auto& source : idle_) static_cast<void>(source.release());
    idle_.clear();
    owner_pid_ = pid;
}

SourcePool::Borrowed SourcePool::borrow() {
    std::unique_ptr<SubmissionSource> source;
    {
        const std::lock_guard lock(mutex_);
        forget_inherited();
        if (!idle_.empty()) {
            source = std::move(idle_.back());
            idle_.pop_back();
        }
    }
    if (!source || !source->is_current()) source = open_();
    return Borrowed(*this, std::move(source));
}

void SourcePool::give_back(std::unique_ptr<SubmissionSource> source) {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < max_idle) idle_.push_back(std::move(source));
}

}  // namespace larder
