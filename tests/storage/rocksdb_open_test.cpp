// Which directories the RocksDB engine opens, and how it refuses the others.
#include <rocksdb/db.h>

#include <fstream>
#include <set>

#include "storage/child_process.hpp"
#include "storage/engines.hpp"

using namespace anabranch;
using namespace anabranch::test;

namespace fs = std::filesystem;

namespace {

void write_file(const fs::path& path, std::string_view text) {
    std::ofstream(path, std::ios::binary) << text;
}

std::string read_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::set<std::string> names_in(const fs::path& directory) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory))
        names.insert(entry.path().filename().string());
    return names;
}

void create_store(const fs::path& directory) {
    put(*ok(storage::open_rocksdb(directory)), space::rows, "k", "v");
}

}  // namespace

TEST_CASE("a store holds what it held when it was closed", "[storage]") {
    const scratch_directory scratch;
    const fs::path directory = scratch.path() / "created" / "with" / "parents";
    {
        const auto engine = ok(storage::open_rocksdb(directory));
        for (const space where : all_spaces) {
            batch b;
            for (int i = 0; i < 100; ++i) b.put(where, std::to_string(i), "v");
            b.erase_range(where, "5", "6");
            ok(engine->write(b));
        }
    }
    CHECK(read_file(directory / "ANABRANCH") == "anabranch storage 1\n");
    for (int opened = 0; opened < 2; ++opened) {  // from the log, then from tables
        const auto engine = ok(storage::open_rocksdb(directory));
        for (const space where : all_spaces) {
            CHECK(everything(*engine, where).size() == 89);
            CHECK(get(*engine, where, "49") == "v");
            CHECK_FALSE(get(*engine, where, "50"));
            CHECK(ok(engine->last(where, "59"))->first == "49");
        }
    }
}

TEST_CASE("[child] finds the store locked", "[.expect-locked]") {
    CHECK(code_of(storage::open_rocksdb(child_process::directory())) == errc::locked);
}

TEST_CASE("a store is open once", "[storage]") {
    const scratch_directory scratch;
    auto engine = ok(storage::open_rocksdb(scratch.store()));
    const auto second = storage::open_rocksdb(scratch.store());
    CHECK(code_of(second) == errc::locked);
    CHECK(second.error().message.find(scratch.store().string()) != std::string::npos);
    CHECK(child_process("[.expect-locked]", scratch.store()).succeeded());
    put(*engine, space::rows, "k", "v");  // none the worse
    engine.reset();
    CHECK(get(*ok(storage::open_rocksdb(scratch.store())), space::rows, "k") == "v");
}

TEST_CASE("directories of others are refused and left alone", "[storage]") {
    const scratch_directory scratch;
    const fs::path directory = scratch.store();
    SECTION("with a file") {
        fs::create_directory(directory);
        write_file(directory / "holiday.jpg", "");
    }
    SECTION("with a subdirectory") { fs::create_directories(directory / "photos"); }
    SECTION("with a database of somebody else") {
        create_store(directory);
        fs::remove(directory / "ANABRANCH");
    }
    SECTION("with a file that is called like the marker") {
        fs::create_directory(directory);
        write_file(directory / "ANABRANCH", "a river that leaves the main stream and joins it again");
        write_file(directory / "holiday.jpg", "");
    }
    const auto before = names_in(directory);
    CHECK(code_of(storage::open_rocksdb(directory)) == errc::foreign_directory);
    CHECK(names_in(directory) == before);
}

TEST_CASE("a file is not a directory", "[storage]") {
    const scratch_directory scratch;
    write_file(scratch.path() / "file", "text");
    CHECK(code_of(storage::open_rocksdb(scratch.path() / "file")) == errc::foreign_directory);
    CHECK(code_of(storage::open_rocksdb(scratch.path() / "file" / "store")) == errc::foreign_directory);
    CHECK(read_file(scratch.path() / "file") == "text");
}

TEST_CASE("an empty directory becomes a store, also one with a file system of its own", "[storage]") {
    const scratch_directory scratch;
    fs::create_directories(scratch.store() / "lost+found");
    create_store(scratch.store());
    create_store(scratch.store());
}

TEST_CASE("a crash during creation does no harm", "[storage]") {
    const scratch_directory scratch;
    const std::string marker = GENERATE("", "anabr", "anabranch storage 1", "anabranch storage 1\n");
    fs::create_directory(scratch.store());
    write_file(scratch.store() / "ANABRANCH", marker);
    create_store(scratch.store());
    CHECK(read_file(scratch.store() / "ANABRANCH") == "anabranch storage 1\n");
    CHECK(get(*ok(storage::open_rocksdb(scratch.store())), space::rows, "k") == "v");
}

TEST_CASE("formats of later versions are refused", "[storage]") {
    const scratch_directory scratch;
    create_store(scratch.store());
    SECTION("of the store") { write_file(scratch.store() / "ANABRANCH", "anabranch storage 10\nand more\n"); }
    SECTION("of the database") {
        std::vector<rocksdb::ColumnFamilyDescriptor> families;
        for (const char* family : {"default", "rows", "log"}) {
            families.emplace_back(family, rocksdb::ColumnFamilyOptions());
        }
        std::vector<rocksdb::ColumnFamilyHandle*> handles;
        rocksdb::DB* db = nullptr;
        REQUIRE(rocksdb::DB::Open({}, scratch.store().string(), families, &handles, &db).ok());
        handles.emplace_back();
        REQUIRE(db->CreateColumnFamily({}, "of tomorrow", &handles.back()).ok());
        for (auto* handle : handles) REQUIRE(db->DestroyColumnFamilyHandle(handle).ok());
        delete db;
    }
    const auto refused = storage::open_rocksdb(scratch.store());
    CHECK(code_of(refused) == errc::newer_format);
    CHECK(refused.error().message.find(scratch.store().string()) != std::string::npos);
}

TEST_CASE("a damaged database is called corrupt, and not begun anew", "[storage]") {
    const scratch_directory scratch;
    create_store(scratch.store());
    SECTION("without its CURRENT file") {
        fs::remove(scratch.store() / "CURRENT");
        const auto before = names_in(scratch.store());
        CHECK(code_of(storage::open_rocksdb(scratch.store())) == errc::corrupt);
        CHECK(names_in(scratch.store()) == before);
    }
    SECTION("with a damaged table") {
        ok(storage::open_rocksdb(scratch.store()));  // moves the log into a table
        int tables = 0;
        for (const auto& entry : fs::directory_iterator(scratch.store())) {
            if (entry.path().extension() != ".sst") continue;
            write_file(entry.path(), std::string(fs::file_size(entry.path()), '\xa5'));
            ++tables;
        }
        REQUIRE(tables == 1);
        const auto opened = storage::open_rocksdb(scratch.store());
        CHECK((opened ? code_of((*opened)->get(space::rows, "k")) : opened.error().code) == errc::corrupt);
    }
}
