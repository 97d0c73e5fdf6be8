#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "tests/tidy.hpp"
#include "tests/tidy_text.hpp"

using namespace larder::tidy;

namespace {

/// The rules that `text` breaks as the file `path`, in the order found.
std::vector<std::string> rules(std::string_view path, std::string_view text) {
    std::vector<std::string> names;
    for (const Finding& finding : inspect(path, text)) names.push_back(finding.rule);
    return names;
}

using Rules = std::vector<std::string>;
const std::string once = "#pragma once\n";

std::string times(std::size_t count, std::string_view line) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += line;
    return text;
}

/// The text files of the checkout by path, build trees and generated files apart.
std::map<std::string, std::string> checkout() {
    namespace fs = std::filesystem;
    const fs::path root = LARDER_SOURCE_DIR;
    const std::set<std::string> kinds = {"",    ".cpp",  ".hpp", ".h",    ".txt", ".md",
                                         ".in", ".json", ".js",  ".html", ".css", ".sql"};
    const std::set<std::string> tops = {".ci", "shm", "core", "tools", "bench", "tests"};
    std::map<std::string, std::string> files;
    const auto read = [&](const fs::path& path) {
        if (kinds.count(path.extension().string()) == 0 || path.filename() == "package-lock.json") return;
        std::ifstream stream(path, std::ios::binary);
        std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
        files[fs::relative(path, root).generic_string()] = std::move(text);
    };
    for (const auto& entry : fs::directory_iterator(root)) {
        if (entry.is_regular_file()) read(entry.path());
        if (!entry.is_directory() || tops.count(entry.path().filename().string()) == 0) continue;
        for (auto it = fs::recursive_directory_iterator(entry.path()); it != fs::recursive_directory_iterator(); ++it) {
            if (it->is_directory() && it->path().filename() == "node_modules") it.disable_recursion_pending();
            if (it->is_regular_file()) read(it->path());
        }
    }
    return files;
}

}  // namespace

TEST_CASE("tidy: every file of the checkout keeps the house rules") {
    const auto files = checkout();
    REQUIRE(files.count("shm/cache.hpp") == 1);
    std::size_t findings = 0;
    for (const auto& [path, text] : files)
        for (const Finding& finding : check(path, text)) {
            std::cerr << path << ':' << finding.line << ": " << finding.rule << ": " << finding.what << '\n';
            ++findings;
        }
    CHECK(findings == 0);
}

TEST_CASE("tidy: every allowance has a reason and is still needed") {
    const auto files = checkout();
    for (const Allowance& row : allowances()) {
        INFO(row.path << ": " << row.rule);
        CHECK(row.reason.size() > 10);
        const auto file = files.find(std::string(row.path));
        REQUIRE(file != files.end());
        const auto findings = inspect(row.path, file->second);
        CHECK(std::any_of(findings.begin(), findings.end(), [&](const Finding& f) { return f.rule == row.rule; }));
    }
}

TEST_CASE("tidy: a header that may be heavy is included by sources only") {
    const auto files = checkout();
    for (const Allowance& row : allowances()) {
        if (row.rule != "heavy header") continue;
        for (const auto& [path, text] : files) {
            if (path.find(".hpp") == std::string::npos) continue;
            for (const Include& include : includes_of(text)) {
                INFO(path << ':' << include.line);
                CHECK(include.path != row.path);
            }
        }
    }
}

TEST_CASE("tidy: a finding names file, line and rule, and an allowance hides only its own rule") {
    const std::string text = once + times(300, "int x;\n") + "std::system_clock y;\n";
    REQUIRE(rules("shm/cache.hpp", text) == Rules{"wall clock", "file size"});
    const auto left = check("shm/cache.hpp", text);
    REQUIRE(left.size() == 1);
    CHECK(left[0].path == "shm/cache.hpp");
    CHECK(left[0].line == 302);
    CHECK(left[0].rule == "wall clock");
    CHECK(check("shm/other.hpp", text).size() == 2);
}

TEST_CASE("tidy: includes go down the layers only") {
    CHECK(rules("shm/a.cpp", "#include \"shm/b.hpp\"\n") == Rules{});
    CHECK(rules("shm/a.cpp", "#include \"core/b.hpp\"\n") == Rules{"direction"});
    CHECK(rules("shm/a.cpp", "  #  include \"tools/b.hpp\"\n") == Rules{"direction"});
    CHECK(rules("core/a.cpp", "#include \"shm/b.hpp\"\n#include \"core/b.hpp\"\n") == Rules{});
    CHECK(rules("core/a.cpp", "#include \"tools/b.hpp\"\n") == Rules{"direction"});
    CHECK(rules("tools/http/a.cpp", "#include \"core/b.hpp\"\n") == Rules{});
    CHECK(rules("tools/a.cpp", "#include \"tests/support/b.hpp\"\n") == Rules{"direction"});
    CHECK(rules("tools/a.cpp", "#include <bench/b.hpp>\n") == Rules{"direction"});
    CHECK(rules("tests/tools/a.cpp", "#include \"tools/b.hpp\"\n#include \"tests/support/c.hpp\"\n") == Rules{});
    CHECK(rules("shm/a.cpp", "// #include \"core/b.hpp\"\n") == Rules{});
}

TEST_CASE("tidy: includes are written from the root") {
    CHECK(rules("shm/a.cpp", "#include \"b.hpp\"\n") == Rules{"include path"});
    CHECK(rules("shm/a.cpp", "#include \"../shm/b.hpp\"\n") == Rules{"include path"});
}

TEST_CASE("tidy: a public header includes the standard library only and has no Boost type") {
    CHECK(rules("shm/cache.hpp", once + "#include <string>\n") == Rules{});
    CHECK(rules("shm/cache.hpp", once + "#include <boost/json.hpp>\n") == Rules{"public header"});
    CHECK(rules("shm/cache.hpp", once + "#include \"shm/layout.hpp\"\n") == Rules{"public header"});
    CHECK(rules("shm/cache.hpp", once + "boost::json::value v;\n") == Rules{"public header"});
    CHECK(rules("shm/cache.hpp", once + "// no boost here\n") == Rules{});
    CHECK(rules("shm/layout.hpp", once + "boost::offset_ptr<int> p;\n") == Rules{});
}

TEST_CASE("tidy: headers that cost seconds stay in sources") {
    CHECK(rules("core/a.hpp", once + "#include <boost/asio/io_context.hpp>\n") == Rules{"heavy header"});
    CHECK(rules("tools/a.hpp", once + "#include <boost/beast/http.hpp>\n") == Rules{"heavy header"});
    CHECK(rules("shm/a.hpp", once + "#include <boost/multi_index_container.hpp>\n") == Rules{"heavy header"});
    CHECK(rules("shm/a.cpp", "#include <boost/multi_index_container.hpp>\n") == Rules{});
}

TEST_CASE("tidy: the library prints nothing, the tools may") {
    for (const char* line :
         {"std::cout << 1;\n", "std::cerr << 1;\n", "printf(\"x\");\n", "std::fprintf(stderr, \"x\");\n"}) {
        INFO(line);
        CHECK(rules("shm/a.cpp", line) == Rules{"prints"});
        CHECK(rules("core/a.cpp", line) == Rules{"prints"});
        CHECK(rules("tools/a.cpp", line) == Rules{});
    }
    CHECK(rules("shm/a.cpp", "std::snprintf(b, 9, \"%d\", 1);\n") == Rules{});
    CHECK(rules("shm/a.cpp", "const char* text = \"std::cout\";  // not printf\n") == Rules{});
}

TEST_CASE("tidy: locks that do not survive their owner are banned") {
    for (const char* word : {"interprocess_mutex", "named_mutex", "managed_shared_memory", "interprocess_condition"}) {
        INFO(word);
        for (const char* path : {"shm/a.cpp", "core/a.cpp", "tools/a.cpp", "tests/shm/a.cpp"})
            CHECK(rules(path, std::string("boost::interprocess::") + word + " x;\n") == Rules{"fragile lock"});
        CHECK(rules("bench/peers.cpp", std::string("boost::interprocess::") + word + " x;\n") == Rules{});
    }
    CHECK(rules("bench/a.cpp", "pthread_cond_t c;\n") == Rules{"fragile lock"});
    CHECK(rules("shm/a.cpp", "pthread_mutex_t m;\n") == Rules{});
}

TEST_CASE("tidy: no wall clock below, no sleep in tests, no volatile, no using namespace in headers") {
    CHECK(rules("shm/a.cpp", "auto t = std::chrono::system_clock::now();\n") == Rules{"wall clock"});
    CHECK(rules("shm/a.cpp", "clock_gettime(CLOCK_REALTIME, &t);\n") == Rules{"wall clock"});
    CHECK(rules("core/a.cpp", "auto t = std::chrono::system_clock::now();\n") == Rules{});
    CHECK(rules("tests/shm/a.cpp", "std::this_thread::sleep_for(1ms);\n") == Rules{"sleep"});
    CHECK(rules("tools/a.cpp", "std::this_thread::sleep_for(1ms);\n") == Rules{});
    CHECK(rules("bench/a.cpp", "volatile int x = 0;\n") == Rules{"volatile"});
    CHECK(rules("bench/a.cpp", "asm volatile(\"\" ::: \"memory\");\n") == Rules{});
    CHECK(rules("core/a.hpp", once + "using namespace std;\n") == Rules{"using namespace"});
    CHECK(rules("core/a.cpp", "using namespace std;\n") == Rules{});
}

TEST_CASE("tidy: text that nobody should read twice") {
    CHECK(rules("shm/a.cpp", "int\tx;\n") == Rules{"tab"});
    CHECK(rules("shm/a.cpp", "int x; \n") == Rules{"trailing space"});
    CHECK(rules("shm/a.cpp", "int x;") == Rules{"last line"});
    CHECK(rules("shm/a.cpp", "int x;\r\n") == Rules{"invisible"});
    CHECK(rules("README.md", "a\x1b[1mb\n") == Rules{"invisible"});
    CHECK(rules("README.md", "a\xe2\x80\xaegnp.exe\n") == Rules{"invisible"});
    CHECK(rules("README.md", "a\xc2\xa0 b\n") == Rules{"invisible"});
    CHECK(rules("README.md", "na\xc3\xafve \xe2\x80\x93 fine\n") == Rules{});
    CHECK(rules("tools/setup",
                "# TO"
                "DO: later\n") == Rules{"unfinished"});
    CHECK(rules("shm/a.cpp",
                "// FIX"
                "ME\n// XX"
                "X\n") == Rules{"unfinished", "unfinished"});
    CHECK(rules("shm/a.cpp",
                "char path[] = \"larder-XXXX"
                "XX\";\n") == Rules{});
    CHECK(rules("tools/run",
                "cd /home"
                "/somebody\n") == Rules{"machine path"});
    CHECK(rules("shm/a.cpp", std::string(121, 'x') + "\n") == Rules{"columns"});
    CHECK(rules("shm/a.cpp", std::string(120, 'x') + "\n") == Rules{});
    CHECK(rules("shm/a.cpp", times(120, "\xc3\xa9") + "\n") == Rules{});
    CHECK(rules("README.md", std::string(200, 'x') + "\n") == Rules{});
}

TEST_CASE("tidy: headers, sources and functions have a size") {
    CHECK(rules("shm/a.hpp", once + times(249, "int x;\n")) == Rules{});
    CHECK(rules("shm/a.hpp", once + times(250, "int x;\n")) == Rules{"file size"});
    CHECK(rules("shm/a.cpp", times(500, "int x;\n")) == Rules{});
    CHECK(rules("shm/a.cpp", times(501, "int x;\n")) == Rules{"file size"});
    CHECK(rules("shm/a.cpp", "void f() {\n" + times(68, "    g();\n") + "}\n") == Rules{});
    CHECK(rules("shm/a.cpp", "void f() {\n" + times(69, "    g();\n") + "}\n") == Rules{"function size"});
}

TEST_CASE("tidy: a header begins with #pragma once") {
    CHECK(rules("shm/a.hpp", "// What it is.\n" + once) == Rules{});
    CHECK(rules("shm/a.hpp", "int x;\n" + once) == Rules{"pragma once"});
    CHECK(rules("shm/a.hpp", "// #pragma once\n") == Rules{"pragma once"});
    CHECK(rules("shm/a.cpp", "int x;\n") == Rules{});
}

TEST_CASE("tidy: code is what is left without comments and literals") {
    CHECK(code_of("a; // b\nc;") == "a;     \nc;");
    CHECK(code_of("a /* b\n c */ d") == "a     \n      d");
    CHECK(code_of(R"(f("a\"b", 'x', '\'') + g)") == "f(" + std::string(6, ' ') + ", " + "   , " + "    ) + g");
    CHECK(code_of("int n = 1'000'000; int m;") == "int n = 1'000'000; int m;");
    CHECK(code_of("R\"x(a \" { b)x\" c").find_first_of("{a") == std::string::npos);
    CHECK(code_of("\"open to the end") == std::string(16, ' '));
}

TEST_CASE("tidy: functions are found whatever stands around them") {
    const auto sizes = [](std::string_view text) {
        std::vector<std::size_t> lines;
        for (const Function& function : functions_of(text)) lines.push_back(function.lines);
        return lines;
    };
    using Sizes = std::vector<std::size_t>;
    CHECK(sizes("int x{3};\nstruct A { int b = 1; };\nenum class E { a, b };\nint t[] = {1, 2};\n") == Sizes{});
    CHECK(sizes("namespace a {\nvoid f()\n{\n    if (x) {\n    }\n}\n}\n") == Sizes{5});
    CHECK(
        sizes("struct A : B {\n    A() : b_(1), c_{2} {\n        d();\n    }\n    int e() const { return 1; }\n};\n") ==
        Sizes{3, 1});
    CHECK(
        sizes("template <class T>\nauto f(T t) noexcept -> std::pair<int, T> {\n    return [&] {\n        return g();\n"
              "    }();\n}\n") == Sizes{6});
    CHECK(sizes("#define M(x) { \\\n    x }\nextern \"C\" {\nvoid f() {\n}\n}\n") == Sizes{2});
    CHECK(sizes("std::atomic<int> a{f(1)};\nstd::function<void(int)> g{h};\nvoid k() {\n}\n") == Sizes{2});
    CHECK(sizes("public:\n    void f() &&\n        noexcept(true) override {\n    }\n") == Sizes{4});
}
