// SourcePool: open sources that threads borrow, one borrower at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "core/submission_source.hpp"

namespace larder {

/// Opens a source when none is idle or its name leads elsewhere by now; keeps a few for the next borrower. Threads:
/// safe. Fork: a child forgets what its parent had open (a SQLite connection must be neither used nor closed there) and
/// opens its own.
class SourcePool {
public:
    static constexpr std::size_t max_idle = 4;

    explicit SourcePool(SourceFactory open) : open_(std::move(open)) {}
    ~SourcePool();
    SourcePool(const SourcePool&) = delete;
    SourcePool& operator=(const SourcePool&) = delete;

    /// A borrowed source; goes back at the end, unless it failed: then the next borrower opens a new one.
    class Borrowed {
    public:
        Borrowed(SourcePool& pool, std::unique_ptr<SubmissionSource> source);
        ~Borrowed();
        Borrowed(const Borrowed&) = delete;
        Borrowed& operator=(const Borrowed&) = delete;
        SubmissionSource* operator->() const { return source_.get(); }

    private:
        SourcePool& pool_;
        std::unique_ptr<SubmissionSource> source_;
        int exceptions_;
    };

    /// Throws SourceError.
    Borrowed borrow();

private:
    void give_back(std::unique_ptr<SubmissionSource> source);
    void forget_inherited();
    SourceFactory open_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<SubmissionSource>> idle_;
    int owner_pid_ = 0;
};

}  // namespace larder
