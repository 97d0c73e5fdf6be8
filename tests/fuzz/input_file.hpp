// A file whose content is a fuzzer's input, written anew in each run.
#pragma once

#include <zlib.h>

#include <fstream>
#include <string>
#include <string_view>

#include "tests/fuzz/fuzz.hpp"
#include "tests/support/scoped_directory.hpp"

namespace larder::fuzz {

class InputFile {
public:
    explicit InputFile(const std::string& name) : path_(directory_.file(name)) {}
    const std::string& path() const { return path_; }

    void write(std::string_view content, bool compressed) const {
        if (!compressed) {
            std::ofstream(path_, std::ios::binary) << content;
            return;
        }
        const gzFile file = ::gzopen(path_.c_str(), "wb1");
        require(file != nullptr, "a file can be written");
        ::gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
        ::gzclose(file);
    }

private:
    const test::ScopedDirectory directory_{scratch_parent()};
    const std::string path_;
};

}  // namespace larder::fuzz
