// JSON on stdout: one value a line, safe to print on a terminal.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

namespace larder::tools {

/// RFC 4648, with padding.
std::string base64(std::string_view bytes);

/// `name: text`, or `name_base64` where the bytes are not UTF-8.
void put_text(boost::json::object& object, std::string_view name, std::string_view bytes);

/// The value on one line, without a line end; DEL and C1 controls escaped besides what JSON demands.
std::string json_text(const boost::json::value& value);

/// Prints json_text and a line end on stdout.
void print_json(const boost::json::value& value);

/// Prints on stdout. Throws Refusal (exit code 3) when it cannot be written, so that a full disk is not a success.
void print(std::string_view text);

}  // namespace larder::tools
