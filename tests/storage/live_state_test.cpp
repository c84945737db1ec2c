// Disk stays proportional to live state, however much has happened to it. benchmarks/disk does the same at full length.
#include <anabranch/session.hpp>
#include <anabranch/store.hpp>
#include <rocksdb/db.h>
#include <rocksdb/utilities/options_util.h>

#include <random>

#include "scratch_directory.hpp"
#include "support/catch.hpp"

using namespace anabranch;

namespace {

constexpr std::uint32_t keys = 1'000;
constexpr std::uint64_t log_limit = 8 * 1024 * 1024;
constexpr std::uint64_t write_buffer = 2 * 1024 * 1024;  // of the rows, as the engine has it

/// Two members that meet in one session again and again.
class members {
  public:
    explicit members(const std::filesystem::path& directory) : one_(open(directory / "one")), other_(open(directory / "other")) {
        a = one_.create_bucket("b").value();
        REQUIRE(one_.sync());
        b = other_.bucket("b").value();
        session_options options;
        options.timeout = std::chrono::hours{1};
        first_.emplace(one_, options, now_);
        second_.emplace(other_, options, now_);
        meet();
        REQUIRE(b->is_member());
    }

    void meet() {
        now_ += std::chrono::seconds{1};  // adverts are due
        first_->poll(now_);
        second_->poll(now_);
        while (pass(*first_, one_, *second_) | pass(*second_, other_, *first_)) continue;
        REQUIRE(first_->in_sync());
        REQUIRE(second_->in_sync());
    }
    /// Until nothing is left to be cut or forgotten.
    void settle() {
        for (int round = 0; round < 4; ++round) {
            meet();
            REQUIRE(one_.sync());
            REQUIRE(other_.sync());
        }
        REQUIRE(a->digest().value() == b->digest().value());
    }

    std::optional<bucket> a;
    std::optional<bucket> b;

  private:
    static store open(const std::filesystem::path& directory) {
        std::filesystem::create_directories(directory.parent_path());
        return store::open(directory, {.log_retain_bytes = 0, .log_limit_bytes = log_limit}).value();
    }
    bool pass(session& from, store& local, session& to) const {
        bool is_moving = false;
        while (from.wants_sync()) {
            REQUIRE(local.sync());
            from.poll(now_);
            is_moving = true;
        }
        const auto bytes = from.take_output();
        if (!bytes.empty()) to.receive(bytes, now_);
        return is_moving || !bytes.empty();
    }

    steady_time now_{0};
    store one_;
    store other_;
    std::optional<session> first_;
    std::optional<session> second_;
};

/// Nothing of it makes the state larger for ever. Ten long values are replaced often enough that the log of them all would
/// be longer than what a directory may hold.
void change(const map_ref& root, std::mt19937& random) {
    if (random() % 8 == 0) {
        return root.last_writer<std::string>("long " + std::to_string(random() % 10)).set(std::string(1'500, 'x'));
    }
    const auto key = root.map(std::to_string(random() % keys));
    const auto element = std::to_string(random() % 4);
    switch (random() % 16) {
        case 0: return key.counter("n").reset();
        case 1: return key.last_writer<std::string>("r").clear();
        case 2: case 3: case 4: return key.last_writer<std::string>("r").set(std::to_string(random()));
        case 5: return key.add_wins_set("a").add(element);
        case 6: return key.add_wins_set("a").remove(element);
        case 7: return key.remove_wins_set("w").add(element);
        case 8: return key.remove_wins_set("w").remove(element);
        case 9: return key.disable_wins_flag("f").enable();
        case 10: return key.disable_wins_flag("f").disable();
        default: return key.counter("n").add(1);
    }
}

/// The same values, by who has nothing else.
void copy(const map_view& from, const map_ref& to) {
    if (const auto n = from.counter("n").value().value(); n != 0) to.counter("n").add(n);
    if (const auto r = from.last_writer<std::string>("r").get().value()) to.last_writer<std::string>("r").set(*r);
    const auto a = from.add_wins_set("a").elements().value();
    for (const auto& element : a) to.add_wins_set("a").add(element);
    const auto w = from.remove_wins_set("w").elements().value();
    for (const auto& element : w) to.remove_wins_set("w").add(element);
    if (from.disable_wins_flag("f").value().value()) to.disable_wins_flag("f").enable();
}

std::uint64_t bytes_in(const std::filesystem::path& directory) {
    std::uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        std::error_code gone;
        if (const auto size = entry.file_size(gone); !gone) bytes += size;
    }
    return bytes;
}

/// Of a closed store, written to tables and compacted by bare RocksDB.
std::uint64_t compacted(const std::filesystem::path& directory) {
    rocksdb::DBOptions options;
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    REQUIRE(rocksdb::LoadLatestOptions({}, directory.string(), &options, &families).ok());
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* opened = nullptr;
    REQUIRE(rocksdb::DB::Open(options, directory.string(), families, &handles, &opened).ok());
    const std::unique_ptr<rocksdb::DB> db(opened);
    rocksdb::CompactRangeOptions all;
    all.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    for (auto* handle : handles) {
        REQUIRE(db->Flush({}, handle).ok());
        REQUIRE(db->CompactRange(all, handle, nullptr, nullptr).ok());
        const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator({}, handle));
        std::size_t leftovers = 0;  // docs/disk-layout.md: a mark stands in its bucket's number with the highest bit set
        for (at->SeekToFirst(); at->Valid(); at->Next()) {
            leftovers += handle->GetName() == "log" || (handle->GetName() == "rows" && (at->key()[0] & 0x80) != 0);
        }
        CHECK(leftovers == 0);
    }
    for (auto* handle : handles) REQUIRE(db->DestroyColumnFamilyHandle(handle).ok());
    REQUIRE(db->Close().ok());
    return bytes_in(directory);
}

}  // namespace

TEST_CASE("after many operations a directory holds its live state, and meanwhile little more") {
    const test::scratch_directory scratch;
    std::uint64_t most = 0;
    {
        members used(scratch.path() / "used");
        std::mt19937 random(1);
        for (int i = 0; i < 200'000; ++i) {
            auto& at = i / 4'000 % 2 == 0 ? used.a : used.b;
            REQUIRE(at->commit([&](transaction& tx) { change(tx, random); }));
            if (i % 4'000 != 3'999) continue;
            used.meet();
            most = std::max({most, bytes_in(scratch.path() / "used" / "one"), bytes_in(scratch.path() / "used" / "other")});
        }
        used.settle();
        members fresh(scratch.path() / "fresh");
        const auto now = used.a->snapshot().value();
        for (std::uint32_t i = 0; i < keys; ++i) {
            const auto key = std::to_string(i);
            REQUIRE((i % 2 == 0 ? fresh.a : fresh.b)->commit([&](transaction& tx) { copy(now.map(key), tx.map(key)); }));
        }
        for (int i = 0; i < 10; ++i) {
            REQUIRE(fresh.a->commit([&](transaction& tx) {
                tx.last_writer<std::string>("long " + std::to_string(i)).set(std::string(1'500, 'x'));
            }));
        }
        fresh.settle();
    }
    const auto of_copy = compacted(scratch.path() / "fresh" / "one");
    CHECK(most <= 2 * of_copy + log_limit + 2 * write_buffer);
    CHECK(compacted(scratch.path() / "used" / "one") <= 2 * of_copy);
    CHECK(compacted(scratch.path() / "used" / "other") <= 2 * of_copy);
}
