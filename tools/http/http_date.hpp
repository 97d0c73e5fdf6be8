// The Date header: RFC 9110, 5.6.7, made anew once a second.
#pragma once

#include <ctime>
#include <string>

namespace larder::tools {

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
std::string http_date(std::time_t time);

/// Of now. The view's text stays until the thread's next call.
const std::string& http_date();

}  // namespace larder::tools
