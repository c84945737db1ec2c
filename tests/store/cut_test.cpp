// What goes once it is known to be everywhere: the log, removals, spent totals. And what happens where somebody
// lags.
#include <anabranch/session.hpp>

#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/borrowed_engine.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using test::count;
using namespace std::chrono_literals;
using test::advertise;
using test::leftover_keys;
using test::log_keys;
using test::meet;
using test::row_keys;
using test::share;
using test::talk;
using test::transfer;

namespace {

void add(bucket at, std::int64_t amount = 1) {
    REQUIRE(at.commit([&](transaction& tx) { tx.counter("c").add(amount); }));
}
/// A transaction of about 150 bytes.
void write(bucket at, int n) {
    REQUIRE(at.commit([&](transaction& tx) {
        tx.last_writer<std::string>("l" + std::to_string(n % 10)).set(std::string(100, 'x'));
    }));
}
member_status status(const bucket& at, const store& who) {
    for (const auto& m : at.members()) {
        if (m.id == who.id()) return m;
    }
    FAIL("not a member");
    return {};
}
store_options retaining(const std::shared_ptr<test::world>& w, std::uint64_t bytes) {
    auto o = test::options(w);
    o.log_retain_bytes = bytes;
    return o;
}
store_options limited(const std::shared_ptr<test::world>& w, std::uint64_t bytes,
                      std::chrono::milliseconds age = {}) {
    auto o = retaining(w, 0);
    o.log_limit_bytes = bytes;
    o.log_limit_age = age;
    return o;
}
std::size_t log_bytes(const store& s) {
    std::size_t bytes = 0;
    for (auto at = s.state()->engine().scan(storage::space::log, {}); at->valid(); at->next()) {
        bytes += at->value().size() - sizeof(hash128);
    }
    return bytes;
}

/// Ada is the authority; the log of each is cut as its options say.
struct three_stores {
    three_stores(const store_options& a_options, const store_options& b_options, const store_options& e_options)
        : ada(store::in_memory(a_options).value()),
          bob(store::in_memory(b_options).value()),
          eve(store::in_memory(e_options).value()) {
        share(ada, {&bob, &eve});
    }

    store ada;
    store bob;
    store eve;
    bucket a = ada.create_bucket("b").value();
    bucket b = bob.bucket("b").value();
    bucket e = eve.bucket("b").value();

    /// So many transactions, and bob keeps up.
    void grow(const bucket& at, int transactions) {
        for (int i = 0; i < transactions; ++i) {
            write(at, i);
            if (i % 5 == 4) meet({&ada, &bob});
        }
    }
};

}  // namespace

TEST_CASE("the log is cut once every member is known to have it, and not before") {
    auto world = std::make_shared<test::world>();
    auto ada = store::in_memory(retaining(world, 0)).value();
    auto bob = store::in_memory(retaining(world, 0)).value();
    share(ada, {&bob});
    auto a = ada.bucket("b").value();
    auto b = bob.bucket("b").value();
    for (int i = 0; i < 10; ++i) {
        add(a);
        add(b);
    }
    test::exchange(ada, bob);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(ada.sync());
        REQUIRE(bob.sync());
    }
    CHECK(log_keys(ada) == 22);
    CHECK(log_keys(bob) == 22);
    advertise(bob, ada);
    CHECK(log_keys(ada) == 22);
    REQUIRE(ada.sync());
    CHECK(log_keys(ada) == 0);
    CHECK(log_keys(bob) == 22);
    advertise(ada, bob);
    REQUIRE(bob.sync());
    CHECK(log_keys(bob) == 0);

    // They go on where they are.
    const auto progress = a.progress();
    CHECK(b.progress() == progress);
    add(a);
    add(b);
    test::exchange(ada, bob);
    CHECK(count(a) == 22);
    CHECK(a.progress() == b.progress());
    CHECK(log_keys(ada) == 2);
    CHECK(a.digest().value() == b.digest().value());
    // Chains are compared at the cut, too; what is below it has been forgotten.
    auto other = progress;
    other[0].head[0] ^= 1;
    CHECK(a.state()->compare(progress));
    CHECK(a.state()->compare(other).error().code == errc::diverged);
    --other[0].sequence;
    CHECK(a.state()->compare(other));
}

TEST_CASE("sessions tell what is on disk, so the log is cut behind them") {
    auto world = std::make_shared<test::world>();
    auto ada = store::in_memory(retaining(world, 0)).value();
    auto bob = store::in_memory(retaining(world, 0)).value();
    auto eve = store::in_memory(retaining(world, 0)).value();
    share(ada, {&bob, &eve});
    auto a = ada.bucket("b").value();
    auto e = eve.bucket("b").value();
    for (int i = 0; i < 10; ++i) add(a);
    for (int i = 0; i < 2; ++i) {
        CHECK_FALSE(talk(ada, bob).one);
        CHECK_FALSE(talk(bob, eve).one);  // ada and eve never meet: bob passes on what they have
    }
    CHECK_FALSE(talk(ada, bob).one);
    for (auto* s : {&ada, &bob, &eve}) CHECK(log_keys(*s) == 0);
    CHECK(count(e) == 10);
    add(e, 5);
    REQUIRE(eve.sync());
    CHECK_FALSE(talk(bob, eve).one);
    CHECK_FALSE(talk(ada, bob).one);
    CHECK(count(a) == 15);
}

TEST_CASE("so many bytes of the log stay, though everybody has them") {
    constexpr std::uint64_t retained = 4'000;
    auto world = std::make_shared<test::world>();
    auto ada = store::in_memory(retaining(world, retained)).value();
    auto bob = store::in_memory(retaining(world, 0)).value();
    share(ada, {&bob});
    auto a = ada.bucket("b").value();
    for (int i = 0; i < 100; ++i) {
        write(a, i);
        if (i % 10 != 9) continue;
        meet({&ada, &bob});
        CHECK(log_keys(bob) == 0);
        if (log_keys(ada) < a.progress().front().sequence) CHECK(log_bytes(ada) >= retained);
    }
    // A sixteenth, and a transaction, are as exact as it gets.
    CHECK(log_bytes(ada) >= retained);
    CHECK(log_bytes(ada) < retained + 256 + 2 * 200);
}

TEST_CASE("who is alone keeps its log for those that join") {
    auto world = std::make_shared<test::world>();
    auto ada = store::in_memory(retaining(world, 0)).value();
    auto bob = store::in_memory(retaining(world, 0)).value();
    auto a = ada.create_bucket("b").value();
    for (int i = 0; i < 10; ++i) {
        add(a);
        REQUIRE(ada.sync());
    }
    for (int i = 0; i < 3; ++i) REQUIRE(ada.sync());
    CHECK(log_keys(ada) == 11);
    REQUIRE(bob.bucket("b"));
    CHECK_FALSE(talk(ada, bob).one);
    CHECK(count(bob.bucket("b").value()) == 10);
    CHECK(log_keys(ada) == 0);
}

TEST_CASE("one dead member stops the cut, is named with its lag and age, and retired lets go") {
    auto world = std::make_shared<test::world>();
    const auto o = retaining(world, 0);
    three_stores s(o, o, o);
    meet({&s.ada, &s.bob, &s.eve});
    REQUIRE(log_keys(s.ada) == 0);
    CHECK(status(s.a, s.eve).lag == 0);
    CHECK(status(s.a, s.eve).age == 0ms);
    // And then eve dies.
    for (int i = 0; i < 5; ++i) {
        add(s.a);
        add(s.b);
        world->now_ms += 1'000;
    }
    meet({&s.ada, &s.bob});
    world->now_ms += 60'000;
    CHECK(log_keys(s.ada) == 10);
    CHECK(log_keys(s.bob) == 10);
    CHECK(status(s.a, s.eve).lag == 10);
    CHECK(status(s.a, s.eve).age == 65s);
    CHECK(status(s.a, s.eve).stage == member_stage::joined);
    CHECK(status(s.a, s.bob).lag == 0);
    CHECK(status(s.a, s.bob).age == 0ms);
    CHECK(status(s.b, s.eve).lag == 10);
    CHECK(status(s.a, s.ada).is_self);
    CHECK(status(s.a, s.ada).lag == 0);

    REQUIRE(s.a.retire(s.eve.id()));
    meet({&s.ada, &s.bob});
    CHECK(status(s.a, s.eve).stage == member_stage::retired);
    CHECK(status(s.a, s.eve).lag == 0);
    CHECK(log_keys(s.ada) == 0);
    CHECK(log_keys(s.bob) == 0);
}

TEST_CASE("who comes back behind the cut lags no more, and what it wrote arrives") {
    auto world = std::make_shared<test::world>();
    three_stores s(limited(world, 2'000), retaining(world, 0), retaining(world, 0));
    s.grow(s.a, 40);
    REQUIRE(log_keys(s.ada) < log_keys(s.bob));
    REQUIRE(status(s.a, s.eve).is_laggard);
    add(s.e, 7);
    CHECK_FALSE(talk(s.ada, s.eve).one);
    CHECK(count(s.a) == 7);
    CHECK(count(s.e) == 7);
    meet({&s.ada, &s.bob, &s.eve});
    CHECK(s.e.digest().value() == s.a.digest().value());
    CHECK_FALSE(status(s.a, s.eve).is_laggard);
}

TEST_CASE("beyond the limit in bytes the authority cuts without who lags, others where they have to") {
    auto world = std::make_shared<test::world>();
    constexpr std::uint64_t limit = 4'000;
    three_stores s(limited(world, limit), retaining(world, 0), retaining(world, 0));
    s.grow(s.a, 20);
    CHECK(log_keys(s.ada) == 23);
    s.grow(s.a, 60);
    CHECK(log_bytes(s.ada) < limit + 256 + 8 * 200);
    CHECK(log_bytes(s.bob) > 2 * limit);  // which has room
    CHECK(s.a.digest().value() == s.b.digest().value());
}

TEST_CASE("who is not the authority cuts nothing early that somebody unnamed lacks") {
    auto world = std::make_shared<test::world>();
    constexpr std::uint64_t limit = 2'000;
    three_stores s(retaining(world, 0), limited(world, limit), retaining(world, 0));
    s.grow(s.b, 60);
    CHECK_FALSE(status(s.b, s.eve).is_laggard);
    CHECK_FALSE(status(s.a, s.eve).is_laggard);
    CHECK(log_keys(s.bob) == 63);
    REQUIRE(s.b.take_authority());
    meet({&s.ada, &s.bob});
    CHECK(log_bytes(s.bob) < limit + 256 + 8 * 200);
}

TEST_CASE("beyond the limit in time the log is cut without who lags") {
    auto world = std::make_shared<test::world>();
    three_stores s(limited(world, 4'096, 1h), retaining(world, 0), retaining(world, 0));
    s.grow(s.a, 10);
    world->now_ms += 3'600'000;
    write(s.a, 0);
    meet({&s.ada, &s.bob});
    CHECK(log_keys(s.ada) == 14);  // not longer than that yet
    world->now_ms += 1;
    write(s.a, 1);
    meet({&s.ada, &s.bob});
    CHECK(log_keys(s.ada) < 10);
    CHECK(log_keys(s.ada) >= 2);  // what is younger stays
}

TEST_CASE("who lags is named once, and stays so until it has what was cut") {
    auto world = std::make_shared<test::world>();
    three_stores s(limited(world, 4'000), retaining(world, 0), retaining(world, 0));
    for (int rounds = 0; !status(s.a, s.eve).is_laggard; ++rounds) {
        REQUIRE(rounds < 10);
        CHECK(log_keys(s.ada) == log_keys(s.bob));  // nothing is cut yet
        s.grow(s.a, 5);
    }
    CHECK_FALSE(status(s.a, s.bob).is_laggard);
    CHECK_FALSE(status(s.a, s.ada).is_laggard);
    CHECK(status(s.b, s.eve).is_laggard);
    CHECK(log_keys(s.ada) < log_keys(s.bob));  // bob has room
    const auto progress = s.a.progress();
    for (int i = 0; i < 3; ++i) meet({&s.ada, &s.bob});
    CHECK(s.a.progress() == progress);
    CHECK(status(s.a, s.eve).is_laggard);
    // Then bob gives it everything, and ada hears of it.
    meet({&s.bob, &s.eve});
    meet({&s.ada, &s.bob, &s.eve});
    CHECK_FALSE(status(s.a, s.eve).is_laggard);
}

TEST_CASE("a laggard is named once, also where nothing can be cut without it") {
    auto world = std::make_shared<test::world>();
    const auto o = limited(world, 1'000);
    three_stores s(o, o, o);
    meet({&s.ada, &s.bob, &s.eve});
    // Bob is being retired, which waits for eve; and both are away.
    REQUIRE(s.a.retire(s.bob.id()));
    const auto before = s.a.state()->committed();
    for (int i = 0; i < 20; ++i) write(s.a, i);
    for (int i = 0; i < 3; ++i) REQUIRE(s.ada.sync());
    REQUIRE(status(s.a, s.eve).is_laggard);
    const auto progress = s.a.progress();
    for (std::uint64_t i = 0; i < 5; ++i) {
        // Eve gets on a little, so ada looks after the members again.
        s.a.state()->learn(s.eve.id(), {{s.ada.id(), before + i}});
        REQUIRE(s.ada.sync());
    }
    CHECK(status(s.a, s.eve).is_laggard);
    CHECK(s.a.progress() == progress);
}

TEST_CASE("a laggard cuts nothing early itself") {
    auto world = std::make_shared<test::world>();
    three_stores s(limited(world, 2'000), retaining(world, 0), limited(world, 2'000));
    s.grow(s.a, 30);
    REQUIRE(status(s.b, s.eve).is_laggard);
    // From bob, who still has everything, it gets that; ada and bob have told it what they have.
    REQUIRE(transfer(s.b, s.e));
    REQUIRE(status(s.e, s.eve).is_laggard);
    for (int i = 0; i < 40; ++i) write(s.e, i);
    advertise(s.ada, s.eve);
    for (int i = 0; i < 3; ++i) REQUIRE(s.eve.sync());
    // bob has told nothing: ada and eve alone would not be enough to cut anything.
    std::size_t all = 0;
    for (const auto& entry : s.e.progress()) all += entry.sequence;
    CHECK(log_keys(s.eve) == all);
}

TEST_CASE("removals and spent totals go once they are stable, from memory, rows and marks") {
    auto world = std::make_shared<test::world>();
    auto ada = test::memory_store(world);
    auto bob = test::memory_store(world);
    auto eve = test::memory_store(world);
    share(ada, {&bob, &eve});
    auto a = ada.bucket("b").value();
    auto b = bob.bucket("b").value();
    const auto look = [](const store& s) {
        REQUIRE(s.state()->find_bucket("b")->take_snapshot());  // writes what waits in memory
        return std::pair(row_keys(s), leftover_keys(s));
    };
    const std::pair<std::size_t, std::size_t> spent{5, 4};
    add(a);
    REQUIRE(a.commit([](transaction& tx) {
        tx.remove_wins_set("r").add("x");
        tx.remove_wins_set("r").add("y");
        tx.disable_wins_flag("f").enable();
        tx.counter("n").add(5);
    }));
    test::exchange(ada, bob);
    REQUIRE(b.commit([](transaction& tx) {
        tx.remove_wins_set("r").remove("x");
        tx.disable_wins_flag("f").disable();
        tx.counter("n").reset();
    }));
    test::exchange(ada, bob);
    CHECK(look(ada) == spent);
    CHECK(look(bob) == spent);
    const auto digest = a.digest().value();
    meet({&ada, &bob});
    CHECK(look(ada) == spent);  // eve has not got it
    meet({&ada, &bob, &eve});
    for (const auto* s : {&ada, &bob, &eve}) CHECK(look(*s) == std::pair<std::size_t, std::size_t>{2, 0});
    for (const auto& at : {a, b, eve.bucket("b").value()}) {
        CHECK(at.digest().value() == digest);
        CHECK(at.read([](const map_view& m) { return m.remove_wins_set("r").elements(); }).value() ==
              std::vector<std::string>{"y"});
    }
    // What comes after is as if nothing had been there.
    REQUIRE(a.commit([](transaction& tx) {
        tx.remove_wins_set("r").add("x");
        tx.counter("n").add(3);
    }));
    meet({&ada, &bob, &eve});
    CHECK(b.read([](const map_view& m) { return m.remove_wins_set("r").contains("x"); }).value());
    CHECK(b.read([](const map_view& m) { return m.counter("n").value(); }).value() == 3);
    CHECK(look(bob) == std::pair<std::size_t, std::size_t>{4, 0});
}

TEST_CASE("a log that has been cut opens again at its end") {
    const std::shared_ptr<storage::engine> disk = test::watched_engine(std::make_shared<test::engine_use>());
    auto world = std::make_shared<test::world>();
    auto bob = store::in_memory(retaining(world, 0)).value();
    frontier progress;
    hash128 digest{};
    replica_id id;
    {
        auto ada = store::on(std::make_unique<test::borrowed_engine>(disk), retaining(world, 0)).value();
        id = ada.id();
        share(ada, {&bob});
        for (int i = 0; i < 5; ++i) {
            add(ada.bucket("b").value());
            add(bob.bucket("b").value());
        }
        meet({&ada, &bob});
        REQUIRE(log_keys(ada) == 0);
        progress = ada.bucket("b")->progress();
        digest = ada.bucket("b")->digest().value();
    }
    for (std::uint64_t i = 0; i < 2; ++i) {
        auto ada = store::on(std::make_unique<test::borrowed_engine>(disk), retaining(world, 0)).value();
        auto a = ada.bucket("b").value();
        CHECK(a.progress() == progress);
        CHECK(a.durable_progress() == progress);
        CHECK(a.digest().value() == digest);
        CHECK(a.is_member());
        CHECK(status(a, bob).lag == i);
        CHECK(log_keys(ada) == i);
        CHECK(a.state()->read_log({}, {UINT64_MAX}, {}).error().code == errc::behind_cut);
        REQUIRE(a.commit([&](transaction& tx) {
            CHECK(tx.id() == transaction_id{id, 8 + i});
            tx.counter("c").add(1);
        }));
        progress = a.progress();
        digest = a.digest().value();
        test::exchange(ada, bob);
        CHECK(bob.bucket("b")->progress() == progress);
        // The mark of what bob has is as old as it is.
        CHECK(status(a, bob).lag == 1 + i);
    }
}

TEST_CASE("a crash anywhere in a cut loses nothing, and the cut is made afterwards") {
    bool is_over = false;
    for (std::size_t writes = 0; !is_over; ++writes) {
        REQUIRE(writes < 50);
        const std::shared_ptr<storage::engine> disk =
            test::watched_engine(std::make_shared<test::engine_use>());
        const auto use = std::make_shared<test::engine_use>();
        auto world = std::make_shared<test::world>();
        auto bob = store::in_memory(retaining(world, 0)).value();
        hash128 digest{};
        frontier progress;
        {
            auto engine = test::watched_engine(use, std::make_unique<test::borrowed_engine>(disk));
            auto ada = store::on(std::move(engine), retaining(world, 0)).value();
            share(ada, {&bob});
            auto a = ada.bucket("b").value();
            add(a, 5);
            REQUIRE(a.commit([](transaction& tx) {
                tx.remove_wins_set("r").add("x");
                tx.remove_wins_set("r").remove("y");
            }));
            test::exchange(ada, bob);
            REQUIRE(bob.sync());
            advertise(bob, ada);
            digest = bob.bucket("b")->digest().value();
            progress = a.progress();
            // From here on so many writes reach the disk, and the process is dead. Rows were only in memory
            // until now.
            REQUIRE(row_keys(ada) == 0);
            use->writes_left = writes;
            (void)ada.sync();
            is_over = use->writes_left > 0;
            if (is_over) {
                CHECK(log_keys(ada) == 0);
                CHECK(leftover_keys(ada) == 0);
            }
            use->is_full = true;
        }
        auto ada = store::on(std::make_unique<test::borrowed_engine>(disk), retaining(world, 0)).value();
        auto a = ada.bucket("b").value();
        INFO("after " << writes << " writes");
        CHECK(a.progress() == progress);
        CHECK(a.digest().value() == digest);
        CHECK(count(a) == 5);
        meet({&ada, &bob});
        CHECK(log_keys(ada) == 0);
        CHECK(leftover_keys(ada) == 0);
        CHECK(a.digest().value() == digest);
        add(a);
        meet({&ada, &bob});
        CHECK(count(bob.bucket("b").value()) == 6);
    }
}
