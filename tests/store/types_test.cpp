// Every type through the public interface: what it reads in its transaction, afterwards, and at a replica
// that took other writes meanwhile.
#include <limits>

#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using test::exchange;

namespace {

/// Two replicas of one bucket.
struct pair_of_stores {
    std::shared_ptr<test::world> world = std::make_shared<test::world>();
    store first = test::memory_store(world);
    store second = test::memory_store(world);
    bucket a = first.create_bucket("b").value();
    bucket b = second.bucket("b").value();

    pair_of_stores() { test::share(first, {&second}); }

    void meet() {
        exchange(first, second);
        CHECK(a.digest().value() == b.digest().value());
        CHECK(a.progress() == b.progress());
    }
};

template <class Function>
void write(bucket& at, Function function) {
    REQUIRE(at.commit(function));
}

template <class Function>
auto read(const bucket& at, Function function) {
    auto value = at.read(function);
    REQUIRE(value);
    return *value;
}

std::int64_t count(const bucket& at, std::string_view name) {
    return read(at, [&](const map_view& m) { return m.counter(name).value(); });
}
std::optional<std::string> text(const bucket& at, std::string_view name) {
    return read(at, [&](const map_view& m) { return m.last_writer<std::string>(name).get(); });
}

std::vector<std::string> names(const std::vector<field>& fields) {
    std::vector<std::string> all;
    for (const auto& f : fields) all.push_back(f.name + static_cast<char>(f.type));
    return all;
}

}  // namespace

TEST_CASE("counters add up from all replicas, and a reset takes what it saw") {
    pair_of_stores s;
    CHECK(count(s.a, "n") == 0);
    write(s.a, [](transaction& tx) {
        tx.counter("n").add(5);
        CHECK(tx.counter("n").value() == 5);
        tx.counter("n").add(-2);
        CHECK(tx.counter("n").value() == 3);
    });
    write(s.b, [](transaction& tx) { tx.counter("n").add(); });
    CHECK(count(s.a, "n") == 3);
    s.meet();
    CHECK(count(s.a, "n") == 4);
    CHECK(count(s.b, "n") == 4);
    write(s.a, [](transaction& tx) {
        tx.counter("n").reset();
        CHECK(tx.counter("n").value() == 0);
        tx.counter("n").add(100);
    });
    write(s.b, [](transaction& tx) { tx.counter("n").add(10); });
    s.meet();
    CHECK(count(s.a, "n") == 110);
}

TEST_CASE("a last-writer register shows the latest of concurrent writes, on both sides") {
    pair_of_stores s;
    CHECK_FALSE(text(s.a, "r"));
    write(s.a, [](transaction& tx) {
        tx.last_writer<std::string>("r").set("one");
        tx.last_writer<std::string>("r").set("two");
        CHECK(tx.last_writer<std::string>("r").get().value() == "two");
    });
    s.meet();
    write(s.a, [](transaction& tx) { tx.last_writer<std::string>("r").set("early"); });
    s.world->now_ms += 10;
    write(s.b, [](transaction& tx) { tx.last_writer<std::string>("r").set("late"); });
    s.meet();
    CHECK(text(s.a, "r") == "late");
    CHECK(text(s.b, "r") == "late");
    // Clearing takes what it sees, and only that.
    write(s.a, [](transaction& tx) {
        tx.last_writer<std::string>("r").clear();
        CHECK_FALSE(tx.last_writer<std::string>("r").get().value());
    });
    write(s.b, [](transaction& tx) { tx.last_writer<std::string>("r").set("meanwhile"); });
    s.meet();
    CHECK(text(s.a, "r") == "meanwhile");
}

TEST_CASE("a multi-value register shows all that nobody has seen, and who wrote it") {
    pair_of_stores s;
    write(s.a, [](transaction& tx) { tx.multi_value<std::int32_t>("m").set(1); });
    s.world->now_ms += 10;
    write(s.b, [](transaction& tx) { tx.multi_value<std::int32_t>("m").set(2); });
    s.meet();
    const auto both = read(s.a, [](const map_view& m) { return m.multi_value<std::int32_t>("m").get(); });
    REQUIRE(both.size() == 2);
    CHECK(both[0].value == 2);
    CHECK(both[0].writer == transaction_id{s.second.id(), 1});
    CHECK(both[0].at > both[1].at);
    CHECK(both[1].value == 1);
    CHECK(both[1].writer == transaction_id{s.first.id(), 3});
    write(s.b, [](transaction& tx) { tx.multi_value<std::int32_t>("m").set(3); });
    s.meet();
    CHECK(read(s.a, [](const map_view& m) { return m.multi_value<std::int32_t>("m").get(); }).size() == 1);
}

TEST_CASE("of a concurrent enable and disable each flag keeps its own side") {
    pair_of_stores s;
    const auto flags = [](const bucket& at) {
        return read(at, [](const map_view& m) {
            return result<std::pair<bool, bool>>(std::pair(m.enable_wins_flag("e").value().value(), m.disable_wins_flag("d").value().value()));
        });
    };
    CHECK(flags(s.a) == std::pair(false, false));
    write(s.a, [](transaction& tx) {
        tx.enable_wins_flag("e").enable();
        tx.disable_wins_flag("d").enable();
        CHECK(tx.enable_wins_flag("e").value().value());
        CHECK(tx.disable_wins_flag("d").value().value());
    });
    s.meet();
    CHECK(flags(s.b) == std::pair(true, true));
    write(s.a, [](transaction& tx) {
        tx.enable_wins_flag("e").disable();
        tx.disable_wins_flag("d").disable();
        CHECK_FALSE(tx.enable_wins_flag("e").value().value());
        CHECK_FALSE(tx.disable_wins_flag("d").value().value());
    });
    write(s.b, [](transaction& tx) {
        tx.enable_wins_flag("e").enable();
        tx.disable_wins_flag("d").enable();
    });
    s.meet();
    CHECK(flags(s.a) == std::pair(true, false));
    // With the disabling seen, enabling works again.
    write(s.b, [](transaction& tx) { tx.disable_wins_flag("d").enable(); });
    s.meet();
    CHECK(flags(s.a) == std::pair(true, true));
}

TEST_CASE("of a concurrent add and remove each set keeps its own side") {
    pair_of_stores s;
    write(s.a, [](transaction& tx) {
        for (const auto* e : {"x", "y", ""}) {
            tx.add_wins_set("a").add(e);
            tx.remove_wins_set("r").add(e);
        }
        CHECK(tx.add_wins_set("a").elements().value() == std::vector<std::string>{"", "x", "y"});
    });
    s.meet();
    write(s.a, [](transaction& tx) {
        tx.add_wins_set("a").remove("x");
        tx.remove_wins_set("r").remove("x");
        CHECK_FALSE(tx.add_wins_set("a").contains("x").value());
        CHECK(tx.remove_wins_set("r").size() == 2U);
    });
    write(s.b, [](transaction& tx) {
        tx.add_wins_set("a").add("x");
        tx.remove_wins_set("r").add("x");
        tx.add_wins_set("a").remove("absent");
    });
    s.meet();
    CHECK(read(s.b, [](const map_view& m) { return m.add_wins_set("a").elements(); }) == std::vector<std::string>{"", "x", "y"});
    CHECK(read(s.b, [](const map_view& m) { return m.remove_wins_set("r").elements(); }) == std::vector<std::string>{"", "y"});
}

TEST_CASE("maps nest, exist while something is in them, and keep names of different types apart") {
    pair_of_stores s;
    write(s.a, [](transaction& tx) {
        auto tea = tx.map("product").map("tea");
        CHECK_FALSE(tea.exists().value());
        tea.counter("stock").add(10);
        tea.last_writer<std::string>("stock").set("a text of the same name");
        tea.map("price").last_writer<double>("EUR").set(3.99);
        CHECK(tea.exists().value());
        CHECK(names(tea.fields().value()) == std::vector<std::string>{"pricep", "stockc", "stockl"});
        CHECK(names(tx.fields().value()) == std::vector<std::string>{"productp"});
    });
    s.meet();
    write(s.b, [](transaction& tx) {
        CHECK(tx.map("product").map("tea").map("price").last_writer<double>("EUR").get().value() == 3.99);
        tx.map("product").map("tea").remove("stock", field_type::last_writer);
        CHECK(names(tx.map("product").map("tea").fields().value()) == std::vector<std::string>{"pricep", "stockc"});
    });
    s.meet();
    CHECK(names(read(s.a, [](const map_view& m) { return m.map("product").map("tea").fields(); })) ==
          std::vector<std::string>{"pricep", "stockc"});
}

TEST_CASE("clearing a map takes what was seen; what was written meanwhile keeps it") {
    pair_of_stores s;
    write(s.a, [](transaction& tx) {
        auto m = tx.map("m");
        m.counter("c").add(7);
        m.last_writer<std::string>("l").set("old");
        m.add_wins_set("a").add("x");
        m.remove_wins_set("r").add("x");
        m.enable_wins_flag("e").enable();
        m.disable_wins_flag("d").enable();
        m.map("inner").multi_value<std::string>("v").set("deep");
        tx.counter("beside").add(1);
    });
    s.meet();
    write(s.a, [](transaction& tx) {
        tx.map("m").map("inner").counter("fresh").add(1);
        tx.map("m").clear();
        CHECK_FALSE(tx.map("m").exists().value());
        CHECK(tx.map("m").fields().value().empty());
        CHECK(tx.map("m").counter("c").value() == 0);
        CHECK_FALSE(tx.map("m").last_writer<std::string>("l").get().value());
        CHECK_FALSE(tx.map("m").remove_wins_set("r").contains("x").value());
        CHECK(tx.counter("beside").value() == 1);
    });
    CHECK_FALSE(read(s.a, [](const map_view& m) { return m.map("m").exists(); }));
    write(s.b, [](transaction& tx) {
        tx.map("m").counter("c").add(2);
        tx.map("m").remove_wins_set("r").add("y");
        tx.map("m").map("inner").multi_value<std::string>("v").set("new");
    });
    s.meet();
    for (const auto* side : {&s.a, &s.b}) {
        CHECK(names(read(*side, [](const map_view& m) { return m.map("m").fields(); })) ==
              std::vector<std::string>{"cc", "innerp", "rr"});
        CHECK(read(*side, [](const map_view& m) { return m.map("m").counter("c").value(); }) == 2);
        CHECK(read(*side, [](const map_view& m) { return m.map("m").remove_wins_set("r").elements(); }) ==
              std::vector<std::string>{"y"});
        CHECK(count(*side, "beside") == 1);
    }
}

TEST_CASE("after clearing a map its fields work like new ones, in the same transaction, too") {
    pair_of_stores s;
    write(s.a, [](transaction& tx) {
        tx.map("m").counter("c").add(7);
        tx.map("m").last_writer<std::string>("l").set("old");
        tx.map("m").remove_wins_set("r").add("x");
    });
    write(s.a, [](transaction& tx) {
        tx.map("m").remove_wins_set("r").remove("x");
        tx.map("m").clear();
        tx.map("m").counter("c").add(1);
        tx.map("m").last_writer<std::string>("l").set("new");
        tx.map("m").add_wins_set("a").add("y");
        tx.map("m").remove_wins_set("r").add("x");
        CHECK(tx.map("m").counter("c").value() == 1);
        CHECK(tx.map("m").remove_wins_set("r").contains("x").value());
        CHECK(names(tx.map("m").fields().value()) == std::vector<std::string>{"aa", "cc", "ll", "rr"});
    });
    s.meet();
    CHECK(read(s.b, [](const map_view& m) { return m.map("m").counter("c").value(); }) == 1);
    CHECK(read(s.b, [](const map_view& m) { return m.map("m").last_writer<std::string>("l").get(); }) == "new");
    CHECK(names(read(s.b, [](const map_view& m) { return m.map("m").fields(); })) == std::vector<std::string>{"aa", "cc", "ll", "rr"});
}

TEST_CASE("clearing the whole bucket is clearing a map") {
    pair_of_stores s;
    write(s.a, [](transaction& tx) { tx.counter("c").add(7); });
    s.meet();
    write(s.b, [](transaction& tx) { tx.clear(); });
    s.meet();
    CHECK_FALSE(read(s.a, [](const map_view& m) { return m.exists(); }));
    CHECK(s.a.digest().value() == hash128{});
}

TEST_CASE("a transaction without changes leaves no trace") {
    pair_of_stores s;
    const auto before = s.a.progress();
    write(s.a, [](transaction& tx) {
        (void)tx.counter("c").value();
        tx.add_wins_set("s").remove("absent");
        tx.map("absent").clear();
        tx.remove("absent", field_type::counter);
    });
    CHECK(s.a.progress() == before);
}

TEST_CASE("numbers in registers keep their type") {
    pair_of_stores s;
    write(s.a, [](transaction& tx) {
        tx.last_writer<std::int64_t>("i").set(std::numeric_limits<std::int64_t>::min());
        tx.last_writer<double>("d").set(-0.25);
        tx.last_writer<bool>("b").set(true);
    });
    s.meet();
    (void)s.b.read([](const map_view& m) {
        CHECK(m.last_writer<std::int64_t>("i").get().value() == std::numeric_limits<std::int64_t>::min());
        CHECK(m.last_writer<std::int32_t>("i").get().error().code == errc::undecodable);
        CHECK(m.last_writer<std::uint64_t>("i").get().value() == 1ULL << 63);
        CHECK(m.last_writer<double>("d").get().value() == -0.25);
        CHECK(m.last_writer<bool>("b").get().value() == true);
    });
}

TEST_CASE("a counter that leaves 64 bits says so") {
    pair_of_stores s;
    write(s.a, [](transaction& tx) { tx.counter("c").add(std::numeric_limits<std::int64_t>::max()); });
    const auto refused = s.a.commit([](transaction& tx) {
        tx.counter("other").add(1);
        tx.counter("c").add(1);
    });
    CHECK(refused.error().code == errc::overflow);
    CHECK(count(s.a, "other") == 0);
    write(s.b, [](transaction& tx) { tx.counter("c").add(1); });
    s.meet();
    CHECK(s.a.read([](const map_view& m) { return m.counter("c").value(); }).error().code == errc::overflow);
    write(s.a, [](transaction& tx) { tx.counter("c").add(-1); });
    CHECK(count(s.a, "c") == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("what a store receives in pieces, twice or late is the same") {
    pair_of_stores s;
    for (int i = 0; i < 20; ++i) {
        write(s.a, [&](transaction& tx) {
            tx.counter("c").add(i);
            tx.add_wins_set("s").add(std::to_string(i));
            if (i % 3 == 0) tx.add_wins_set("s").remove(std::to_string(i / 2));
        });
    }
    exchange(s.first, s.second);
    exchange(s.first, s.second);
    s.meet();
    auto third = test::memory_store(s.world);
    exchange(s.second, third);
    CHECK(third.bucket("b").value().digest().value() == s.a.digest().value());
}
