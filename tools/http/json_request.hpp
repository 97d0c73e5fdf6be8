// JsonRequest: the body of a request, read field by field.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace larder::tools {

/// What is wrong with a request's body, as a sentence for the caller: 400.
struct BadRequest : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Every field that is present has to be taken: one that nobody takes is a mistake. Members throw BadRequest.
class JsonRequest {
public:
    /// An empty body is an object without fields.
    explicit JsonRequest(std::string_view body);

    std::optional<std::vector<std::int64_t>> take_ids(std::string_view name);  ///< above 0, at least one
    std::optional<std::int64_t> take_id(std::string_view name);                ///< above 0
    std::optional<std::int64_t> take_number(std::string_view name);
    std::optional<std::string> take_text(std::string_view name);
    /// `true`, and nothing else, is there.
    bool take_true(std::string_view name);
    /// REQUIRES: everything that is known was taken.
    void refuse_rest() const;

private:
    std::optional<boost::json::value> take(std::string_view name);
    boost::json::object fields_;
};

}  // namespace larder::tools
