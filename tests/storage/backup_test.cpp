// Backups of the RocksDB engine: whole while writes go on, and told from what is not a backup.
#include <atomic>
#include <fstream>
#include <thread>

#include "storage/child_process.hpp"
#include "storage/engines.hpp"
#include "storage/failing_calls.hpp"
#include "storage/series.hpp"

using namespace anabranch;
using namespace anabranch::test;

namespace fs = std::filesystem;

namespace {

batch mark() {
    batch b;
    b.put(space::meta, "restored", {});
    return b;
}

std::unique_ptr<storage::engine> restored(const fs::path& backup, const fs::path& directory) {
    ok(storage::restore_rocksdb(backup, directory, mark()));
    auto engine = ok(storage::open_rocksdb(directory));
    CHECK(get(*engine, space::meta, "restored") == "");
    return engine;
}

/// Of the store there, when it held so many batches and one more.
fs::path backup_of(const fs::path& store, int last) { return store.string() + "-" + name(last); }

void write_file(const fs::path& path, std::string_view text) { std::ofstream(path, std::ios::binary) << text; }

}  // namespace

TEST_CASE("a backup holds a prefix of what is written meanwhile, with all that was before", "[storage]") {
    const scratch_directory scratch;
    const auto engine = ok(storage::open_rocksdb(scratch.store()));
    std::atomic<int> written = 0;
    std::atomic<bool> has_failed = false;
    // Small and large, so that records end everywhere in the log. Only one thread may check anything.
    std::jthread writer([&](const std::stop_token& stop) {
        for (int i = 0; !stop.stop_requested() && !has_failed; ++i) {
            has_failed = !engine->write(numbered(i, i % 100 == 0 ? 40'000 : 100));
            if (!has_failed) written = i + 1;
        }
    });
    std::vector<std::pair<int, int>> counts;  // before and after each
    for (int i = 0; i < 20; ++i) {
        const int before = written;
        while (written < before + 50 && !has_failed) std::this_thread::yield();
        counts.emplace_back(written, 0);
        ok(engine->backup(scratch.path() / "deep" / name(i)));
        counts.back().second = written + 1;
    }
    writer.request_stop();
    writer.join();
    CHECK_FALSE(has_failed);
    for (int i = 0; i < 20; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const auto copy = restored(scratch.path() / "deep" / name(i), scratch.path() / ("r" + name(i)));
        const int found = count_prefix(*copy);
        CHECK(found >= counts[at].first);
        CHECK(found <= counts[at].second);
        ok(copy->write(numbered(found, 10)));  // and it goes on
    }
    CHECK(count_prefix(*engine) == written);
}

TEST_CASE("a backup stays as it is, whatever becomes of the store and of what is restored from it", "[storage]") {
    const scratch_directory scratch;
    const auto backup = scratch.path() / "backup";
    auto engine = ok(storage::open_rocksdb(scratch.store()));
    ok(engine->write(numbered(0, 10)));
    ok(engine->backup(backup / ""));
    for (int i = 1; i < 5000; ++i) ok(engine->write(numbered(i, 1000)));
    engine.reset();
    fs::remove_all(scratch.store());
    for (const auto* to : {"one", "other"}) {
        const auto copy = restored(backup, scratch.path() / to);
        CHECK(count_prefix(*copy) == 1);
        for (int i = 1; i < 100; ++i) ok(copy->write(numbered(i, 1000)));
    }
}

TEST_CASE("a backup is made where nothing is, and of what is in files", "[storage]") {
    const scratch_directory scratch;
    const auto engine = ok(storage::open_rocksdb(scratch.store()));
    fs::create_directory(scratch.path() / "there");
    write_file(scratch.path() / "file", "text");
    CHECK(code_of(engine->backup(scratch.path() / "there")) == errc::invalid_argument);
    CHECK(code_of(engine->backup(scratch.path() / "file")) == errc::invalid_argument);
    CHECK(code_of(engine->backup(scratch.path() / "file" / "below")) == errc::foreign_directory);
    CHECK(code_of(storage::open_memory()->backup(scratch.path() / "new")) == errc::invalid_argument);
    CHECK_FALSE(fs::exists(scratch.path() / "new"));
    ok(engine->write(numbered(0, 10)));
}

TEST_CASE("only a finished backup is restored, and only to where nothing is", "[storage]") {
    const scratch_directory scratch;
    const auto backup = scratch.path() / "backup";
    const auto to = scratch.path() / "to";
    {
        const auto engine = ok(storage::open_rocksdb(scratch.store()));
        ok(engine->write(numbered(0, 10)));
        ok(engine->backup(backup));
        CHECK(code_of(storage::restore_rocksdb(scratch.store(), to, {})) == errc::foreign_directory);
    }
    const auto opened = storage::open_rocksdb(backup);
    CHECK(code_of(opened) == errc::foreign_directory);
    CHECK(opened.error().message.find("is a backup") != std::string::npos);
    CHECK(code_of(storage::restore_rocksdb(scratch.path() / "nowhere", to, {})) == errc::foreign_directory);
    CHECK(code_of(storage::restore_rocksdb(backup, scratch.store(), {})) == errc::invalid_argument);
    CHECK(count_prefix(*ok(storage::open_rocksdb(scratch.store()))) == 1);
    write_file(backup / "ANABRANCH-BACKUP", "anabranch storage 2\n");
    CHECK(code_of(storage::restore_rocksdb(backup, to, {})) == errc::newer_format);
    write_file(backup / "ANABRANCH-BACKUP", "");
    CHECK(code_of(storage::restore_rocksdb(backup, to, {})) == errc::foreign_directory);
    fs::remove(backup / "ANABRANCH-BACKUP");
    CHECK(code_of(storage::restore_rocksdb(backup, to, {})) == errc::foreign_directory);
    CHECK_FALSE(fs::exists(to));
    write_file(backup / "ANABRANCH-BACKUP", "anabranch storage 1\n");
    fs::create_directories(to / "lost+found");  // a file system of its own
    CHECK(count_prefix(*restored(backup, to)) == 1);
}

TEST_CASE("what fails leaves nothing, and can be tried again", "[storage]") {
    const scratch_directory scratch;
    const auto backup = scratch.path() / "backup";
    const auto to = scratch.path() / "to";
    const auto engine = ok(storage::open_rocksdb(scratch.store()));
    ok(engine->write(numbered(0, 10)));
    for (const auto* file : {"CURRENT", "ANABRANCH-BACKUP"}) {
        const failing_calls full(failing_calls::call::write_nothing, file);
        CHECK(code_of(engine->backup(backup)) == errc::storage_full);
        CHECK_FALSE(fs::exists(backup));
    }
    ok(engine->backup(backup));
    {
        const failing_calls full(failing_calls::call::write_nothing, "ANABRANCH");
        CHECK(code_of(storage::restore_rocksdb(backup, to, mark())) == errc::storage_full);
        CHECK(fs::is_empty(to));
    }
    CHECK(count_prefix(*restored(backup, to)) == 1);
}

TEST_CASE("what is not on disk in the store is in no backup", "[storage]") {
    const scratch_directory scratch;
    const auto engine = ok(storage::open_rocksdb(scratch.store()));
    ok(engine->write(numbered(0, 10)));
    const failing_calls broken(failing_calls::call::sync, ".log");
    CHECK_FALSE(engine->backup(scratch.path() / "backup"));
    CHECK_FALSE(fs::exists(scratch.path() / "backup"));
}

TEST_CASE("[child] makes backups until it is killed", "[.backup-until-killed]") {
    const auto engine = ok(storage::open_rocksdb(child_process::directory()));
    for (int i = 0;; ++i) {
        ok(engine->write(numbered(i, 2000)));
        if (i % 10 != 9) continue;
        ok(engine->backup(backup_of(child_process::directory(), i)));
        child_process::send_byte();
    }
}

TEST_CASE("a backup that a crash cut short is not taken for one", "[storage]") {
    for (std::size_t killed_after = 1; killed_after < 12; ++killed_after) {
        const scratch_directory scratch;
        child_process child("[.backup-until-killed]", scratch.store());
        REQUIRE(child.wait_for(killed_after));
        const auto finished = static_cast<int>(child.kill());
        for (int i = 0; i <= finished + 1; ++i) {
            const int batches = 10 * i + 9;
            const auto done = storage::restore_rocksdb(backup_of(scratch.store(), batches), scratch.path() / ("r" + name(i)), mark());
            INFO(i << " of " << finished);
            CHECK((done || i >= finished));
            if (!done) {
                CHECK(done.error().code == errc::foreign_directory);
                continue;
            }
            CHECK(count_prefix(*ok(storage::open_rocksdb(scratch.path() / ("r" + name(i))))) == batches + 1);
        }
        CHECK(count_prefix(*ok(storage::open_rocksdb(scratch.store()))) >= 10 * finished);
    }
}

TEST_CASE("what a crash left of restoring is no store, and nothing is restored to it", "[storage]") {
    const scratch_directory scratch;
    const auto backup = scratch.path() / "backup";
    {
        const auto engine = ok(storage::open_rocksdb(scratch.store()));
        ok(engine->write(numbered(0, 10)));
        ok(engine->backup(backup));
    }
    ok(storage::restore_rocksdb(backup, scratch.path() / "to", mark()));
    fs::remove(scratch.path() / "to" / "ANABRANCH");  // it is the last that is written
    CHECK(code_of(storage::open_rocksdb(scratch.path() / "to")) == errc::foreign_directory);
    CHECK(code_of(storage::restore_rocksdb(backup, scratch.path() / "to", mark())) == errc::invalid_argument);
}
