// Atomicity, limits, scans, snapshots, threads.
#include <anabranch/limits.hpp>
#include <limits>
#include <set>
#include <stdexcept>
#include <thread>

#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;

namespace {

std::int64_t count(const bucket& at, std::string_view name) {
    return at.read([&](const map_view& m) { return m.counter(name).value(); }).value();
}

}  // namespace

TEST_CASE("a closure returns nothing, a value or a result") {
    auto s = test::memory_store();
    auto b = s.create_bucket("b").value();
    const result<void> nothing = b.commit([](transaction& tx) { tx.counter("c").add(); });
    CHECK(nothing);
    const result<int> value = b.commit([](transaction&) { return 5; });
    CHECK(value == 5);
    const result<std::string> answer = b.commit([](transaction&) -> result<std::string> { return "yes"; });
    CHECK(answer == "yes");
    const result<std::string> read = b.read([](const map_view&) { return std::string("read"); });
    CHECK(read == "read");
}

TEST_CASE("an error or an exception commits nothing") {
    auto s = test::memory_store();
    auto b = s.create_bucket("b").value();
    REQUIRE(b.commit([](transaction& tx) { tx.add_wins_set("s").add("kept"); }));
    const auto before = b.digest().value();
    const auto change = [](transaction& tx) {
        tx.counter("c").add(5);
        tx.add_wins_set("s").add("x");
        tx.map("m").last_writer<std::string>("l").set("y");
        tx.add_wins_set("s").remove("kept");
        tx.clear();
        tx.counter("d").add(1);
    };
    const auto refused = b.commit([&](transaction& tx) -> result<int> {
        change(tx);
        return fail(errc::refused, "no stock");
    });
    CHECK(refused.error().code == errc::refused);
    CHECK(refused.error().message == "no stock");
    CHECK_THROWS_AS(b.commit([&](transaction& tx) {
        change(tx);
        throw std::runtime_error("out of the closure");
    }),
                    std::runtime_error);
    CHECK(b.digest().value() == before);
    CHECK(b.progress().front().sequence == 2);
    // The thread may go on with the bucket, and the dot is used by what commits next.
    REQUIRE(b.commit([](transaction& tx) {
        CHECK(tx.id().sequence == 3);
        CHECK(tx.add_wins_set("s").contains("kept").value());
        tx.counter("c").add(1);
    }));
    CHECK(count(b, "c") == 1);
}

TEST_CASE("the first write that fails decides, and later writes do nothing") {
    auto s = test::memory_store();
    auto b = s.create_bucket("b").value();
    const auto failed = b.commit([](transaction& tx) {
        tx.counter(std::string(limits::name + 1, 'x')).add(1);
        tx.last_writer<std::string>("l").set(std::string(limits::value + 1, 'x'));
        tx.counter("c").add(1);
        return 5;
    });
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == errc::limit_exceeded);
    CHECK(failed.error().message.find("name") != std::string::npos);
    CHECK(b.progress().front().sequence == 1);
}

TEST_CASE("inside a closure no bucket can be used, which would wait for itself or for one another") {
    auto s = test::memory_store();
    auto a = s.create_bucket("a").value();
    auto b = s.create_bucket("b").value();
    REQUIRE(b.commit([](transaction& tx) { tx.counter("c").add(1); }));
    const auto refuse = [&] {
        for (auto* bucket : {&a, &b}) {
            CHECK(bucket->commit([](transaction&) {}).error().code == errc::nested_transaction);
            CHECK(bucket->read([](const map_view&) {}).error().code == errc::nested_transaction);
            CHECK(bucket->snapshot().error().code == errc::nested_transaction);
            CHECK(bucket->digest().error().code == errc::nested_transaction);
        }
    };
    REQUIRE(a.commit([&](transaction& tx) {
        tx.counter("c").add(1);
        refuse();
    }));
    REQUIRE(a.read([&](const map_view&) { refuse(); }));
    CHECK_THROWS_AS(a.commit([&](transaction&) { throw std::runtime_error("out of the closure"); }), std::runtime_error);
    CHECK(count(a, "c") == 1);
    CHECK(count(b, "c") == 1);
}

TEST_CASE("progress and syncs to disk do not wait for closures") {
    auto s = test::memory_store();
    auto a = s.create_bucket("a").value();
    // Nothing is left to do for other members: that would want the bucket for itself.
    while (s.state()->has_duties()) REQUIRE(s.sync());
    REQUIRE(a.commit([](transaction& tx) { tx.counter("c").add(1); }));
    REQUIRE(a.commit([&](transaction& tx) {
        tx.counter("c").add(1);
        CHECK(a.progress().front().sequence == 2);
        CHECK(a.durable_progress().front().sequence == 1);
        CHECK(s.sync());
        CHECK(a.durable_progress().front().sequence == 2);
        CHECK(s.bucket("new"));
    }));
    CHECK(a.progress().front().sequence == 3);
}

TEST_CASE("buckets have names") {
    auto s = test::memory_store();
    CHECK(s.bucket("").error().code == errc::invalid_argument);
    CHECK(s.bucket(std::string(limits::bucket_name + 1, 'x')).error().code == errc::invalid_argument);
    CHECK(s.bucket(std::string(limits::bucket_name, 'x')));
    CHECK(s.bucket(std::string_view("a\0b", 3)));
    CHECK(s.bucket("z").value().name() == "z");
    CHECK(s.bucket("z").value().state() == s.bucket("z").value().state());
    CHECK(s.buckets() == std::vector<std::string>{std::string("a\0b", 3), std::string(limits::bucket_name, 'x'), "z"});
}

TEST_CASE("a store has so many buckets and no more") {
    auto s = test::memory_store();
    for (std::size_t i = 0; i < limits::buckets; ++i) REQUIRE(s.bucket(std::to_string(i)));
    CHECK(s.bucket("one more").error().code == errc::limit_exceeded);
    CHECK(s.bucket("0"));
}

TEST_CASE("limits hold at the bound and not above it") {
    auto s = test::memory_store();
    auto b = s.create_bucket("b").value();
    const auto code = [&](auto function) {
        const auto done = b.commit(function);
        return done ? errc{} : done.error().code;
    };
    const std::string longest(limits::name, 'n');
    CHECK(code([&](transaction& tx) { tx.counter(longest).add(1); }) == errc{});
    CHECK(code([&](transaction& tx) { tx.counter(longest + 'n').add(1); }) == errc::limit_exceeded);
    CHECK(code([&](transaction& tx) { tx.add_wins_set("s").add(longest); }) == errc{});
    CHECK(code([&](transaction& tx) { tx.add_wins_set("s").add(longest + 'n'); }) == errc::limit_exceeded);
    CHECK(code([&](transaction& tx) { tx.add_wins_set("s").add(""); }) == errc{});

    const auto nested = [](transaction& tx, std::size_t maps, auto last) {
        std::vector<map_ref> all{tx};
        for (std::size_t i = 0; i < maps; ++i) all.push_back(all.back().map("m"));
        last(all.back());
    };
    const auto add = [](const map_ref& m) { m.counter("c").add(1); };
    const auto insert = [](const map_ref& m) { m.add_wins_set("s").add("x"); };
    CHECK(code([&](transaction& tx) { nested(tx, limits::depth - 1, add); }) == errc{});
    CHECK(code([&](transaction& tx) { nested(tx, limits::depth, add); }) == errc::limit_exceeded);
    CHECK(code([&](transaction& tx) { nested(tx, limits::depth - 2, insert); }) == errc{});
    CHECK(code([&](transaction& tx) { nested(tx, limits::depth - 1, insert); }) == errc::limit_exceeded);
    CHECK(code([&](transaction& tx) {
              auto m = tx.map(longest).map(longest).map(longest).map(longest).map(longest).map(longest).map(longest);
              m.counter("c").add(1);
          }) == errc{});
    CHECK(code([&](transaction& tx) {
              auto m = tx.map(longest).map(longest).map(longest).map(longest).map(longest).map(longest).map(longest);
              m.counter(longest).add(1);
          }) == errc::limit_exceeded);

    const std::string largest(limits::value, 'v');
    CHECK(code([&](transaction& tx) { tx.last_writer<std::string>("l").set(largest); }) == errc{});
    CHECK(code([&](transaction& tx) { tx.last_writer<std::string>("l").set(largest + 'v'); }) == errc::limit_exceeded);
    CHECK(code([&](transaction& tx) { tx.multi_value<std::string>("l").set(largest + 'v'); }) == errc::limit_exceeded);
}

TEST_CASE("a transaction of 16 MiB commits, and one byte more does not") {
    auto use = std::make_shared<test::engine_use>();
    auto s = store::on(test::watched_engine(use), test::options(std::make_shared<test::world>())).value();
    auto b = s.create_bucket("b").value();
    const auto write = [&](std::size_t bytes) {
        return b.commit([&](transaction& tx) {
            tx.last_writer<std::string>("x").set(std::string(limits::value, 'x'));
            tx.last_writer<std::string>("y").set(std::string(bytes, 'y'));
        });
    };
    // What it takes beside the second value, once there are values to take the place of.
    REQUIRE(write(1));
    use->clear();
    REQUIRE(write(limits::value - 1'000));
    const auto around = use->log_bytes - sizeof(hash128) - (limits::value - 1'000);
    const auto before = b.progress();
    const auto most = limits::transaction - around;
    CHECK(write(most + 1).error().code == errc::limit_exceeded);
    CHECK(b.progress() == before);
    CHECK(b.read([](const map_view& m) { return m.last_writer<std::string>("y").get(); }).value()->size() == limits::value - 1'000);
    use->clear();
    REQUIRE(write(most));
    CHECK(use->log_bytes - sizeof(hash128) == limits::transaction);
    CHECK(b.progress().front().sequence == 4);
}

TEST_CASE("scans take a prefix, a start and a limit") {
    auto s = test::memory_store();
    auto b = s.create_bucket("b").value();
    const std::string zero("a\0", 2);
    REQUIRE(b.commit([&](transaction& tx) {
        for (const auto& name : {std::string(), std::string("a"), zero, zero + "b", std::string("ab"), std::string("b"),
                                 std::string("\xff"), std::string("\xff\xff")}) {
            tx.add_wins_set("s").add(name);
            tx.map(name).counter("c").add(1);
            tx.counter(name).add(1);
        }
        tx.add_wins_set("s").add("gone");
        tx.add_wins_set("s").remove("gone");
    }));
    using names = std::vector<std::string>;
    REQUIRE(b.read([&](const map_view& m) {
        const auto elements = [&](scan_range r) { return m.add_wins_set("s").elements(r).value(); };
        CHECK(elements({}) == names{"", "a", zero, zero + "b", "ab", "b", "\xff", "\xff\xff"});
        CHECK(elements({.prefix = "a", .after = {}}) == names{"a", zero, zero + "b", "ab"});
        CHECK(elements({.prefix = zero, .after = {}}) == names{zero, zero + "b"});
        CHECK(elements({.prefix = "\xff", .after = {}}) == names{"\xff", "\xff\xff"});
        CHECK(elements({.prefix = "", .after = "a"}) == names{zero, zero + "b", "ab", "b", "\xff", "\xff\xff"});
        CHECK(elements({.prefix = "", .after = ""}).front() == "a");
        CHECK(elements({.prefix = "a", .after = zero}) == names{zero + "b", "ab"});
        CHECK(elements({.prefix = "b", .after = "a"}) == names{"b"});
        CHECK(elements({.prefix = "a", .after = "b"}).empty());
        CHECK(elements({.prefix = "", .after = "\xff\xff"}).empty());
        CHECK(elements({.prefix = "", .after = {}, .limit = 2}) == names{"", "a"});
        CHECK(elements({.prefix = "", .after = {}, .limit = 0}).empty());
        CHECK(elements({.prefix = "absent", .after = {}}).empty());
        CHECK(m.add_wins_set("s").size() == 8U);

        // In pages, each beginning where the last ended.
        names paged;
        for (std::optional<std::string> after; true; after = paged.back()) {
            const auto page = elements({.prefix = "", .after = after, .limit = 3});
            if (page.empty()) break;
            paged.insert(paged.end(), page.begin(), page.end());
        }
        CHECK(paged == elements({}));

        const auto fields = m.fields({.prefix = "a", .after = "a", .limit = 3}).value();
        CHECK(fields == std::vector<field>{{zero, field_type::counter}, {zero, field_type::map}, {zero + "b", field_type::counter}});
    }));
    // In a transaction its own changes are among them.
    REQUIRE(b.commit([&](transaction& tx) {
        tx.add_wins_set("s").add("aa");
        tx.add_wins_set("s").remove(zero);
        CHECK(tx.add_wins_set("s").elements({.prefix = "a", .after = {}}).value() == names{"a", zero + "b", "aa", "ab"});
        CHECK(tx.add_wins_set("s").elements({.prefix = "a", .after = "a", .limit = 2}).value() == names{zero + "b", "aa"});
        tx.map("m").map("n").counter("c").add(1);
        tx.map("m").map("n").counter("d").add(1);
        CHECK(tx.map("m").fields().value() == std::vector<field>{{"n", field_type::map}});
    }));
}

TEST_CASE("a snapshot stays as it was") {
    auto s = test::memory_store();
    auto b = s.create_bucket("b").value();
    REQUIRE(b.commit([](transaction& tx) {
        tx.counter("c").add(1);
        tx.add_wins_set("s").add("x");
    }));
    auto then = b.snapshot().value();
    REQUIRE(b.commit([](transaction& tx) {
        tx.counter("c").add(1);
        tx.add_wins_set("s").remove("x");
        tx.map("m").counter("d").add(1);
    }));
    auto now = b.snapshot().value();
    CHECK(then.counter("c").value() == 1);
    CHECK(then.add_wins_set("s").elements().value() == std::vector<std::string>{"x"});
    CHECK_FALSE(then.map("m").exists().value());
    CHECK(now.counter("c").value() == 2);
    CHECK(now.map("m").exists().value());
    then = std::move(now);
    CHECK(then.counter("c").value() == 2);
    // It keeps the store open.
    auto kept = [] {
        auto gone = test::memory_store();
        auto bucket = gone.create_bucket("b").value();
        (void)bucket.commit([](transaction& tx) { tx.counter("c").add(9); });
        return bucket.snapshot().value();
    }();
    CHECK(kept.counter("c").value() == 9);
}

TEST_CASE("threads commit and read beside each other, and nothing is lost or half seen") {
    auto use = std::make_shared<test::engine_use>();
    auto o = test::options(std::make_shared<test::world>());
    o.write_behind_bytes = 20'000;  // rows are written behind while it runs
    auto s = store::on(test::watched_engine(use), o).value();
    auto b = s.create_bucket("b").value();
    constexpr int writers = 4;
    constexpr int each = 1'000;
    std::atomic<bool> done = false;
    std::atomic<int> torn = 0;
    std::atomic<int> failed = 0;
    {
        std::vector<std::jthread> readers;
        for (int i = 0; i < 2; ++i) {
            readers.emplace_back([&, i] {
                std::int64_t last = 0;
                while (!done) {
                    const auto look = [&](const map_view& m) {
                        const auto x = m.counter("x").value().value();
                        if (x != m.counter("y").value().value() || x < last) ++torn;
                        last = x;
                        if (i == 1) (void)m.add_wins_set("s").elements({.prefix = "1", .after = {}, .limit = 5});
                    };
                    if (i == 0) {
                        if (!b.read(look)) ++failed;
                    } else {
                        auto at = b.snapshot();
                        at ? look(*at) : void(++failed);
                    }
                }
            });
        }
        {
            std::vector<std::jthread> threads;
            for (int w = 0; w < writers; ++w) {
                threads.emplace_back([&, w] {
                    for (int i = 0; i < each; ++i) {
                        const auto wait = i % 100 == 0 ? durability::disk : durability::os;
                        const auto ok = b.commit(
                            [&](transaction& tx) {
                                tx.counter("x").add(i);
                                tx.add_wins_set("s").add(std::to_string(w * each + i));
                                tx.counter("y").add(i);
                            },
                            wait);
                        if (!ok) ++failed;
                    }
                });
            }
        }
        done = true;
    }
    CHECK(torn == 0);
    CHECK(failed == 0);
    CHECK(count(b, "x") == std::int64_t{writers} * each * (each - 1) / 2);
    CHECK(b.progress().front().sequence == writers * each + 1);
    CHECK(b.read([](const map_view& m) { return m.add_wins_set("s").size(); }).value() == writers * each);
}

TEST_CASE("commits of several threads that wait for the disk share its syncs") {
    auto use = std::make_shared<test::engine_use>();
    auto s = store::on(test::watched_engine(use), test::options(std::make_shared<test::world>())).value();
    auto b = s.create_bucket("b").value();
    use->clear();
    REQUIRE(b.commit([](transaction& tx) { tx.counter("c").add(1); }, durability::os));
    CHECK(use->syncs == 0);
    CHECK(b.durable_progress().empty());
    REQUIRE(b.commit([](transaction& tx) { tx.counter("c").add(1); }, durability::disk));
    CHECK(use->syncs == 1);
    CHECK(b.durable_progress() == b.progress());
    // Nothing new: nothing to wait for.
    REQUIRE(s.sync());
    CHECK(use->syncs == 1);
}

TEST_CASE("an operator may accept any timestamp, once and for all") {
    auto w = std::make_shared<test::world>();
    auto s = test::memory_store(w);
    const auto now = timestamp::from(std::chrono::milliseconds{w->now_ms + 60'000}, UINT16_MAX);
    CHECK(s.state()->horizon() == now);
    REQUIRE(s.accept_until({now.value + 65'536}));
    CHECK(s.state()->horizon().value == now.value + 60'001ULL * 65'536);
    REQUIRE(s.accept_until({0}));
    CHECK(s.state()->horizon().value == now.value + 60'001ULL * 65'536);
    REQUIRE(s.accept_until({UINT64_MAX}));
    // As far as a clock can go without running over later.
    CHECK(s.state()->horizon().value == UINT64_MAX / 2);
}
