// The simulated disk loses what a real one may lose, and nothing else.
#include "storage/engines.hpp"

using namespace anabranch;
using namespace anabranch::test;

namespace {

std::string rows_of(const storage::engine& e) {
    std::string all;
    for (const auto& [key, value] : everything(e, space::rows)) all += key;
    return all;
}

}  // namespace

TEST_CASE("a loss of power keeps what was synced and a prefix of the rest", "[storage]") {
    const std::size_t survivors = GENERATE(0, 1, 2, 3);
    const auto disk = std::make_shared<simulated_disk>();
    auto engine = ok(crashable_engine::open(disk));
    put(*engine, space::rows, "a", "");
    put(*engine, space::rows, "b", "");
    CHECK(disk->pending() == 2);
    ok(engine->sync());
    CHECK(disk->pending() == 0);
    put(*engine, space::rows, "c", "");
    batch b;
    b.put(space::rows, "d", "");
    b.erase_range(space::rows, "a", "b");
    ok(engine->write(b));
    put(*engine, space::meta, "m", "");
    CHECK(disk->pending() == 3);
    CHECK(rows_of(*engine) == "bcd");

    engine.reset();
    disk->lose_power(survivors);
    CHECK(disk->pending() == 0);
    engine = ok(crashable_engine::open(disk));
    CHECK(rows_of(*engine) == (survivors == 0 ? "ab" : survivors == 1 ? "abc" : "bcd"));
    CHECK(get(*engine, space::meta, "m").has_value() == (survivors == 3));

    put(*engine, space::rows, "e", "");
    engine.reset();
    disk->lose_power(0);  // what survived once, survives
    CHECK(rows_of(*ok(crashable_engine::open(disk))) == (survivors == 0   ? "ab"
                                                         : survivors == 1 ? "abc"
                                                                          : "bcd"));
}

TEST_CASE("the death of a process loses nothing, and syncs nothing", "[storage]") {
    const auto disk = std::make_shared<simulated_disk>();
    put(*ok(crashable_engine::open(disk)), space::rows, "a", "");
    {
        const auto engine = ok(crashable_engine::open(disk));
        CHECK(rows_of(*engine) == "a");
        CHECK(disk->pending() == 1);
    }
    disk->lose_power(0);
    CHECK(rows_of(*ok(crashable_engine::open(disk))).empty());
}

TEST_CASE("a simulated disk is open once, and not while it crashes", "[storage]") {
    const auto disk = std::make_shared<simulated_disk>();
    auto engine = ok(crashable_engine::open(disk));
    CHECK(code_of(crashable_engine::open(disk)) == errc::locked);
    CHECK_THROWS(disk->lose_power(0));
    engine.reset();
    CHECK_THROWS(disk->lose_power(1));
    ok(crashable_engine::open(disk));
}

TEST_CASE("a simulated disk fails on order", "[storage]") {
    const auto disk = std::make_shared<simulated_disk>();
    auto engine = ok(crashable_engine::open(disk));
    batch b;
    b.put(space::rows, "a", "");
    SECTION("full, once") {
        disk->fail_write(errc::storage_full);
        CHECK(code_of(engine->write(b)) == errc::storage_full);
        CHECK(rows_of(*engine).empty());
        CHECK(disk->pending() == 0);
        ok(engine->write(b));
        ok(engine->sync());
        CHECK(rows_of(*engine) == "a");
    }
    SECTION("broken, until it is opened anew") {
        disk->fail_write(errc::storage_failure, 1);
        ok(engine->write(b));
        b.put(space::rows, "b", "");
        CHECK(code_of(engine->write(b)) == errc::storage_failure);
        CHECK(code_of(engine->write(b)) == errc::storage_failure);
        CHECK(code_of(engine->sync()) == errc::storage_failure);
        CHECK(rows_of(*engine) == "a");
        engine.reset();
        engine = ok(crashable_engine::open(disk));
        CHECK(rows_of(*engine) == "a");
        ok(engine->write(b));
        ok(engine->sync());
    }
    SECTION("not syncing") {
        disk->fail_sync(1);
        ok(engine->sync());
        ok(engine->write(b));
        CHECK(code_of(engine->sync()) == errc::storage_failure);
        CHECK(code_of(engine->sync()) == errc::storage_failure);
        CHECK(code_of(engine->write(b)) == errc::storage_failure);
        CHECK(rows_of(*engine) == "a");
        CHECK(disk->pending() == 1);
        engine.reset();
        disk->lose_power(0);
        CHECK(rows_of(*ok(crashable_engine::open(disk))).empty());
    }
}
