// A disk that is really full.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <random>

#include "storage/engines.hpp"

using namespace anabranch;
using namespace anabranch::test;

namespace fs = std::filesystem;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

/// A file system in memory, if this process may mount one.
class small_disk {
  public:
    explicit small_disk(const std::string& size) {
        mounted_ = ::mount("tmpfs", scratch_.path().c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
    }
    small_disk(const small_disk&) = delete;
    small_disk& operator=(const small_disk&) = delete;
    ~small_disk() {
        if (mounted_) ::umount2(scratch_.path().c_str(), MNT_DETACH);
    }

    bool mounted() const { return mounted_; }
    fs::path store() const { return scratch_.store(); }
    std::size_t free() const { return fs::space(scratch_.path()).available; }

    /// Takes space until only `left` bytes are free.
    void fill(std::size_t left) {
        const int file = ::open((scratch_.path() / "filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        REQUIRE(file >= 0);
        REQUIRE(::posix_fallocate(file, 0, static_cast<off_t>(free() - left)) == 0);
        ::close(file);
    }
    void clear() { fs::remove(scratch_.path() / "filler"); }

  private:
    scratch_directory scratch_;
    bool mounted_ = false;
};

bool skip(const small_disk& disk) {
    if (disk.mounted()) return false;
    WARN("skipped: this process may not mount a file system");
    return true;
}

}  // namespace

TEST_CASE("a full disk refuses writes, keeps reads, and takes writes again when there is space",
          "[storage]") {
    small_disk disk("160m");
    if (skip(disk)) return;
    auto engine = ok(storage::open_rocksdb(disk.store()));
    std::mt19937 random(1);
    std::string noise(256 * 1024, '\0');  // does not compress
    for (char& c : noise) c = static_cast<char>(random());
    const auto row = [](int i) { return "row" + std::to_string(1000 + i); };
    int written = 0;
    const auto write_one = [&] {
        noise.replace(0, 4, std::to_string(1000 + written));
        batch b;
        b.put(space::rows, row(written), noise);
        b.put(space::meta, "written", std::to_string(written + 1));
        auto done = engine->write(b);
        if (done) ++written;
        return done;
    };
    const auto write_until_full = [&] {
        for (int i = 0; i < 1000; ++i) {
            if (const auto done = write_one(); !done) return done.error().code;
        }
        return errc::cancelled;  // it never was full
    };
    const auto check = [&] {
        CHECK(get(*engine, space::meta, "written") == std::to_string(written));
        CHECK(everything(*engine, space::rows).size() == static_cast<std::size_t>(written));
        CHECK(get(*engine, space::rows, row(written - 1))->substr(0, 4) == std::to_string(999 + written));
        CHECK_FALSE(get(*engine, space::rows, row(written)));
    };

    disk.fill(40 * mebibyte);
    CHECK(write_until_full() == errc::storage_full);
    REQUIRE(written > 0);
    check();
    CHECK(code_of(write_one()) == errc::storage_full);
    CHECK(disk.free() > 16 * mebibyte);  // left for flushes
    ok(engine->sync());

    disk.clear();
    for (int i = 0; i < 100; ++i) ok(write_one());
    check();
    ok(engine->sync());

    disk.fill(8 * mebibyte);
    CHECK(write_until_full() == errc::storage_full);
    check();
    engine.reset();
    disk.clear();
    engine = ok(storage::open_rocksdb(disk.store()));
    check();
    ok(write_one());
}

TEST_CASE("a store cannot be created on a full disk, and can when there is space", "[storage]") {
    small_disk disk("64m");
    if (skip(disk)) return;
    for (const std::size_t left : {std::size_t{0}, std::size_t{4096}}) {
        disk.fill(left);
        CHECK(code_of(storage::open_rocksdb(disk.store())) == errc::storage_full);
        disk.clear();
    }
    put(*ok(storage::open_rocksdb(disk.store())), space::rows, "k", "v");
}
