// JsonWriter: one JSON text, written front to back in the order of the calls.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/rounding.hpp"

namespace larder {

/// Numbers of two decimals stay as they are, which a tree of doubles would not promise; strings are escaped by
/// Boost.JSON.
class JsonWriter {
public:
    JsonWriter& begin_object();
    JsonWriter& end_object();
    JsonWriter& begin_array();
    JsonWriter& end_array();
    JsonWriter& key(std::string_view name);

    JsonWriter& value(std::int64_t number);
    JsonWriter& value(Hundredths number);
    /// Bytes that are not UTF-8 become U+FFFD.
    JsonWriter& value(std::string_view text);
    JsonWriter& boolean(bool truth);
    JsonWriter& null();

    template <class T>
    JsonWriter& value(const std::optional<T>& optional) {
        return optional ? value(*optional) : null();
    }
    template <class T>
    JsonWriter& field(std::string_view name, const T& content) {
        return key(name).value(content);
    }

    std::string take() { return std::move(text_); }

private:
    JsonWriter& open(char bracket);
    JsonWriter& close(char bracket);
    void separate();
    std::string text_;
    bool first_ = true;  // nothing yet in the innermost object or array
    bool after_key_ = false;
};

}  // namespace larder
