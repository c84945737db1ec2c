// What of RocksDB's writes survives kills, torn logs and failing disks.
#include <fstream>
#include <iterator>
#include <optional>

#include "storage/child_process.hpp"
#include "storage/engines.hpp"
#include "storage/failing_calls.hpp"
#include "storage/series.hpp"

using namespace anabranch;
using namespace anabranch::test;

namespace fs = std::filesystem;

namespace {

/// RocksDB's log with the greatest number: the one that was written last.
fs::path newest_log(const fs::path& directory) {
    fs::path newest;
    for (const auto& entry : fs::directory_iterator(directory)) {
        if (entry.path().extension() == ".log") newest = std::max(newest, entry.path());
    }
    REQUIRE_FALSE(newest.empty());
    return newest;
}

/// Without the zeros that a mapped log ends with.
std::size_t size_of_content(const fs::path& log) {
    std::ifstream in(log, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    return bytes.find_last_not_of('\0') + 1;
}

}  // namespace

TEST_CASE("[child] writes until it is killed", "[.write-until-killed]") {
    const auto engine = ok(storage::open_rocksdb(child_process::directory()));
    for (int i = 0;; ++i) {
        ok(engine->write(numbered(i, 2000)));
        child_process::send_byte();
    }
}

TEST_CASE("every batch that was written survives the death of the process", "[storage]") {
    const scratch_directory scratch;
    child_process child("[.write-until-killed]", scratch.store());
    REQUIRE(child.wait_for(5000));  // 20 MB: while memtables are flushed, too
    const int written = static_cast<int>(child.kill());
    for (int opened = 0; opened < 2; ++opened) {
        const auto engine = ok(storage::open_rocksdb(scratch.store()));
        const int found = count_prefix(*engine);
        CHECK(found >= written);
        CHECK(found <= written + 1);  // applied, but not yet reported
    }
}

TEST_CASE("of a torn log a prefix of the batches survives", "[storage]") {
    const scratch_directory scratch;
    // Open all the time: closed, nothing would be left in the log.
    const auto writer = ok(storage::open_rocksdb(scratch.store()));
    for (int i = 0; i < 100; ++i) ok(writer->write(numbered(i, 500)));
    ok(writer->sync());
    const fs::path log = newest_log(scratch.store());
    const auto size = size_of_content(log);
    const fs::path damaged = scratch.path() / "damaged";
    const auto copy = [&] {
        fs::remove_all(damaged);
        fs::copy(scratch.store(), damaged, fs::copy_options::recursive);
        return damaged / log.filename();
    };
    const auto reopen_and_count = [&] {
        const auto engine = ok(storage::open_rocksdb(damaged));
        const int found = count_prefix(*engine);
        ok(engine->write(numbered(found, 10)));  // and it goes on
        CHECK(count_prefix(*engine) == found + 1);
        return found;
    };

    copy();
    CHECK(reopen_and_count() == 100);
    int before = 0;
    for (const unsigned long part : {0, 1, 300, 500, 999}) {
        fs::resize_file(copy(), size * part / 1000);
        const int found = reopen_and_count();
        CHECK(found >= before);
        CHECK(found <= static_cast<int>(part / 10));
        CHECK(found + 2 >= static_cast<int>(part / 10));
        before = found;
    }
    // A page that never reached the disk: it reads as zeros, and those behind it are there.
    std::fstream file(copy(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(size / 2));
    file << std::string(4096, '\0');
    file.close();
    const int found = reopen_and_count();
    CHECK(found >= 48);
    CHECK(found < 52);
}

TEST_CASE("after a log write met a full disk, reads go on and opening anew makes it writable", "[storage]") {
    // Mapped logs, and those of a file system that takes no space in advance.
    const auto how = GENERATE(failing_calls::call::allocate, failing_calls::call::write_half, failing_calls::call::write_nothing);
    const bool is_mapped = how == failing_calls::call::allocate;
    const auto open = [&](const fs::path& directory) {
        std::optional<failing_calls> plain;
        if (!is_mapped) plain.emplace(failing_calls::call::allocate_ever, ".log");
        return ok(storage::open_rocksdb(directory));
    };
    // More than what a mapped log has taken of the disk.
    const std::size_t size = is_mapped ? 200'000 : 100;
    // With empty memtables RocksDB would go on in the torn log.
    const int before = GENERATE(0, 10);
    const scratch_directory scratch;
    {
        const auto engine = open(scratch.store());
        for (int i = 0; i < before; ++i) ok(engine->write(numbered(i, 100)));
        {
            const failing_calls full(how, ".log");
            CHECK(code_of(engine->write(numbered(before, size))) == errc::storage_full);
        }
        CHECK(count_prefix(*engine) == before);
        CHECK(code_of(engine->write(numbered(before, size))) == errc::storage_full);
        CHECK(code_of(engine->sync()) == errc::storage_full);
        CHECK(count_prefix(*engine) == before);
    }
    const auto engine = open(scratch.store());
    CHECK(count_prefix(*engine) == before);
    ok(engine->write(numbered(before, size)));
    ok(engine->sync());
    CHECK(count_prefix(*engine) == before + 1);
}

TEST_CASE("after a failed fsync nothing is called durable until it is opened anew", "[storage]") {
    const scratch_directory scratch;
    {
        const auto engine = ok(storage::open_rocksdb(scratch.store()));
        ok(engine->write(numbered(0, 100)));
        ok(engine->sync());
        ok(engine->write(numbered(1, 100)));
        {
            const failing_calls broken(failing_calls::call::sync, ".log");
            CHECK(code_of(engine->sync()) == errc::storage_failure);
        }
        // The kernel reports a lost page once; a second fsync would succeed without having written it.
        CHECK(code_of(engine->sync()) == errc::storage_failure);
        CHECK(code_of(engine->write(numbered(2, 100))) == errc::storage_failure);
        CHECK(count_prefix(*engine) == 2);
    }
    const auto engine = ok(storage::open_rocksdb(scratch.store()));
    CHECK(count_prefix(*engine) == 2);
    ok(engine->write(numbered(2, 100)));
    ok(engine->sync());
}

TEST_CASE("after a failed fsync in a flush, too", "[storage]") {
    const scratch_directory scratch;
    int written = 0;
    {
        const auto engine = ok(storage::open_rocksdb(scratch.store()));
        {
            const failing_calls broken(failing_calls::call::sync, ".log");
            // Memtables fill up and RocksDB flushes them, until it waits for the flush that cannot be.
            while (written < 1000 && engine->write(numbered(written, 100'000))) ++written;
        }
        REQUIRE(written < 1000);
        CHECK(code_of(engine->sync()) == errc::storage_failure);
        CHECK(code_of(engine->write(numbered(written, 100))) == errc::storage_failure);
        CHECK(count_prefix(*engine) == written);
    }
    const auto engine = ok(storage::open_rocksdb(scratch.store()));
    CHECK(count_prefix(*engine) == written);
    ok(engine->write(numbered(written, 100)));
    ok(engine->sync());
}
