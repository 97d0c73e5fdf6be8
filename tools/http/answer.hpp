// Answer: what a request gets, before it becomes bytes on a connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shm/cache.hpp"
#include "tools/http/event_stream.hpp"

namespace larder::tools {

/// Everything that can be refused, with one status and one code each.
enum class Fault : std::uint8_t {
    bad_request,
    unauthorized,
    forbidden,
    not_found,
    method_not_allowed,
    timeout,
    too_large,
    header_too_large,
    internal,
    unavailable,
};

/// A body is either bytes of its own or a document that stays in shared memory until the last byte is sent. Movable.
struct Answer {
    unsigned status = 200;
    std::vector<std::pair<std::string_view, std::string>> headers;  ///< names are literals; besides the usual ones
    std::string text;
    std::string_view content_type = "application/json; charset=utf-8";  ///< a literal
    Pinned document;                                                    ///< where it has a value, the body is that
    std::shared_ptr<EventStream> events;  ///< where there is one, the answer goes on with it, and has no other body
    std::string_view refusal;             ///< a literal: why the caller may not have it, for the log
    bool stale = false;                   ///< Service::refresh is to be called for the same call

    std::string_view body() const { return document ? document.value() : std::string_view(text); }
};

/// `{"error": {"code", "message"}}` with the headers that the status demands. `message` is one sentence for the caller.
Answer error_answer(Fault fault, std::string_view message);

/// 200 with a JSON text.
Answer json_answer(std::string text);

unsigned status_of(Fault fault);
std::string_view code_of(Fault fault);

}  // namespace larder::tools
