#include "tools/http/key_ring.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace larder::tools {
namespace {

struct Descriptor {
    explicit Descriptor(int number) : fd(number) {}
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int fd;
};

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
    throw KeyFileError("key file " + path + ": " + what);
}

void check_owner_and_mode(int fd, const std::string& path) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) refuse(path, std::generic_category().message(errno));
    if (!S_ISREG(status.st_mode)) refuse(path, "it is not a regular file; name one that holds the secret");
    if (status.st_uid != ::geteuid() && status.st_uid != 0)
        refuse(path, "it belongs to another user; take a copy of your own, with mode 0600");
    if ((status.st_mode & 077) != 0) refuse(path, "others can read it; run `chmod 600 " + path + "`");
}

std::string read_all(int fd, const std::string& path) {
    std::string bytes(KeyRing::max_file_bytes + 1, '\0');
    std::size_t size = 0;
    while (size < bytes.size()) {
        const ssize_t count = ::read(fd, bytes.data() + size, bytes.size() - size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) refuse(path, std::generic_category().message(errno));
        if (count == 0) break;
        size += static_cast<std::size_t>(count);
    }
    if (size > KeyRing::max_file_bytes) refuse(path, "it is above 64 KiB; a key of 32 to 128 bytes is enough");
    bytes.resize(size);
    return bytes;
}

bool is_name_byte(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' ||
           c == '-';
}

bool is_text_byte(char c) { return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n' || c == '\r'; }
bool is_text(std::string_view bytes) { return std::all_of(bytes.begin(), bytes.end(), is_text_byte); }

/// What somebody believes to mean something else would be a secret that many know, or that nobody meant.
void refuse_what_is_no_key(std::string_view line) {
    if (line.empty()) return;
    if (line.find('\r') != std::string_view::npos)
        throw KeyFileError("its lines end in CR LF; write them with LF alone");
    if (line.front() == '#') throw KeyFileError("a line begins with #, but it has no comments; leave that line out");
    const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
    if (is_blank(line.front()) || is_blank(line.back()))
        throw KeyFileError("a line begins or ends with a blank; take it away");
}

Key key_of_line(std::string_view line) {
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    if (colon == std::string_view::npos || name.empty() || name.size() > 64 ||
        !std::all_of(name.begin(), name.end(), is_name_byte))
        return Key{.id = {}, .secret = std::string(line)};
    return Key{.id = std::string(name), .secret = std::string(line.substr(colon + 1))};
}

}  // namespace

std::string KeyRing::read_file(const std::string& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.fd < 0) refuse(path, std::generic_category().message(errno) + "; make one with `openssl rand -hex 32`");
    check_owner_and_mode(file.fd, path);
    const std::string bytes = read_all(file.fd, path);
    try {
        static_cast<void>(parse(bytes));
    } catch (const KeyFileError& error) {
        refuse(path, error.what());
    }
    return bytes;
}

KeyRing KeyRing::from_file(const std::string& path) { return parse(read_file(path)); }

KeyRing KeyRing::parse(std::string_view bytes) {
    if (!bytes.empty() && bytes.back() == '\n') bytes.remove_suffix(1);
    KeyRing ring;
    if (!is_text(bytes)) {
        ring.keys_.push_back(Key{.id = {}, .secret = std::string(bytes)});
    } else {
        for (std::size_t begin = 0; begin <= bytes.size() && ring.keys_.size() <= max_keys;) {
            const std::size_t end = std::min(bytes.find('\n', begin), bytes.size());
            const std::string_view line = bytes.substr(begin, end - begin);
            refuse_what_is_no_key(line);
            if (!line.empty()) ring.keys_.push_back(key_of_line(line));
            begin = end + 1;
        }
    }
    if (ring.keys_.empty()) throw KeyFileError("it is empty; make one with `openssl rand -hex 32`");
    if (ring.keys_.size() > max_keys) throw KeyFileError("it has more than 16 lines; keep the keys that are in use");
    for (const Key& key : ring.keys_)
        if (key.secret.size() < min_secret_bytes)
            throw KeyFileError("a key has fewer than 32 bytes; make one with `openssl rand -hex 32`");
    return ring;
}

bool KeyRing::has_all_of(const KeyRing& other) const {
    return std::all_of(other.keys_.begin(), other.keys_.end(), [this](const Key& wanted) {
        return std::any_of(keys_.begin(), keys_.end(),
                           [&wanted](const Key& key) { return key.id == wanted.id && key.secret == wanted.secret; });
    });
}

std::vector<const Key*> KeyRing::candidates(std::string_view kid) const {
    std::vector<const Key*> named, unnamed, all;
    for (const Key& key : keys_) {
        all.push_back(&key);
        if (key.id.empty()) unnamed.push_back(&key);
        if (!kid.empty() && key.id == kid) named.push_back(&key);
    }
    if (kid.empty()) return all;
    return named.empty() ? unnamed : named;
}

}  // namespace larder::tools
