#include "tools/handover.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>
#include <vector>

#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

using shm::system::Descriptor;

[[noreturn]] void refuse() { throw Refusal(kUsage, "--worker is for the supervisor's own use"); }

/// Texts behind each other, as `LENGTH:BYTES`.
void put(std::string& out, std::string_view text) { out += fmt::format("{}:{}", text.size(), text); }

std::string take(std::string_view& bytes) {
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(bytes.data(), bytes.data() + bytes.size(), size);
    const std::size_t digits = static_cast<std::size_t>(end - bytes.data());
    if (error != std::errc() || digits == bytes.size() || *end != ':' || size > bytes.size() - digits - 1) refuse();
    std::string text(bytes.substr(digits + 1, size));
    bytes.remove_prefix(digits + 1 + size);
    return text;
}

std::string serialized(const Handover& handover) {
    std::string out;
    put(out, handover.key_file);
    put(out, handover.schema);
    put(out, handover.identity);
    if (!handover.file) return out;
    put(out, handover.file->path());
    for (const ConfigEntry& entry : handover.file->entries())
        for (const std::string_view text :
             {entry.row->name, std::string_view(entry.text), std::string_view(entry.at), std::string_view(entry.error)})
            put(out, text);
    return out;
}

}  // namespace

Descriptor Handover::write() const {
    const std::string bytes = serialized(*this);
    Descriptor page(::memfd_create("larder-serve-handover", MFD_CLOEXEC));
    const bool is_whole =
        page.is_open() && ::write(page.number(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
    if (!is_whole) throw std::system_error(errno, std::generic_category(), "memfd_create");
    return page;
}

Handover Handover::parse(std::string_view bytes) {
    Handover handover;
    handover.key_file = take(bytes);
    handover.schema = take(bytes);
    handover.identity = take(bytes);
    if (bytes.empty()) return handover;
    std::string path = take(bytes);
    std::vector<ConfigEntry> entries;
    while (!bytes.empty()) {
        ConfigEntry entry;
        entry.row = &option_row(take(bytes));
        entry.text = take(bytes);
        entry.at = take(bytes);
        entry.error = take(bytes);
        entries.push_back(std::move(entry));
    }
    handover.file = ConfigFile::of(std::move(path), std::move(entries));
    return handover;
}

// Read by position: all workers share the file's own.
Handover Handover::inherited() {
    std::string bytes;
    char buffer[16 * 1024];
    for (;;) {
        const ssize_t count = ::pread(inherited_fd, buffer, sizeof buffer, static_cast<off_t>(bytes.size()));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) refuse();
        if (count == 0) break;
        bytes.append(buffer, static_cast<std::size_t>(count));
    }
    return parse(bytes);
}

}  // namespace larder::tools
