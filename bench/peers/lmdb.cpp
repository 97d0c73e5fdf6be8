// LMDB on tmpfs: one read transaction of the process, renewed for each lookup and reset after it, as a program has to
// that wants to see what others have written since.
#include <fmt/format.h>
#include <lmdb.h>

#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include "bench/peers/peer.hpp"
#include "bench/scoped_cache.hpp"

namespace larder::bench {
namespace {

void check(int result) {
    if (result != MDB_SUCCESS) throw std::runtime_error(std::string("lmdb: ") + ::mdb_strerror(result));
}

MDB_val words(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }

class Lmdb : public Peer {
public:
    Lmdb(std::size_t value_bytes, std::size_t entries, bool copies)
        : copies_(copies), buffer_(value_bytes), directory_(make_directory()) {
        check(::mdb_env_create(&environment_));
        check(::mdb_env_set_mapsize(environment_, 2 * entries * (value_bytes + 4096) + (64 << 20)));
        check(::mdb_env_open(environment_, directory_.c_str(), MDB_NOSYNC | MDB_WRITEMAP | MDB_NOTLS, 0600));
        MDB_txn* writing = nullptr;
        check(::mdb_txn_begin(environment_, nullptr, 0, &writing));
        check(::mdb_dbi_open(writing, nullptr, 0, &database_));
        check(::mdb_txn_commit(writing));
        check(::mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &reading_));
        ::mdb_txn_reset(reading_);
    }
    ~Lmdb() override {
        ::mdb_txn_abort(reading_);
        ::mdb_env_close(environment_);
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }

    std::string name() const override { return copies_ ? "LMDB, copied" : "LMDB, in place"; }
    std::string version() const override { return ::mdb_version(nullptr, nullptr, nullptr); }
    bool is_server() const override { return false; }
    bool copies() const override { return copies_; }

    void put(std::string_view key, std::string_view value) override {
        MDB_txn* writing = nullptr;
        check(::mdb_txn_begin(environment_, nullptr, 0, &writing));
        MDB_val name = words(key), bytes = words(value);
        check(::mdb_put(writing, database_, &name, &bytes, 0));
        check(::mdb_txn_commit(writing));
    }
    std::size_t get(std::string_view key, Marks& marks) override {
        check(::mdb_txn_renew(reading_));
        MDB_val name = words(key), found{};
        const int result = ::mdb_get(reading_, database_, &name, &found);
        std::size_t size = 0;
        if (result == MDB_SUCCESS) size = take({static_cast<const char*>(found.mv_data), found.mv_size}, marks);
        ::mdb_txn_reset(reading_);
        if (result != MDB_NOTFOUND) check(result);
        return size;
    }
    std::string value(std::string_view key) override {
        check(::mdb_txn_renew(reading_));
        MDB_val name = words(key), found{};
        std::string bytes;
        if (::mdb_get(reading_, database_, &name, &found) == MDB_SUCCESS)
            bytes.assign(static_cast<const char*>(found.mv_data), found.mv_size);
        ::mdb_txn_reset(reading_);
        return bytes;
    }

private:
    std::size_t take(std::string_view value, Marks& marks) {
        if (copies_) return copy_out(value, buffer_, marks);
        benchmark::DoNotOptimize(value.data());
        return value.size();
    }

    const bool copies_;
    std::vector<char> buffer_;
    std::string directory_;
    MDB_env* environment_ = nullptr;
    MDB_dbi database_ = 0;
    MDB_txn* reading_ = nullptr;
};

}  // namespace

std::unique_ptr<Peer> make_lmdb(std::size_t value_bytes, std::size_t entries, bool copies) {
    return std::make_unique<Lmdb>(value_bytes, entries, copies);
}

}  // namespace larder::bench
