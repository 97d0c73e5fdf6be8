// A listener in a thread of its own, and the sink that remembers what it was told.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "shm/socket/listener.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/socket_client.hpp"

namespace larder::test {

/// Every call is a line `verb arg arg`; numbers start at 1.
class RecordingSink : public shm::NoticeSink {
public:
    std::uint64_t invalidate(std::span<const std::string_view> keys) override {
        std::string call = "invalidate";
        for (const std::string_view key : keys) call += ' ' + std::string(key);
        return note(call);
    }
    std::uint64_t invalidate_tag(std::string_view tag) override { return note("tag " + std::string(tag)); }
    std::uint64_t invalidate_namespace(std::string_view name) override {
        return note("namespace " + std::string(name));
    }
    std::uint64_t invalidate_all() override { return note("all"); }
    std::string stat_json() override {
        note("stat");
        return document;
    }
    bool still_current() override { return replacements.fetch_sub(1) <= 0; }

    std::vector<std::string> calls() const {
        const std::lock_guard lock(mutex_);
        return calls_;
    }

    std::string document = "{\n \"entries\": 0\n}";  // set before the listener starts
    std::atomic<int> replacements{0};                // so many times the segment turns out to be another one
    std::atomic<bool> fails{false};

private:
    std::uint64_t note(std::string call) {
        if (fails) throw std::runtime_error("the cache is\naway");
        const std::lock_guard lock(mutex_);
        calls_.push_back(std::move(call));
        return calls_.size();
    }
    mutable std::mutex mutex_;
    std::vector<std::string> calls_;
};

class LogLines {
public:
    std::function<void(LogLevel, std::string_view)> writer() {
        return [this](LogLevel, std::string_view line) {
            const std::lock_guard lock(mutex_);
            text_ += std::string(line) + '\n';
        };
    }
    bool has(std::string_view part) const {
        const std::lock_guard lock(mutex_);
        return text_.find(part) != std::string::npos;
    }

private:
    mutable std::mutex mutex_;
    std::string text_;
};

inline shm::ListenerOptions options_in(const std::string& directory) {
    shm::ListenerOptions options;
    options.socket_path = directory + "/c.sock";
    options.lock_path = directory + "/c.listen";
    options.tick_interval = std::chrono::milliseconds(20);
    options.retry_interval = std::chrono::milliseconds(10);
    return options;
}

/// Start it, or let a test set `options` first.
struct RunningListener {
    RunningListener() : options(options_in(directory.path())) { options.log = log.writer(); }
    RunningListener& start() {
        thread = std::make_unique<shm::ListenerThread>(options, sink);
        return *this;
    }
    bool wait() {
        return eventually([this] { return thread->listening(); });
    }
    bool start_and_wait() { return start().wait(); }
    SocketClient client() const { return SocketClient(options.socket_path); }

    ScopedDirectory directory;
    RecordingSink sink;
    LogLines log;
    shm::ListenerOptions options;
    std::unique_ptr<shm::ListenerThread> thread;
};

}  // namespace larder::test
