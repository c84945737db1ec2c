// What operations cost, counted in operations of the storage engine: nothing depends on how much there is.
#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;

namespace {

struct counted_store {
    std::shared_ptr<test::engine_use> use = std::make_shared<test::engine_use>();
    store local = store::on(test::watched_engine(use), [] {
                      auto o = test::options(std::make_shared<test::world>());
                      o.write_behind_bytes = 256 * 1024;
                      return o;
                  }()).value();
    bucket b = local.create_bucket("b").value();

    template <class Function>
    std::size_t cost(Function function) {
        // Rows that wait are written at some time, once each: not what this counts.
        REQUIRE(b.state() != nullptr);
        (void)b.snapshot();
        use->clear();
        REQUIRE(b.commit(function));
        return use->operations();
    }
    void fill(std::size_t n) {
        for (std::size_t i = 0; i < n; i += 1'000) {
            REQUIRE(b.commit([&](transaction& tx) {
                for (std::size_t k = i; k < i + 1'000; ++k) {
                    const auto name = std::to_string(k);
                    tx.add_wins_set("add wins").add(name);
                    tx.remove_wins_set("remove wins").add(name);
                    tx.map("map").last_writer<std::string>(name).set("value");
                }
            }));
        }
    }
};

}  // namespace

TEST_CASE("touching one element of a set or field of a map costs the same in a large one as in an empty one") {
    counted_store small;
    counted_store large;
    large.fill(100'000);
    const auto costs = [](counted_store& s) {
        return std::vector{
            s.cost([](transaction& tx) { tx.add_wins_set("add wins").add("x"); }),
            s.cost([](transaction& tx) { tx.add_wins_set("add wins").remove("x"); }),
            s.cost([](transaction& tx) { tx.remove_wins_set("remove wins").add("x"); }),
            s.cost([](transaction& tx) { tx.remove_wins_set("remove wins").remove("x"); }),
            s.cost([](transaction& tx) { tx.map("map").last_writer<std::string>("x").set("y"); }),
            s.cost([](transaction& tx) { tx.map("map").counter("n").add(1); }),
            s.cost([](transaction& tx) { (void)tx.add_wins_set("add wins").contains("x"); }),
        };
    };
    CHECK(costs(large) == costs(small));
    for (const auto n : costs(large)) CHECK(n <= 3);
}

TEST_CASE("a commit writes once, its log record, and reads a row once") {
    counted_store s;
    REQUIRE(s.b.commit([](transaction& tx) { tx.counter("c").add(1); }));
    s.use->clear();
    for (int i = 0; i < 100; ++i) REQUIRE(s.b.commit([](transaction& tx) { tx.counter("c").add(1); }));
    CHECK(s.use->writes == 100);
    CHECK(s.use->changes == 100);
    CHECK(s.use->gets == 0);
    CHECK(s.use->scans == 0);
    CHECK(s.use->syncs == 0);
}

TEST_CASE("removing a map is one record that grows only with the counters in it") {
    const auto removal = [](std::size_t fields, std::size_t counters) {
        counted_store s;
        s.fill(fields);
        REQUIRE(s.b.commit([&](transaction& tx) {
            for (std::size_t i = 0; i < counters; ++i) tx.map("map").counter("c" + std::to_string(i)).add(1);
        }));
        s.use->clear();
        REQUIRE(s.b.commit([](transaction& tx) { tx.map("map").clear(); }));
        CHECK_FALSE(s.b.read([](const map_view& m) { return m.map("map").exists(); }).value());
        return s.use->log_bytes.load();
    };
    const auto small = removal(1'000, 0);
    CHECK(small < 100);
    // The sequence in its vector may have a digit more.
    CHECK(removal(20'000, 0) <= small + 2);
    const auto ten = removal(1'000, 10);
    CHECK(ten > small);
    CHECK(removal(20'000, 10) <= ten + 12);
    CHECK(removal(1'000, 20) - ten <= ten - small + 20);
}

TEST_CASE("a page of a large set costs what the page holds") {
    counted_store s;
    s.fill(20'000);
    (void)s.b.snapshot();
    s.use->clear();
    const auto page = s.b.read([](const map_view& m) { return m.add_wins_set("add wins").elements({.prefix = "1", .after = "15", .limit = 10}); });
    CHECK(page.value().size() == 10);
    CHECK(s.use->operations() < 30);
}

TEST_CASE("opening scans the log's tails, not the rows or the log") {
    auto use = std::make_shared<test::engine_use>();
    auto world = std::make_shared<test::world>();
    // One engine under two stores, one after the other.
    struct shared_engine final : storage::engine {
        explicit shared_engine(std::shared_ptr<storage::engine> e) : inner(std::move(e)) {}
        result<std::optional<std::string>> get(storage::space w, std::string_view k, const storage::snapshot* at) const override {
            return inner->get(w, k, at);
        }
        std::unique_ptr<storage::cursor> scan(storage::space w, std::string_view f, const storage::snapshot* at) const override {
            return inner->scan(w, f, at);
        }
        result<std::optional<std::pair<std::string, std::string>>> last(storage::space w, std::string_view k) const override {
            return inner->last(w, k);
        }
        std::unique_ptr<storage::snapshot> take_snapshot() const override { return inner->take_snapshot(); }
        result<void> write(const storage::batch& c) override { return inner->write(c); }
        result<void> sync() override { return inner->sync(); }
        std::shared_ptr<storage::engine> inner;
    };
    const std::shared_ptr<storage::engine> engine = test::watched_engine(use);
    hash128 digest{};
    {
        auto s = store::on(std::make_unique<shared_engine>(engine), test::options(world)).value();
        auto b = s.create_bucket("b").value();
        for (int i = 0; i < 2'000; ++i) {
            REQUIRE(b.commit([&](transaction& tx) { tx.add_wins_set("s").add(std::to_string(i)); }));
        }
        digest = b.digest().value();
    }
    use->clear();
    auto s = store::on(std::make_unique<shared_engine>(engine), test::options(world)).value();
    CHECK(use->operations() < 40);  // a few for each entry of the journal
    CHECK(s.bucket("b").value().digest().value() == digest);
}

TEST_CASE("a full disk: writes fail and say so, reads go on, and afterwards writes do, too") {
    counted_store s;
    REQUIRE(s.b.commit([](transaction& tx) {
        tx.counter("c").add(1);
        tx.add_wins_set("s").add("x");
    }));
    s.use->is_full = true;
    for (int i = 0; i < 3; ++i) {
        CHECK(s.b.commit([](transaction& tx) { tx.counter("c").add(1); }).error().code == errc::storage_full);
        CHECK(s.local.sync().error().code == errc::storage_full);
        CHECK(s.local.bucket("new").error().code == errc::storage_full);
        CHECK(s.b.read([](const map_view& m) { return m.counter("c").value(); }).value() == 1);
    }
    CHECK(s.b.progress().front().sequence == 2);
    CHECK(s.b.durable_progress().empty());
    s.use->is_full = false;
    REQUIRE(s.b.commit([](transaction& tx) { tx.counter("c").add(1); }, durability::disk));
    CHECK(s.b.read([](const map_view& m) { return m.counter("c").value(); }).value() == 2);
    CHECK(s.b.durable_progress() == s.b.progress());
    CHECK(s.local.bucket("new").value().name() == "new");
    CHECK(s.local.bucket("newer"));
}

TEST_CASE("a full disk in the middle of receiving applies nothing of the chunk") {
    counted_store s;
    auto other = test::memory_store();
    auto from = other.create_bucket("from").value();
    const auto to = s.local.bucket("from").value();
    REQUIRE(from.commit([](transaction& tx) { tx.counter("c").add(5); }));
    REQUIRE(other.sync());
    s.use->is_full = true;
    CHECK(test::transfer(from, to).error().code == errc::storage_full);
    CHECK(to.progress().empty());
    s.use->is_full = false;
    CHECK(test::transfer(from, to).value().transactions == 2);
    CHECK(to.read([](const map_view& m) { return m.counter("c").value(); }).value() == 5);
}
