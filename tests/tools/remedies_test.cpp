// What the program advises is safe to follow: it closes, changes and removes nothing that may be somebody else's.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"

using namespace larder;
using test::CommandResult;
using test::run_larder;
using test::ScopedDirectory;

namespace {

const std::string choose_another = "choose another directory with --directory or LARDER_DIR";

void touch(const std::string& path) {
    std::ofstream(path).close();
    ::chmod(path.c_str(), 0600);
}

std::string error_at(const std::string& directory) {
    const CommandResult result = run_larder("/", {"ls", "--directory", directory});
    CHECK(result.code == 3);
    CHECK(result.out.empty());
    return result.err;
}

/// The remedies of `larder doctor` for findings of that name.
std::string remedies(const std::string& directory, const std::string& name) {
    std::string all;
    const boost::json::value report = run_larder(directory, {"doctor", "--json"}).json();
    for (const auto& finding : report.at("findings").as_array())
        if (finding.at("name") == name.c_str()) all += finding.at("remedy").as_string().c_str();
    return all;
}

/// One cache named `default`, which nobody has open.
struct Shelf {
    ScopedDirectory directory;
    Shelf() { REQUIRE(put().code == 0); }
    CommandResult put() const { return run_larder(directory.path(), {"put", "k", "--size", "16MiB"}, "v"); }
    /// The file of that ending is a link to one beside it, which others may read.
    void replace_by_link(const std::string& ending) const {
        const std::string path = directory.file("default" + ending);
        std::filesystem::rename(path, directory.file("target"));
        std::filesystem::permissions(directory.file("target"), std::filesystem::perms(0644));
        std::filesystem::create_symlink("target", path);
    }
    void replace_by_directory(const std::string& ending) const {
        std::filesystem::remove(directory.file("default" + ending));
        std::filesystem::create_directory(directory.file("default" + ending));
    }
};

}  // namespace

TEST_CASE("a directory is to be closed to others only where nobody else's files are", "[cli][remedy]") {
    const ScopedDirectory parent;
    const std::string directory = parent.file("d");
    std::filesystem::create_directory(directory);
    ::chmod(directory.c_str(), 0755);
    CHECK_THAT(error_at(directory), Catch::EndsWith("run `chmod 700 " + directory + "`\n"));
    for (const char* name : {"a.seg", "a.lock", "a.sock", "a.listen"}) touch(directory + "/" + name);
    CHECK_THAT(error_at(directory), Catch::EndsWith("run `chmod 700 " + directory + "`\n"));
    std::filesystem::create_symlink("d", parent.file("link"));
    CHECK_THAT(error_at(parent.file("link")), Catch::Contains("chmod 700"));
    touch(directory + "/notes.txt");
    CHECK_THAT(error_at(directory), Catch::EndsWith(choose_another + "\n"));
    CHECK_THAT(error_at(parent.file("link")), Catch::EndsWith(choose_another + "\n"));
}

TEST_CASE("no system directory is to be closed to others, and no file to be removed", "[cli][remedy]") {
    const ScopedDirectory directory;
    for (const char* path : {"/", "/etc", "/usr/lib", "/var/tmp/..", "/etc/hostname"}) {
        INFO(path);
        CHECK_THAT(error_at(path), !Catch::Contains("chmod") && !Catch::Contains("remove"));
    }
    if (::geteuid() == 0) CHECK_THAT(error_at("/etc"), Catch::EndsWith(choose_another + "\n"));
    std::filesystem::create_symlink("/etc", directory.file("link"));
    CHECK_THAT(error_at(directory.file("link")), !Catch::Contains("chmod"));
    touch(directory.file("file"));
    CHECK_THAT(error_at(directory.file("file")), Catch::EndsWith("is not a directory; " + choose_another + "\n"));
}

TEST_CASE("the mode of what a link leads to is left alone", "[cli][remedy]") {
    const Shelf shelf;
    for (const char* const ending : {".seg", ".lock", ".listen"}) {
        INFO(ending);
        touch(shelf.directory.file("default.listen"));
        shelf.replace_by_link(ending);
        CHECK(remedies(shelf.directory.path(), "file_mode").empty());
        CHECK_THAT(
            run_larder(shelf.directory.path(), {"doctor"}).out,
            Catch::Contains("default" + std::string(ending) + " is a symbolic link") && !Catch::Contains("chmod"));
        std::filesystem::remove(shelf.directory.file("default" + std::string(ending)));
        std::filesystem::rename(shelf.directory.file("target"), shelf.directory.file("default" + std::string(ending)));
        std::filesystem::permissions(shelf.directory.file("default" + std::string(ending)),
                                     std::filesystem::perms(0600));
    }
}

TEST_CASE("a directory in a file's place is to be removed, not given the mode of a file", "[cli][remedy]") {
    for (const char* const ending : {".seg", ".lock"}) {
        INFO(ending);
        const Shelf shelf;
        shelf.replace_by_directory(ending);
        CHECK_THAT(run_larder(shelf.directory.path(), {"doctor"}).out,
                   Catch::Contains("is not a regular file") && !Catch::Contains("chmod"));
        const CommandResult put = shelf.put();
        CHECK(put.code == 3);
        CHECK_THAT(put.err, Catch::Contains("is not a regular file") && !Catch::Contains("chmod"));
    }
}

TEST_CASE("a lock file that is a link is called so", "[cli][remedy]") {
    const Shelf shelf;
    shelf.replace_by_link(".lock");
    const CommandResult put = shelf.put();
    CHECK(put.code == 3);
    CHECK_THAT(put.err, Catch::Contains("default.lock is a symbolic link; remove it"));
    touch(shelf.directory.file("default.listen"));
    shelf.replace_by_link(".listen");
    CHECK_THAT(run_larder(shelf.directory.path(), {"doctor"}).out,
               Catch::Contains("default.listen is a symbolic link"));
}

TEST_CASE("a read-only file system is named", "[cli][remedy]") {
    const ScopedDirectory directory;
    const std::string mounted =
        "unshare -r -m sh -c 'mount -t tmpfs -o size=32m,mode=700 none \"$LARDER_DIR\" || exit 77; "
        "echo v | \"$LARDER\" put k --size 16MiB || exit 78; rm \"$LARDER_DIR\"/default.lock; "
        "mount -o remount,ro \"$LARDER_DIR\" || exit 77; ";
    const CommandResult put = test::run_shell(directory.path(), mounted + "echo v | \"$LARDER\" put k'");
    if (put.code == 77 || put.err.find("unshare") != std::string::npos) {
        WARN("skipped: no namespace of its own to mount in");
        return;
    }
    CHECK(put.code == 3);
    CHECK_THAT(put.err, Catch::Contains("Read-only file system; mount its file system writable"));
    const CommandResult doctor = test::run_shell(directory.path(), mounted + "\"$LARDER\" doctor'");
    CHECK(doctor.code == 1);
    CHECK_THAT(doctor.out, Catch::Contains("read_only: "));
}
