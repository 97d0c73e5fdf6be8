#include "tests/tidy.hpp"

#include <algorithm>
#include <cctype>
#include <iterator>

#include "tests/tidy_text.hpp"

namespace larder::tidy {

namespace {

constexpr std::size_t max_columns = 120, max_header_lines = 250, max_source_lines = 500, max_function_lines = 70;

/// Which layers a layer may include; what is missing here may be included by nobody below it.
struct Layer {
    std::string_view name;
    std::vector<std::string_view> may_include;
};
const std::vector<Layer> layers = {
    {"shm", {"shm"}},
    {"core", {"core", "shm"}},
    {"tools", {"tools", "core", "shm"}},
    {"bench", {"bench", "core", "shm"}},
    {"tests", {"tests", "tools", "core", "shm"}},
};

const std::vector<std::string_view> public_headers = {"shm/cache.hpp", "shm/socket/notifier.hpp"};

/// An identifier that must not occur in the code of the layers named.
struct Banned {
    std::string_view word, rule, layers, remedy;
};
constexpr std::string_view everywhere = "shm core tools tests bench", all_but_bench = "shm core tools tests";
const Banned banned[] = {
    {"cout", "prints", "shm core", "the library prints nothing: return it, or use Options::log"},
    {"cerr", "prints", "shm core", "the library prints nothing: return it, or use Options::log"},
    {"clog", "prints", "shm core", "the library prints nothing: return it, or use Options::log"},
    {"printf", "prints", "shm core", "the library prints nothing: return it, or use Options::log"},
    {"fprintf", "prints", "shm core", "the library prints nothing: return it, or use Options::log"},
    {"dprintf", "prints", "shm core", "the library prints nothing: return it, or use Options::log"},
    {"fputs", "prints", "shm core", "the library prints nothing: return it, or use Options::log"},
    {"perror", "prints", "shm core", "the library prints nothing: return it, or use Options::log"},
    {"interprocess_mutex", "fragile lock", all_but_bench, "it dies with its owner: use shm/robust_mutex.hpp"},
    {"interprocess_recursive_mutex", "fragile lock", all_but_bench, "it dies with its owner: use shm/robust_mutex.hpp"},
    {"interprocess_sharable_mutex", "fragile lock", all_but_bench, "it dies with its owner: use shm/robust_mutex.hpp"},
    {"interprocess_condition", "fragile lock", all_but_bench,
     "it hangs after a kill: use a futex word with a deadline"},
    {"interprocess_semaphore", "fragile lock", all_but_bench,
     "it hangs after a kill: use a futex word with a deadline"},
    {"named_mutex", "fragile lock", all_but_bench, "it dies with its owner: use shm/robust_mutex.hpp"},
    {"named_condition", "fragile lock", all_but_bench, "it hangs after a kill: use a futex word with a deadline"},
    {"managed_shared_memory", "fragile lock", all_but_bench, "it hides a lock: use managed_external_buffer"},
    {"managed_mapped_file", "fragile lock", all_but_bench, "it hides a lock: use managed_external_buffer"},
    {"pthread_cond_t", "fragile lock", everywhere, "it hangs after a kill: use a futex word with a deadline"},
    {"system_clock", "wall clock", "shm", "it steps: use Clock"},
    {"CLOCK_REALTIME", "wall clock", "shm", "it steps: use Clock"},
    {"gettimeofday", "wall clock", "shm", "it steps: use Clock"},
    {"sleep_for", "sleep", "tests", "wait for the condition itself, or move a manual clock"},
    {"sleep_until", "sleep", "tests", "wait for the condition itself, or move a manual clock"},
    {"usleep", "sleep", "tests", "wait for the condition itself, or move a manual clock"},
    {"nanosleep", "sleep", "tests", "wait for the condition itself, or move a manual clock"},
};

/// Headers that cost seconds: in sources only.
constexpr std::string_view heavy_headers[] = {"boost/beast", "boost/asio", "boost/multi_index"};

bool starts_with(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }
bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_header(std::string_view path) { return ends_with(path, ".hpp") || ends_with(path, ".h"); }
bool is_cpp(std::string_view path) { return is_header(path) || ends_with(path, ".cpp"); }
bool is_public(std::string_view path) {
    return std::find(public_headers.begin(), public_headers.end(), path) != public_headers.end();
}
std::string_view layer_of(std::string_view path) { return path.substr(0, path.find('/')); }

/// `names` is a list of words parted by one space.
bool names_word(std::string_view names, std::string_view word) {
    return (" " + std::string(names) + " ").find(" " + std::string(word) + " ") != std::string::npos;
}

/// Calls use(word) for each identifier of a line, from left to right.
template <class Use>
void for_each_word(std::string_view line, Use&& use) {
    for (std::size_t at = 0; at < line.size();) {
        std::size_t end = at;
        while (end < line.size() && is_word(line[end])) ++end;
        if (end > at) use(line.substr(at, end - at));
        at = std::max(end, at + 1);
    }
}

bool has_word(std::string_view line, std::string_view wanted) {
    bool found = false;
    for_each_word(line, [&](std::string_view word) { found = found || word == wanted; });
    return found;
}

/// Counts code points, so that a dash is one column however many bytes it has.
std::size_t columns(std::string_view line) {
    return static_cast<std::size_t>(
        std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

/// A byte or UTF-8 sequence that a reader does not see: controls, zero-width and direction marks, a no-break space.
bool has_invisible(std::string_view line) {
    if (std::any_of(line.begin(), line.end(), [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 0x7f; }))
        return true;
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
        const auto byte = [&](std::size_t n) {
            return i + n < line.size() ? static_cast<unsigned char>(line[i + n]) : 0u;
        };
        if (byte(0) == 0xc2 && byte(1) >= 0x80 && byte(1) <= 0xa0) return true;
        if (byte(0) == 0xef && byte(1) == 0xbb && byte(2) == 0xbf) return true;
        if (byte(0) != 0xe2 || (byte(1) != 0x80 && byte(1) != 0x81)) continue;
        const bool marks = byte(1) == 0x80
                               ? (byte(2) >= 0x8b && byte(2) <= 0x8f) || (byte(2) >= 0xaa && byte(2) <= 0xae)
                               : byte(2) >= 0xa0 && byte(2) <= 0xaf;
        if (marks) return true;
    }
    return false;
}

/// The rules, one member each, over one file.
class Inspection {
public:
    Inspection(std::string_view path, std::string_view text)
        : path_(path), text_(text), code_(is_cpp(path) ? code_of(text) : std::string()), lines_(lines_of(text_)) {}

    std::vector<Finding> run() {
        check_text();
        if (!is_cpp(path_)) return std::move(findings_);
        check_columns();
        check_includes();
        check_words();
        check_sizes();
        if (is_header(path_)) check_header();
        return std::move(findings_);
    }

private:
    void add(std::size_t line, std::string_view rule, std::string what) {
        findings_.push_back({std::string(path_), line, std::string(rule), std::move(what)});
    }

    void check_text() {
        for (std::size_t i = 0; i < lines_.size(); ++i) {
            const std::string_view line = lines_[i];
            if (has_invisible(line)) add(i + 1, "invisible", "a control or invisible character");
            if (!line.empty() && line.back() == ' ') add(i + 1, "trailing space", "spaces at the end of the line");
            for (std::string_view mark : {"TO"
                                          "DO",
                                          "FIX"
                                          "ME",
                                          "XX"
                                          "X"})
                if (has_word(line, mark)) add(i + 1, "unfinished", std::string(mark) + ": finish it");
            for (std::string_view place : {"/work"
                                           "/",
                                           "/root"
                                           "/",
                                           "/home"
                                           "/"})
                if (line.find(place) != std::string_view::npos) add(i + 1, "machine path", "a path of one machine");
        }
        if (!text_.empty() && text_.back() != '\n') add(lines_.size(), "last line", "the last line has no end");
    }

    void check_columns() {
        for (std::size_t i = 0; i < lines_.size(); ++i) {
            if (lines_[i].find('\t') != std::string_view::npos) add(i + 1, "tab", "a tab: indent with spaces");
            const std::size_t wide = columns(lines_[i]);
            if (wide > max_columns) add(i + 1, "columns", std::to_string(wide) + " columns, at most 120");
        }
    }

    void check_includes() {
        const std::string_view own = layer_of(path_);
        const auto layer = std::find_if(layers.begin(), layers.end(), [&](const Layer& l) { return l.name == own; });
        for (const Include& include : includes_of(text_)) {
            const std::string_view target = layer_of(include.path);
            const bool from_root =
                std::any_of(layers.begin(), layers.end(), [&](const Layer& l) { return l.name == target; });
            if (include.quoted && !from_root)
                add(include.line, "include path", include.path + ": write it from the root, \"shm/...\"");
            if (from_root && layer != layers.end() &&
                std::find(layer->may_include.begin(), layer->may_include.end(), target) == layer->may_include.end())
                add(include.line, "direction", std::string(own) + " must not include " + include.path);
            if (is_public(path_) && (include.quoted || include.path.find('/') != std::string::npos))
                add(include.line, "public header", include.path + ": users have the standard library only");
            if (is_header(path_))
                for (std::string_view heavy : heavy_headers)
                    if (starts_with(include.path, heavy))
                        add(include.line, "heavy header", include.path + " costs seconds: include it in a source");
        }
    }

    void check_words() {
        const auto lines = lines_of(code_);
        for (std::size_t i = 0; i < lines.size(); ++i) {
            std::string_view before;
            for_each_word(lines[i], [&](std::string_view word) {
                check_word(i + 1, word, before);
                before = word;
            });
        }
    }

    void check_word(std::size_t line, std::string_view word, std::string_view before) {
        for (const Banned& row : banned)
            if (row.word == word && names_word(row.layers, layer_of(path_)))
                add(line, row.rule, std::string(word) + ": " + std::string(row.remedy));
        if (word == "volatile" && before != "asm" && before != "__asm__")
            add(line, "volatile", "it orders nothing between threads: use std::atomic");
        if (word == "namespace" && before == "using" && is_header(path_))
            add(line, "using namespace", "in a header it reaches every includer");
        if (word == "boost" && is_public(path_) && !is_directive(line))
            add(line, "public header", "a Boost type in a public header");
    }

    bool is_directive(std::size_t line) const {
        const std::string_view text = lines_[line - 1];
        const std::size_t first = text.find_first_not_of(' ');
        return first != std::string_view::npos && text[first] == '#';
    }

    void check_sizes() {
        const std::size_t most = is_header(path_) ? max_header_lines : max_source_lines;
        if (lines_.size() > most)
            add(0, "file size", std::to_string(lines_.size()) + " lines, at most " + std::to_string(most));
        for (const Function& function : functions_of(text_))
            if (function.lines > max_function_lines)
                add(function.line, "function size", std::to_string(function.lines) + " lines, at most 70");
    }

    void check_header() {
        const auto lines = lines_of(code_);
        const auto first = std::find_if(lines.begin(), lines.end(), [](std::string_view line) {
            return line.find_first_not_of(' ') != std::string_view::npos;
        });
        if (first == lines.end() || *first != "#pragma once") add(0, "pragma once", "begin the code with #pragma once");
    }

    std::string_view path_, text_;
    std::string code_;
    std::vector<std::string_view> lines_;
    std::vector<Finding> findings_;
};

}  // namespace

const std::vector<Allowance>& allowances() {
    static const std::vector<Allowance> rows = {
        {"shm/cache.hpp", "file size", "the whole public face on one page; its comments are the manual"},
        {"shm/layout.hpp", "file size", "the published format of the segment on one page"},
        {"shm/entry_index.hpp", "heavy header", "the index's own type, for the sources that edit it"},
        {"bench/peers/redis_pages.cpp", "direction", "the peer is our own service, with Redis in the cache's place"},
    };
    return rows;
}

std::vector<Finding> inspect(std::string_view path, std::string_view text) { return Inspection(path, text).run(); }

bool is_allowed(const Finding& finding) {
    return std::any_of(allowances().begin(), allowances().end(),
                       [&](const Allowance& row) { return row.path == finding.path && row.rule == finding.rule; });
}

std::vector<Finding> check(std::string_view path, std::string_view text) {
    std::vector<Finding> left;
    for (Finding& finding : inspect(path, text))
        if (!is_allowed(finding)) left.push_back(std::move(finding));
    return left;
}

}  // namespace larder::tidy
