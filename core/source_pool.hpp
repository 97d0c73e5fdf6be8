// SourcePool: open sources that threads read, one reader at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "core/submission_source.hpp"

namespace larder {

/// Opens a source when none is idle or its name leads elsewhere by now; keeps a few for the next reader. Once one was
/// SourceUnavailable all who come within `rest` are told the same at once: not each of them waits for a lock that one
/// has waited for. Where all that may be open are in use it waits, at most `patience`. Threads: safe. Fork: a child
/// forgets what its parent had open (a SQLite connection must be neither used nor closed there) and opens its own.
class SourcePool {
public:
    static constexpr std::size_t max_idle = 4;
    static constexpr std::chrono::milliseconds rest{500};
    static constexpr std::chrono::milliseconds patience{5'000};

    /// `most_open`: at a time; 0: as many as read.
    explicit SourcePool(SourceFactory open, std::size_t most_open = 0)
        : open_(std::move(open)), most_open_(most_open) {}
    ~SourcePool();
    SourcePool(const SourcePool&) = delete;
    SourcePool& operator=(const SourcePool&) = delete;

    /// `work(source)`, whose result it returns. A source in which it failed is not used again; where its connection was
    /// ended meanwhile, which may be that one's fate alone, the work is done once more in another. Throws SourceError.
    template <class Work>
    std::invoke_result_t<Work&, SubmissionSource&> read(Work work) {
        refuse_while_resting();
        const Turn turn(*this);
        for (bool is_again = false;; is_again = true) {
            const auto began = std::chrono::steady_clock::now();
            std::unique_ptr<SubmissionSource> source;
            try {
                source = take();
                auto result = work(*source);
                give_back(std::move(source));
                return result;
            } catch (const SourceUnavailable& error) {
                const bool was_ended = source != nullptr && !source->is_current();
                if (was_ended && !is_again && std::chrono::steady_clock::now() - began < again_within) continue;
                note_unavailable(error.what());
                throw;
            }
        }
    }

    /// As read, of a source that `is_current`, by its position, which goes into `position`; waits a while for one that
    /// follows another to come that far.
    template <class IsCurrent, class Work>
    std::invoke_result_t<Work&, SubmissionSource&> read_current(std::uint64_t& position, const IsCurrent& is_current,
                                                                Work work) {
        using Result = std::invoke_result_t<Work&, SubmissionSource&>;
        const auto until = std::chrono::steady_clock::now() + follow_patience;
        while (true) {
            std::optional<Result> result = read([&](SubmissionSource& source) -> std::optional<Result> {
                position = source.position();
                if (position != 0 && !is_current(position)) return std::nullopt;
                return work(source);
            });
            if (result) return *std::move(result);
            if (std::chrono::steady_clock::now() >= until)
                throw SourceError(
                    "the replica does not contain what has changed: see how far it is behind (`larder doctor`), or "
                    "name "
                    "the server that writes by --db");
            std::this_thread::sleep_for(follow_interval);
        }
    }

private:
    static constexpr std::chrono::milliseconds follow_patience{2'000}, follow_interval{5};
    static constexpr std::chrono::milliseconds again_within{2'000};  ///< later nobody answers, and none would

    /// The right to have one open.
    class Turn {
    public:
        explicit Turn(SourcePool& pool) : pool_(pool) { pool_.begin_turn(); }
        ~Turn() { pool_.end_turn(); }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

    private:
        SourcePool& pool_;
    };
    void begin_turn();
    void end_turn();
    void refuse_while_resting();
    std::unique_ptr<SubmissionSource> take();
    void give_back(std::unique_ptr<SubmissionSource> source);
    void note_unavailable(const char* why);
    void forget_inherited();
    SourceFactory open_;
    const std::size_t most_open_;
    std::mutex mutex_;
    std::condition_variable turn_ended_;
    std::size_t turns_ = 0;
    std::vector<std::unique_ptr<SubmissionSource>> idle_;
    int owner_pid_ = 0;
    std::chrono::steady_clock::time_point unavailable_until_{};
    std::string why_unavailable_;
};

}  // namespace larder
