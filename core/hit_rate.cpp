#include "core/hit_rate.hpp"

#include "core/json_writer.hpp"

namespace larder {

Hundredths HitRate::percentage() const {
    return larder::percentage(static_cast<std::int64_t>(hits), static_cast<std::int64_t>(total()));
}

std::string to_json(const HitRate& rate) {
    JsonWriter json;
    json.begin_object();
    json.field("hits", static_cast<std::int64_t>(rate.hits)).field("misses", static_cast<std::int64_t>(rate.misses));
    json.field("total", static_cast<std::int64_t>(rate.total())).field("hit_rate_percentage", rate.percentage());
    json.field("cache_key", rate.cache_key).field("ttl_seconds", static_cast<std::int64_t>(rate.ttl.count()));
    json.end_object();
    return json.take();
}

}  // namespace larder
