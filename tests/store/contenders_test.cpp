// The conflict view: what stands in a field, who wrote it, when, and why it is shown or not.
#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using test::exchange;
using test::memory_store;
using test::share;

namespace {

struct shop {
    std::shared_ptr<test::world> world = std::make_shared<test::world>();
    store cloud = memory_store(world);
    store edge = memory_store(world);

    shop() { share(cloud, {&edge}); }
};

/// What the two do to the field without having seen each other, the edge a second later.
template <class Function>
void both(shop& s, Function write) {
    REQUIRE(s.cloud.bucket("b")->commit([&](transaction& tx) { write(tx, std::string("cloud")); }));
    s.world->now_ms += 1000;
    REQUIRE(s.edge.bucket("b")->commit([&](transaction& tx) { write(tx, std::string("edge")); }));
    exchange(s.cloud, s.edge);
}

std::vector<contender> look(store& s, field_type type) {
    return s.bucket("b")->read([&](const map_view& m) { return m.contenders("f", type); }).value();
}

/// (writer's sequence, value, amount, shown, why)
struct expectation {
    store* writer;
    std::string value;
    std::int64_t amount;
    bool is_shown;
    standing why;
};
void check(const std::vector<contender>& found, const std::vector<expectation>& expected) {
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        CHECK(found[i].writer.origin == expected[i].writer->id());
        CHECK(found[i].value == expected[i].value);
        CHECK(found[i].amount == expected[i].amount);
        CHECK(found[i].is_shown == expected[i].is_shown);
        CHECK(found[i].why == expected[i].why);
        CHECK(found[i].at.has_value());
    }
}

}  // namespace

TEST_CASE("of a last-writer register the latest is shown, and the others are still there") {
    shop s;
    both(s, [](transaction& tx, const std::string& who) { tx.last_writer<std::string>("f").set(who); });
    for (auto* each : {&s.cloud, &s.edge}) {
        const auto found = look(*each, field_type::last_writer);
        check(found, {{&s.edge, "edge", 0, true, standing::latest}, {&s.cloud, "cloud", 0, false, standing::earlier}});
        CHECK(found[0].at->wall() - found[1].at->wall() == std::chrono::seconds{1});
    }
    REQUIRE(s.cloud.bucket("b")->commit([](transaction& tx) { tx.last_writer<std::string>("f").set("settled"); }));
    check(look(s.cloud, field_type::last_writer), {{&s.cloud, "settled", 0, true, standing::only}});
}

TEST_CASE("of two writes at one time the greater replica's is shown") {
    shop s;
    for (auto* each : {&s.cloud, &s.edge}) {
        REQUIRE(each->bucket("b")->commit([](transaction& tx) { tx.last_writer<std::string>("f").set(std::to_string(tx.at().value)); }));
    }
    exchange(s.cloud, s.edge);
    const auto found = look(s.cloud, field_type::last_writer);
    REQUIRE(found.size() == 2);
    if (found[0].at == found[1].at) {
        CHECK(found[0].writer.origin > found[1].writer.origin);
        CHECK(found[0].why == standing::greater_replica);
        CHECK(found[1].why == standing::lesser_replica);
    } else {
        CHECK(found[0].why == standing::latest);
    }
}

TEST_CASE("of a multi-value register all are shown") {
    shop s;
    both(s, [](transaction& tx, const std::string& who) { tx.multi_value<std::string>("f").set(who); });
    check(look(s.cloud, field_type::multi_value),
          {{&s.edge, "edge", 0, true, standing::together}, {&s.cloud, "cloud", 0, true, standing::together}});
}

TEST_CASE("of a counter every replica's part counts") {
    shop s;
    both(s, [](transaction& tx, const std::string& who) { tx.counter("f").add(who == "edge" ? 5 : -2); });
    const auto found = look(s.edge, field_type::counter);
    REQUIRE(found.size() == 2);
    CHECK(found[0].amount + found[1].amount == 3);
    CHECK(found[0].why == standing::summed);
    REQUIRE(s.edge.bucket("b")->commit([](transaction& tx) { tx.counter("f").reset(); }));
    CHECK(look(s.edge, field_type::counter).empty());
    both(s, [](transaction& tx, const std::string& who) { tx.bounded_counter("f").add(who == "edge" ? 5 : 2); });
    REQUIRE(look(s.cloud, field_type::bounded_counter).size() == 2);
    CHECK(look(s.cloud, field_type::bounded_counter)[0].why == standing::summed);
    // The two counters that they created are one, and who has only asked for rights has no part in it.
    REQUIRE(s.cloud.bucket("b")->commit([](transaction& tx) { CHECK(tx.bounded_counter("f").spend(2)); }));
    exchange(s.cloud, s.edge);
    REQUIRE(look(s.edge, field_type::bounded_counter).size() == 2);
}

TEST_CASE("of a flag the enablings stand, and the disabling that does away with them") {
    shop s;
    both(s, [](transaction& tx, const std::string& who) {
        who == "edge" ? tx.enable_wins_flag("f").enable() : tx.enable_wins_flag("f").disable();
        who == "edge" ? tx.disable_wins_flag("f").enable() : tx.disable_wins_flag("f").disable();
    });
    check(look(s.cloud, field_type::enable_wins_flag), {{&s.edge, "", 0, true, standing::only}});
    check(look(s.cloud, field_type::disable_wins_flag), {{&s.cloud, "", 0, true, standing::removal}});
    // An enabling that has seen it.
    REQUIRE(s.cloud.bucket("b")->commit([](transaction& tx) { tx.disable_wins_flag("f").enable(); }));
    check(look(s.cloud, field_type::disable_wins_flag),
          {{&s.cloud, "", 0, true, standing::only}, {&s.cloud, "", 0, false, standing::removal}});
}

TEST_CASE("of a set each element has its own") {
    shop s;
    both(s, [](transaction& tx, const std::string&) { tx.add_wins_set("f").add("x"); });
    const auto found = s.cloud.bucket("b")->read([](const map_view& m) { return m.add_wins_set("f").contenders("x"); }).value();
    REQUIRE(found.size() == 2);
    CHECK(found[0].why == standing::unremoved);
    CHECK(found[0].is_shown);
    CHECK(s.cloud.bucket("b")->read([](const map_view& m) { return m.add_wins_set("f").contenders("y"); })->empty());
}

TEST_CASE("a map and a set have none of their own") {
    shop s;
    auto b = s.cloud.bucket("b").value();
    for (const auto type : {field_type::map, field_type::add_wins_set, field_type::remove_wins_set}) {
        const auto none = b.read([&](const map_view& m) { return m.contenders("f", type); });
        REQUIRE_FALSE(none);
        CHECK(none.error().code == errc::invalid_argument);
    }
    CHECK(look(s.cloud, field_type::last_writer).empty());
}

TEST_CASE("a transaction is among the contenders that it sees, and a snapshot keeps them") {
    shop s;
    auto b = s.cloud.bucket("b").value();
    REQUIRE(b.commit([](transaction& tx) {
        tx.add_wins_set("s").add("x");
        const auto found = tx.add_wins_set("s").contenders("x").value();
        REQUIRE(found.size() == 1);
        CHECK(found[0].writer == tx.id());
        CHECK(found[0].at == tx.at());
    }));
    const auto before = b.snapshot().value();
    REQUIRE(b.commit([](transaction& tx) { tx.add_wins_set("s").remove("x"); }));
    CHECK(before.add_wins_set("s").contenders("x")->size() == 1);
}

TEST_CASE("where the log is cut, what is not in the field itself has no time any more") {
    const auto world = std::make_shared<test::world>();
    auto o = test::options(world);
    o.log_retain_bytes = 0;
    auto a = store::in_memory(o).value();
    auto b = store::in_memory(o).value();
    share(a, {&b});
    REQUIRE(a.bucket("b")->commit([](transaction& tx) {
        tx.counter("f").add(1);
        tx.last_writer<std::string>("f").set("x");
    }));
    test::meet({&a, &b});
    CHECK_FALSE(look(a, field_type::counter).at(0).at);
    CHECK(look(a, field_type::last_writer).at(0).at);
}
