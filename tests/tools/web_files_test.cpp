// The page in the executable is the one in tools/web.
#include "tools/http/web_files.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

using namespace larder::tools;

namespace {

const std::string folder = std::string(LARDER_SOURCE_DIR) + "/tools/web/";

std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("every file of the page is in the executable, byte for byte", "[web]") {
    std::size_t found = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string(), kind = entry.path().extension().string();
        if (kind != ".js" && kind != ".css" && kind != ".svg") continue;
        INFO(name);
        const WebFile* const file = find_web_file("/web/" + name);
        REQUIRE(file != nullptr);
        CHECK(file->bytes == bytes_of(folder + name));
        ++found;
    }
    CHECK(found >= 8);
    REQUIRE(find_web_file("/") != nullptr);
    std::string page = bytes_of(folder + "index.html");
    page.replace(page.find("@VERSION@"), 9, LARDER_VERSION);
    CHECK(find_web_file("/")->bytes == page);
}

TEST_CASE("types are those that a browser takes them for, and no path comes twice", "[web]") {
    std::set<std::string_view> paths;
    for (const WebFile& file : web_files()) CHECK(paths.insert(file.path).second);
    CHECK(find_web_file("/")->content_type == "text/html; charset=utf-8");
    CHECK(find_web_file("/web/main.js")->content_type == "text/javascript; charset=utf-8");
    CHECK(find_web_file("/web/style.css")->content_type == "text/css; charset=utf-8");
    CHECK(find_web_file("/web/icon.svg")->content_type == "image/svg+xml; charset=utf-8");
    CHECK(find_web_file("/web/uplot.js") != nullptr);
    CHECK(find_web_file("/web/uplot.css") != nullptr);
    CHECK(find_web_file("/nowhere") == nullptr);
}

TEST_CASE("the page names no other host, and all that it names is there", "[web]") {
    const std::string page(find_web_file("/")->bytes);
    CHECK(page.find("//") == std::string::npos);
    for (std::size_t at = page.find("=\"/web/"); at != std::string::npos; at = page.find("=\"/web/", at + 1)) {
        const std::string path = page.substr(at + 2, page.find('"', at + 2) - at - 2);
        INFO(path);
        CHECK(find_web_file(path) != nullptr);
    }
}
