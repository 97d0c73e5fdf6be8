// Tells a cache's listener that something has changed, from any program and without attaching to the cache.
//
//     larder::Notifier notifier = larder::Notifier::for_cache("pages");
//     if (larder::NoticeResult told = notifier.invalidate("page:1"); !told) complain(told.error);
//
// Announce a change after it is committed where it is kept, never before. Threads: any number at once. Forks: nothing
// is held between two calls. Signals: a listener that is gone raises no SIGPIPE.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace larder {

namespace detail {
struct NoticeMessage;
}

/// What became of an announcement.
struct NoticeResult {
    bool ok = false;           ///< applied: nobody on the host is served what was cached before
    std::uint64_t notice = 0;  ///< its number, where there is one
    std::string error;         ///< not ok: one sentence that says what to do. It may have been applied all the same
    bool answered = false;     ///< not ok: by the word of a listener; else nobody gave a useful answer
    explicit operator bool() const noexcept { return ok; }
};

/// Each call connects, sends, waits for the answer and closes, so that an idle program takes none of the listener's
/// places. It returns within `deadline`. A listener that dies, or is just being replaced, is asked again within it:
/// announcing twice is harmless. Failures are results; nothing is thrown but std::bad_alloc.
class Notifier {
public:
    static constexpr std::chrono::milliseconds kDeadline{1000};

    explicit Notifier(std::string socket_path, std::chrono::milliseconds deadline = kDeadline);
    /// The socket of the cache of that name. Empty: LARDER_CACHE, else `default`. An empty directory: the one that
    /// Cache would use. What is wrong with either is the error of every call.
    static Notifier for_cache(std::string_view name = {}, const std::string& directory = {},
                              std::chrono::milliseconds deadline = kDeadline);

    NoticeResult invalidate(std::string_view key) const;
    /// In as many requests as it takes; the notice is the last one's. Not ok: the first ones may have been applied.
    NoticeResult invalidate(std::span<const std::string_view> keys) const;
    NoticeResult invalidate(std::initializer_list<std::string_view> keys) const;
    NoticeResult invalidate_tag(std::string_view tag) const;
    /// All keys `name:...`.
    NoticeResult invalidate_namespace(std::string_view name) const;
    NoticeResult invalidate_all() const;
    /// ok: somebody listens and answers.
    NoticeResult ping() const;

    const std::string& socket_path() const noexcept { return socket_path_; }

private:
    NoticeResult send(const detail::NoticeMessage& message) const;

    std::string socket_path_;
    std::chrono::milliseconds deadline_;
    std::string problem_;  // every call's error
};

}  // namespace larder
