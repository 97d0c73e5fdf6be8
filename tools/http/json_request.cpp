#include "tools/http/json_request.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "tools/terminal.hpp"

namespace larder::tools {
namespace {

namespace json = boost::json;

std::int64_t number_of(const json::value& value, std::string_view name) {
    boost::json::error_code error;
    const auto number = value.to_number<std::int64_t>(error);
    if (error || value.is_double()) throw BadRequest("`" + std::string(name) + "` takes whole numbers.");
    return number;
}

std::int64_t id_of(const json::value& value, std::string_view name) {
    const std::int64_t id = number_of(value, name);
    if (id <= 0) throw BadRequest("`" + std::string(name) + "` takes numbers above 0.");
    return id;
}

}  // namespace

JsonRequest::JsonRequest(std::string_view body) {
    if (body.empty()) return;
    boost::json::error_code error;
    json::value parsed = json::parse({body.data(), body.size()}, error);
    if (error || !parsed.is_object()) throw BadRequest("The body has to be a JSON object.");
    fields_ = std::move(parsed.get_object());
}

std::optional<json::value> JsonRequest::take(std::string_view name) {
    const auto field = fields_.find({name.data(), name.size()});
    if (field == fields_.end()) return std::nullopt;
    json::value value = std::move(field->value());
    fields_.erase(field);
    return value;
}

std::optional<std::vector<std::int64_t>> JsonRequest::take_ids(std::string_view name) {
    const auto value = take(name);
    if (!value) return std::nullopt;
    if (!value->is_array()) throw BadRequest("`" + std::string(name) + "` takes a list of whole numbers.");
    std::vector<std::int64_t> ids;
    for (const json::value& item : value->get_array()) ids.push_back(id_of(item, name));
    if (ids.empty()) throw BadRequest("`" + std::string(name) + "` is empty: name at least one.");
    return ids;
}

std::optional<std::int64_t> JsonRequest::take_id(std::string_view name) {
    const auto value = take(name);
    return value ? std::optional(id_of(*value, name)) : std::nullopt;
}

std::optional<std::int64_t> JsonRequest::take_number(std::string_view name) {
    const auto value = take(name);
    return value ? std::optional(number_of(*value, name)) : std::nullopt;
}

std::optional<std::string> JsonRequest::take_text(std::string_view name) {
    const auto value = take(name);
    if (!value) return std::nullopt;
    if (!value->is_string() || value->get_string().empty())
        throw BadRequest("`" + std::string(name) + "` takes a text that is not empty.");
    return std::string(value->get_string());
}

bool JsonRequest::take_true(std::string_view name) {
    const auto value = take(name);
    if (value && (!value->is_bool() || !value->get_bool()))
        throw BadRequest("`" + std::string(name) + "` takes true, or is left out.");
    return value.has_value();
}

void JsonRequest::refuse_rest() const {
    if (fields_.empty()) return;
    const auto name = fields_.begin()->key();
    throw BadRequest("`" + escaped({name.data(), name.size()}, 64) + "` is not known here.");
}

}  // namespace larder::tools
