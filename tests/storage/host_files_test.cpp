// Small files of the host: held by one at a time, and there again afterwards.
#include "storage/rocksdb/host_directory.hpp"

#include <fstream>

#include "storage/child_process.hpp"
#include "storage/engines.hpp"

using namespace anabranch;
using namespace anabranch::test;

namespace fs = std::filesystem;

TEST_CASE("a file of the host holds what was written last", "[storage]") {
    const scratch_directory scratch;
    const auto files = storage::open_host_directory(scratch.path() / "state" / "anabranch");
    CHECK(ok(files->open("a")) == nullptr);
    CHECK_FALSE(fs::exists(scratch.path() / "state"));
    {
        const auto a = ok(files->create("a"));
        CHECK(ok(a->read()).empty());
        ok(a->write("first and long"));
        ok(a->write("second"));
        CHECK(ok(a->read()) == "second");
    }
    CHECK(ok(ok(files->create("a"))->read()) == "second");
    CHECK(ok(ok(storage::open_host_directory(scratch.path() / "state" / "anabranch")->open("a"))->read()) == "second");
    CHECK(ok(files->open("b")) == nullptr);
}

TEST_CASE("[child] finds the file held", "[.expect-held]") {
    const auto files = storage::open_host_directory(child_process::directory());
    CHECK(code_of(files->open("a")) == errc::locked);
    CHECK(code_of(files->create("a")) == errc::locked);
}

TEST_CASE("a file of the host is held once", "[storage]") {
    const scratch_directory scratch;
    const auto files = storage::open_host_directory(scratch.path());
    auto held = ok(files->create("a"));
    CHECK(code_of(files->open("a")) == errc::locked);
    CHECK(code_of(storage::open_host_directory(scratch.path())->create("a")) == errc::locked);
    CHECK(child_process("[.expect-held]", scratch.path()).succeeded());
    ok(held->write("mine"));
    CHECK(ok(files->create("b")) != nullptr);
    held.reset();
    CHECK(ok(ok(files->open("a"))->read()) == "mine");
}

TEST_CASE("what stands in the way of a file of the host is named", "[storage]") {
    const scratch_directory scratch;
    std::ofstream(scratch.path() / "file") << "text";
    const auto below = storage::open_host_directory(scratch.path() / "file");
    CHECK(code_of(below->create("a")) == errc::foreign_directory);
    CHECK(code_of(below->open("a")) == errc::foreign_directory);
    fs::create_directories(scratch.path() / "d" / "a");
    const auto opened = storage::open_host_directory(scratch.path() / "d")->open("a");
    CHECK(code_of(opened) == errc::storage_failure);
    CHECK(opened.error().message.find("/d/a") != std::string::npos);
}
