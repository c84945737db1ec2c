// Stores on disk: opened again, after a kill, beside what is not a store, on a disk that is full.
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>

#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;
namespace fs = std::filesystem;

namespace {

void change_much(const bucket& at, int seed) {
    auto b = at;
    for (int i = 0; i < 50; ++i) {
        REQUIRE(b.commit([&](transaction& tx) {
            const auto name = std::to_string((seed + i) % 20);
            tx.counter("c").add(i);
            tx.add_wins_set("a").add(name);
            tx.remove_wins_set("r").add(name);
            tx.map(name).last_writer<std::string>("l").set(std::string(100, 'x'));
            tx.map(name).counter("n").add(1);
            if (i % 7 == 0) tx.map(name).clear();
            if (i % 5 == 0) tx.remove_wins_set("r").remove(std::to_string(i));
            if (i % 4 == 0) tx.add_wins_set("a").remove(std::to_string(i));
        }));
    }
}

/// Runs a hidden test case of this program in a process of its own, with a directory to work in. Not merely
/// forked: RocksDB's threads do not survive that.
int run_apart(const char* test, const fs::path& directory) {
    const auto pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        (void)!std::freopen("/dev/null", "w", stdout);
        ::setenv("ANABRANCH_TEST_APART", directory.c_str(), 1);
        ::execl("/proc/self/exe", "test_store", test, nullptr);
        ::_exit(99);
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    return status;
}

/// Where run_apart() says; nothing where somebody ran the hidden test case by hand.
std::optional<fs::path> apart() {
    const auto* directory = std::getenv("ANABRANCH_TEST_APART");
    if (directory == nullptr) return std::nullopt;
    return directory;
}

errc open_error(const fs::path& path) {
    const auto s = store::open(path);
    return s ? errc{} : s.error().code;
}

void write_file(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }

}  // namespace

TEST_CASE("a store opened again is as it was") {
    test::temp_directory dir;
    auto world = std::make_shared<test::world>();
    auto o = test::options(world);
    o.write_behind_bytes = GENERATE(std::size_t{1}, std::size_t{20'000}, std::size_t{8} << 20);
    auto other = test::memory_store(world);
    replica_id id;
    hash128 digest{};
    frontier progress;
    timestamp last;
    {
        auto s = store::open(dir.path() / "new" / "store", o).value();
        id = s.id();
        test::share(other, {&s});
        auto b = s.bucket("b").value();
        REQUIRE(s.bucket(std::string_view("a\0b", 3)));
        change_much(other.bucket("b").value(), 3);
        change_much(b, 1);
        test::exchange(s, other);
        change_much(b, 2);
        digest = b.digest().value();
        progress = b.progress();
        REQUIRE(b.commit([&](transaction& tx) { last = tx.at(); }));
    }
    world->now_ms -= 100'000;  // the clock was set back meanwhile
    for (int i = 0; i < 2; ++i) {
        auto s = store::open(dir.path() / "new" / "store", o).value();
        CHECK(s.id() == id);
        CHECK(s.buckets() == std::vector<std::string>{std::string("a\0b", 3), "b"});
        auto b = s.bucket("b").value();
        CHECK(b.digest().value() == digest);
        CHECK(b.progress() == progress);
        CHECK(b.durable_progress() == progress);
        CHECK(b.read([](const map_view& m) { return m.counter("c").value(); }).value() == 3 * 1225);
        REQUIRE(b.commit([&](transaction& tx) { CHECK(tx.at().wall() >= last.wall()); }));
    }
}

TEST_CASE("a process that is killed", "[.][killed]") {
    const auto dir = apart();
    if (!dir) return;
    for (const auto* size : {"1", "20000", "8388608"}) {
        auto o = test::options(std::make_shared<test::world>());
        o.write_behind_bytes = std::stoul(size);
        auto s = store::open(*dir / size, o).value();
        auto b = s.create_bucket("b").value();
        change_much(b, 1);
        if (o.write_behind_bytes == 20'000) (void)b.snapshot();
        for (int i = 0; i < 10; ++i) REQUIRE(b.commit([](transaction& tx) { tx.counter("c").add(1); }));
        static std::vector<store> open;  // until the end
        open.push_back(s);
    }
    ::kill(::getpid(), SIGKILL);
}

TEST_CASE("after SIGKILL everything that was committed is there") {
    test::temp_directory dir;
    const auto status = run_apart("[killed]", dir.path());
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);

    // The same without a kill, in memory, by the same clock and identity.
    auto same = std::make_shared<test::world>();
    auto expected = test::memory_store(same);
    change_much(expected.create_bucket("b").value(), 1);
    for (int i = 0; i < 10; ++i) (void)expected.bucket("b").value().commit([](transaction& tx) { tx.counter("c").add(1); });

    for (const auto* size : {"1", "20000", "8388608"}) {
        auto s = store::open(dir.path() / size).value();
        auto b = s.bucket("b").value();
        CHECK(b.progress().front().sequence == 61);
        CHECK(b.progress() == expected.bucket("b").value().progress());
        CHECK(b.digest().value() == expected.bucket("b").value().digest().value());
        CHECK(b.durable_progress() == b.progress());
    }
}

TEST_CASE("another process", "[.][another]") {
    if (const auto dir = apart()) CHECK(open_error(*dir) == errc::locked);
}

TEST_CASE("a store that is open is locked, in this process and in another") {
    test::temp_directory dir;
    const auto path = dir.path() / "store";
    {
        auto s = store::open(path).value();
        CHECK(open_error(path) == errc::locked);
        const auto status = run_apart("[another]", path);
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
    }
    CHECK(open_error(path) == errc{});
}

TEST_CASE("a directory that is not a store is left alone") {
    test::temp_directory dir;
    fs::create_directory(dir.path() / "photos");
    write_file(dir.path() / "photos" / "cat.jpg", "meow");
    CHECK(open_error(dir.path() / "photos") == errc::foreign_directory);
    CHECK(fs::file_size(dir.path() / "photos" / "cat.jpg") == 4);
    CHECK(std::distance(fs::directory_iterator(dir.path() / "photos"), {}) == 1);
    write_file(dir.path() / "file", "text");
    CHECK(open_error(dir.path() / "file") == errc::foreign_directory);
    CHECK(store::open(dir.path() / "photos").error().message.find("photos") != std::string::npos);
    fs::create_directory(dir.path() / "empty");
    CHECK(open_error(dir.path() / "empty") == errc{});
}

TEST_CASE("a store of a newer version is not touched") {
    test::temp_directory dir;
    const auto path = dir.path() / "store";
    REQUIRE(open_error(path) == errc{});
    REQUIRE(fs::exists(path / "ANABRANCH"));
    write_file(path / "ANABRANCH", "anabranch storage 2\n");
    CHECK(open_error(path) == errc::newer_format);
    write_file(path / "ANABRANCH", "anabranch storage 1\n");
    CHECK(open_error(path) == errc{});
}

constexpr int no_right = 50;

TEST_CASE("a process with a small disk", "[.][small-disk]") {
    const auto dir = apart();
    if (!dir) return;
    // In a mount namespace of its own, so that nothing of it outlives the process.
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ::_exit(no_right);
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(no_right);
    if (::mount("tmpfs", dir->c_str(), "tmpfs", 0, "size=128m") != 0) ::_exit(no_right);
    {
        std::ofstream ballast(*dir / "ballast", std::ios::binary);
        ballast << std::string(64 << 20, 'b');
    }
    auto s = store::open(*dir / "store");
    REQUIRE(s.has_value());
    auto b = s->create_bucket("b").value();
    std::int64_t committed = 0;
    std::optional<error> failed;
    std::mt19937 random(1);
    std::string noise(100'000, '\0');  // does not compress
    for (int i = 0; i < 1'000 && !failed; ++i) {
        std::ranges::generate(noise, [&] { return static_cast<char>(random()); });
        auto done = b.commit([&](transaction& tx) {
            tx.counter("c").add(1);
            tx.last_writer<std::string>("l" + std::to_string(i)).set(noise);
        });
        if (done) {
            ++committed;
        } else {
            failed = done.error();
        }
    }
    REQUIRE(failed);
    CHECK(failed->code == errc::storage_full);
    CHECK(committed > 10);
    {
        // RocksDB has room for its tables, and what their log gives back is not enough to write again.
        constexpr std::uintmax_t left = 20 << 20;
        std::ofstream filler(*dir / "filler", std::ios::binary);
        filler << std::string(fs::space(*dir).available - left, 'f');
    }
    const auto read = [&] { return b.read([](const map_view& m) { return m.counter("c").value(); }); };
    CHECK(read() == committed);
    CHECK(!b.commit([&](transaction& tx) { tx.last_writer<std::string>("big").set(std::string(4 << 20, 'z')); }));
    CHECK(read() == committed);
    fs::remove(*dir / "ballast");
    fs::remove(*dir / "filler");
    CHECK(b.commit([](transaction& tx) { tx.counter("c").add(1); }, durability::disk).has_value());
    CHECK(read() == committed + 1);
    CHECK(b.progress().front().sequence == static_cast<std::uint64_t>(committed + 2));
    b = bucket(nullptr);
    s = fail(errc::closed, "");
    auto again = store::open(*dir / "store");
    REQUIRE(again.has_value());
    CHECK(again->bucket("b").value().read([](const map_view& m) { return m.counter("c").value(); }) == committed + 1);
}

TEST_CASE("a disk that fills up: writes fail, reads go on, and once there is room writes do, too") {
    test::temp_directory dir;
    const auto status = run_apart("[small-disk]", dir.path());
    REQUIRE(WIFEXITED(status));
    if (WEXITSTATUS(status) == no_right) {
        WARN("no right to mount a small disk here: left out");
        return;
    }
    CHECK(WEXITSTATUS(status) == 0);
}
