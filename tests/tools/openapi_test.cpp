// tools/docs/openapi.json against the running service: every route, and what it answers.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "tests/tools/serve_scene.hpp"
#include "tools/http/router.hpp"

using namespace larder;
using namespace larder::test;
namespace json = boost::json;

namespace {

json::object read_description() {
    std::ifstream file(std::string(LARDER_SOURCE_DIR) + "/tools/docs/openapi.json");
    std::stringstream text;
    text << file.rdbuf();
    return json::parse(text.str()).as_object();
}

/// The description of the HTTP interface, and whether an answer is as it says.
class Description {
public:
    const json::object& paths() const { return whole_.at("paths").as_object(); }

    /// What is wrong with the answer; empty: nothing.
    std::string check(const std::string& path, const std::string& method, const HttpAnswer& answer) const {
        const json::object& responses = paths().at(path).as_object().at(method).as_object().at("responses").as_object();
        const auto found = responses.find(std::to_string(answer.status));
        if (found == responses.end()) return "status " + std::to_string(answer.status) + " is not described";
        const json::object& response = resolved(found->value());
        if (response.contains("headers"))
            for (const auto& header : response.at("headers").as_object())
                if (answer.header(std::string(header.key())).empty()) return "no header " + std::string(header.key());
        const json::object& content = response.at("content").as_object();
        const std::string type(content.begin()->key());
        if (answer.header("Content-Type").substr(0, type.size()) != type) return "it is no " + type;
        if (type != "application/json") return {};
        return mismatch(json::parse(answer.body), content.begin()->value().as_object().at("schema"));
    }

private:
    const json::object& resolved(const json::value& node) const {
        const json::object& object = node.as_object();
        const auto reference = object.find("$ref");
        if (reference == object.end()) return object;
        const json::object* at = &whole_;
        std::stringstream target(std::string(reference->value().as_string().subview(2)));  // after `#/`
        for (std::string name; std::getline(target, name, '/');) at = &at->at(name).as_object();
        return *at;
    }

    std::string mismatch(const json::value& value, const json::value& schema_node) const {
        const json::object& schema = resolved(schema_node);
        const std::string type(schema.at("type").as_string());
        if (type == "integer" && !value.is_int64() && !value.is_uint64()) return "no integer";
        if (type == "number" && !value.is_number()) return "no number";
        if (type == "string" && !value.is_string()) return "no string";
        if (type == "boolean" && !value.is_bool()) return "no boolean";
        if (schema.contains("enum")) {
            const json::array& allowed = schema.at("enum").as_array();
            if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) return "not one of the enum";
        }
        if (type == "array") {
            if (!value.is_array()) return "no array";
            for (const json::value& item : value.as_array())
                if (std::string wrong = mismatch(item, schema.at("items")); !wrong.empty()) return wrong;
        }
        if (type == "object") return object_mismatch(value, schema);
        return {};
    }

    std::string object_mismatch(const json::value& value, const json::object& schema) const {
        if (!value.is_object()) return "no object";
        if (schema.contains("required"))
            for (const json::value& name : schema.at("required").as_array())
                if (!value.as_object().contains(name.as_string())) return "no field " + std::string(name.as_string());
        if (!schema.contains("properties")) return {};
        for (const auto& [name, property] : schema.at("properties").as_object())
            if (const auto field = value.as_object().find(name); field != value.as_object().end())
                if (std::string wrong = mismatch(field->value(), property); !wrong.empty())
                    return std::string(name) + ": " + wrong;
        return {};
    }

    json::object whole_ = read_description();
};

std::string with_id(std::string path, const std::string& id) {
    const std::size_t at = path.find("{id}");
    return at == std::string::npos ? path : path.replace(at, 4, id);
}

}  // namespace

TEST_CASE("the description has every route, with its methods, and no other", "[http]") {
    const Description description;
    std::set<std::string> described, routed;
    for (const auto& path : description.paths())
        for (const auto& member : path.value().as_object())
            if (member.key() == "get" || member.key() == "post")
                described.insert(std::string(member.key()) + " " + std::string(path.key()));
    for (const tools::RoutedPath& path : tools::routed_paths())
        routed.insert((path.methods == "POST" ? "post " : "get ") + std::string(path.pattern));
    routed.erase("get /api/cache/jobs/{id}/");  // another way to write the one without a slash
    CHECK(described == routed);
}

TEST_CASE("the running service answers as it is described", "[serve]") {
    const Description description;
    const ServedSchool school;
    const Service service(school, with_key(school));
    const std::string admin = bearer(Role::admin, 1), teacher = bearer(Role::teacher, 8),
                      student = bearer(Role::student, 7);
    const auto expect = [&](const std::string& path, const std::string& method, int status, const HttpAnswer& answer) {
        INFO(method << " " << path << " " << status << " " << answer.body);
        CHECK(answer.status == status);
        CHECK(description.check(path, method, answer) == "");
        CHECK_FALSE(answer.header("X-Worker").empty());
    };
    // Nothing was measured so far: five are too many to be warmed at once.
    expect("/api/cache/warm/", "post", 202, service.post("/api/cache/warm/", R"({"ids":[1,2,3,1,2]})", admin));
    for (const auto& path : description.paths()) {
        const std::string pattern(path.key());
        if (path.value().as_object().contains("post")) {
            expect(pattern, "post", 401, service.post(with_id(pattern, "7"), ""));
            expect(pattern, "post", 403, service.post(with_id(pattern, "7"), "", student));
            expect(pattern, "post", 400, service.post(with_id(pattern, "7"), "nonsense", admin));
        } else if (pattern.starts_with("/api/")) {
            expect(pattern, "get", 401, service.get(with_id(pattern, "1")));
            expect(pattern, "get", 403, service.get(with_id(pattern, "1"), student));
        }
    }
    const std::string page = "/api/assignments/{id}/analytics/", rate = "/api/assignments/{id}/cache_hit_rate/";
    expect("/healthz", "get", 200, service.get("/healthz"));
    expect("/metrics", "get", 401, service.get("/metrics"));
    expect("/metrics", "get", 403, service.get("/metrics", teacher));
    expect("/metrics", "get", 200, service.get("/metrics", admin));
    expect("/api/cache/events/", "get", 200, service.get("/api/cache/events/", teacher));
    expect(page, "get", 200, service.get(with_id(page, "1"), admin));
    expect(page, "get", 403, service.get(with_id(page, "1"), teacher));
    expect(page, "get", 404, service.get(with_id(page, "99"), admin));
    expect(rate, "get", 200, service.get(with_id(rate, "1"), admin));
    expect(rate, "get", 404, service.get(with_id(rate, "x"), admin));
    expect("/api/cache/warm/", "post", 200, service.post("/api/cache/warm/", R"({"ids":[1,99]})", admin));
    expect("/api/teachers/{id}/warm/", "post", 200, service.post("/api/teachers/7/warm/", "", admin));
    expect("/api/cache/invalidate/", "post", 200, service.post("/api/cache/invalidate/", R"({"author":7})", admin));
    expect("/api/cache/jobs/", "get", 200, service.get("/api/cache/jobs/", admin));
    expect("/api/cache/jobs/{id}", "get", 200, service.get("/api/cache/jobs/1", admin));
    expect("/api/cache/jobs/{id}", "get", 404, service.get("/api/cache/jobs/77", admin));
}
