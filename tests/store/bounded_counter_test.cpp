// Bounded counters through the public handles: rights, refusals, requests, heirs, removal.
#include <limits>

#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using test::exchange;
using test::meet;
using test::memory_store;
using test::share;

namespace {

constexpr auto most = std::numeric_limits<std::int64_t>::max();

struct counter_values {
    std::int64_t value = 0;
    std::int64_t bound = 0;
    std::int64_t available = 0;

    bool operator==(const counter_values&) const = default;
};
std::ostream& operator<<(std::ostream& out, const counter_values& v) {
    return out << v.value << " above " << v.bound << ", " << v.available << " here";
}

counter_values look(store& s) {
    return s.bucket("b")
        ->read([](const map_view& m) {
            const auto stock = m.bounded_counter("stock");
            return counter_values{stock.value().value(), stock.bound().value(), stock.available().value()};
        })
        .value();
}

template <class Function>
errc change(store& s, Function fn) {
    const auto done = s.bucket("b")->commit([&](transaction& tx) { return fn(tx.bounded_counter("stock")); });
    return done ? errc{} : done.error().code;
}
errc add(store& s, std::int64_t amount) {
    return change(s, [&](const bounded_counter_ref& c) { c.add(amount); });
}
/// Sells so many, or fails.
errc spend(store& s, std::int64_t amount) {
    return change(s, [&](const bounded_counter_ref& c) -> result<void> {
        if (const auto left = c.spend(amount); !left) return fail(left.error());
        return {};
    });
}
errc give(store& s, const store& to, std::int64_t amount) {
    return change(s, [&](const bounded_counter_ref& c) -> result<void> {
        if (const auto done = c.transfer(to.id(), amount); !done) return fail(done.error());
        return {};
    });
}

struct shop {
    std::shared_ptr<test::world> world = std::make_shared<test::world>();
    store cloud = memory_store(world);
    store edge = memory_store(world);
    store other = memory_store(world);

    shop() { share(cloud, {&edge, &other}); }
    void everybody_meets() { meet({&cloud, &edge, &other}); }
};

}  // namespace

TEST_CASE("a bounded counter is spent down to its bound and no further") {
    shop s;
    CHECK(look(s.cloud) == counter_values{});
    CHECK(add(s.cloud, 3) == errc{});
    CHECK(spend(s.cloud, 2) == errc{});
    CHECK(look(s.cloud) == counter_values{1, 0, 1});
    CHECK(spend(s.cloud, 2) == errc::insufficient_rights);
    CHECK(spend(s.cloud, 1) == errc{});
    CHECK(spend(s.cloud, 1) == errc::insufficient_rights);
    CHECK(look(s.cloud) == counter_values{});
    // Sold out, and still a counter.
    CHECK(s.cloud.bucket("b")->read([](const map_view& m) { return m.fields(); })->size() == 1);
}

TEST_CASE("a refusal says what is missing and where it is, and the transaction goes on") {
    shop s;
    REQUIRE(add(s.cloud, 10) == errc{});
    REQUIRE(give(s.cloud, s.other, 4) == errc{});
    s.everybody_meets();
    const auto answer = s.edge.bucket("b")->commit([](transaction& tx) {
        tx.counter("asked").add(1);
        const auto left = tx.bounded_counter("stock").spend(9);
        REQUIRE_FALSE(left);
        return result<refusal>(left.error());
    });
    REQUIRE(answer);
    CHECK(answer->code == errc::insufficient_rights);
    CHECK(answer->asked == 9);
    CHECK(answer->here == 0);
    CHECK(answer->elsewhere == std::vector<replica_rights>{{s.cloud.id(), 6}, {s.other.id(), 4}});
    CHECK(answer->is_elsewhere());
    CHECK(answer->message.find("9 asked for, 0 may be spent here, 6 by replica") == 0);
    CHECK(s.edge.bucket("b")->read([](const map_view& m) { return m.counter("asked").value(); }) == 1);

    const auto too_many = s.edge.bucket("b")->commit([](transaction& tx) -> result<bool> {
        const auto left = tx.bounded_counter("stock").spend(11);
        return left.has_value() || left.error().is_elsewhere();
    });
    CHECK(too_many == false);
}

TEST_CASE("a transaction's own changes to a bounded counter count for it") {
    shop s;
    REQUIRE(s.cloud.bucket("b")->commit([&](transaction& tx) {
        const auto stock = tx.bounded_counter("stock");
        stock.add(5);
        CHECK(stock.spend(3) == 2);
        CHECK_FALSE(stock.spend(3));
        CHECK(stock.set_bound(1));
        CHECK(stock.available() == 1);
        CHECK(stock.spend(0) == 1);
        CHECK(stock.value() == 2);
        tx.clear();
        CHECK(stock.value() == 0);
        CHECK_FALSE(stock.spend(1));
        stock.add(7);
        CHECK(stock.transfer(s.edge.id(), 2));
        CHECK(stock.available() == 5);
    }));
    CHECK(look(s.cloud) == counter_values{7, 0, 5});
    exchange(s.cloud, s.edge);
    CHECK(look(s.edge) == counter_values{7, 0, 2});
}

TEST_CASE("amounts that cannot be are refused and change nothing") {
    shop s;
    REQUIRE(add(s.cloud, 5) == errc{});
    const auto digest = s.cloud.bucket("b")->digest().value();
    CHECK(add(s.cloud, -1) == errc::invalid_argument);
    CHECK(spend(s.cloud, -1) == errc::invalid_argument);
    CHECK(give(s.cloud, s.edge, -1) == errc::invalid_argument);
    CHECK(change(s.cloud, [](const auto& c) { c.request(-1); }) == errc::invalid_argument);
    CHECK(add(s.cloud, most) == errc::overflow);
    CHECK(spend(s.cloud, most) == errc::insufficient_rights);
    CHECK(change(s.cloud, [](const auto& c) {
              CHECK(c.set_bound(-most));
              CHECK(c.set_bound(0));
              CHECK_FALSE(c.set_bound(most));
              CHECK(c.set_bound(-most));
              CHECK_FALSE(c.set_bound(1));  // by more than int64 holds
          }) == errc::overflow);
    CHECK(look(s.cloud) == counter_values{5, 0, 5});
    // After the first failure a transaction does nothing any more, and says why.
    CHECK(change(s.cloud, [](const bounded_counter_ref& c) {
              c.add(-1);
              const auto left = c.spend(1);
              REQUIRE_FALSE(left);
              CHECK(left.error().code == errc::invalid_argument);
          }) == errc::invalid_argument);
    CHECK(look(s.cloud) == counter_values{5, 0, 5});
    CHECK(digest == s.cloud.bucket("b")->digest().value());
}

TEST_CASE("sums over replicas that int64 does not hold are an error to read and no licence to spend") {
    shop s;
    REQUIRE(add(s.cloud, most) == errc{});
    REQUIRE(add(s.edge, most) == errc{});
    s.everybody_meets();
    s.cloud.bucket("b")->read([](const map_view& m) {
        CHECK(m.bounded_counter("stock").value().error().code == errc::overflow);
        CHECK(m.bounded_counter("stock").available() == most);
    });
    CHECK(spend(s.cloud, most) == errc{});
    CHECK(spend(s.cloud, 1) == errc::insufficient_rights);
}

TEST_CASE("a bound above the value is refused, one below it makes rights, and concurrent moves add up") {
    shop s;
    REQUIRE(add(s.cloud, 5) == errc{});
    REQUIRE(give(s.cloud, s.edge, 2) == errc{});
    s.everybody_meets();
    const auto move = [](std::int64_t to) {
        return [to](const bounded_counter_ref& c) -> result<void> {
            if (const auto done = c.set_bound(to); !done) return fail(done.error());
            return {};
        };
    };
    CHECK(change(s.cloud, move(6)) == errc::insufficient_rights);
    CHECK(change(s.cloud, move(4)) == errc::insufficient_rights);  // the value allows it, the edge's rights are in the way
    CHECK(change(s.cloud, move(3)) == errc{});
    CHECK(look(s.cloud) == counter_values{5, 3, 0});
    CHECK(change(s.edge, move(-10)) == errc{});
    s.everybody_meets();
    CHECK(look(s.cloud) == counter_values{5, -7, 0});
    CHECK(look(s.edge) == counter_values{5, -7, 12});
    CHECK(spend(s.edge, 12) == errc{});
    CHECK(look(s.edge) == counter_values{-7, -7, 0});
}

TEST_CASE("rights go to members only, also to those that have never written") {
    shop s;
    REQUIRE(add(s.cloud, 5) == errc{});
    CHECK(give(s.cloud, memory_store(s.world), 1) == errc::not_a_member);
    CHECK(give(s.cloud, s.edge, 6) == errc::insufficient_rights);
    CHECK(give(s.cloud, s.edge, 5) == errc{});
    CHECK(give(s.cloud, s.cloud, 5) == errc{});  // it keeps them
    s.everybody_meets();
    CHECK(look(s.cloud) == counter_values{5, 0, 0});
    CHECK(look(s.other) == counter_values{5, 0, 0});
    CHECK(look(s.edge) == counter_values{5, 0, 5});
    CHECK(spend(s.edge, 5) == errc{});
}

TEST_CASE("two tills, one last item, no connection: one of them sells it") {
    shop s;
    REQUIRE(add(s.cloud, 1) == errc{});
    REQUIRE(give(s.cloud, s.edge, 1) == errc{});
    s.everybody_meets();
    CHECK(spend(s.cloud, 1) == errc::insufficient_rights);
    CHECK(spend(s.edge, 1) == errc{});
    CHECK(spend(s.other, 1) == errc::insufficient_rights);
    s.everybody_meets();
    for (auto* each : {&s.cloud, &s.edge, &s.other}) CHECK(look(*each) == counter_values{});
}

TEST_CASE("who is refused asks, and gets what it lacks when the others hear of it") {
    shop s;
    REQUIRE(add(s.cloud, 100) == errc{});
    s.everybody_meets();
    CHECK(spend(s.edge, 3) == errc::insufficient_rights);
    CHECK(s.edge.state()->has_duties());
    s.everybody_meets();
    CHECK(look(s.edge) == counter_values{100, 0, 3});
    CHECK(spend(s.edge, 3) == errc{});
    // It says with every sale how many it wants: what was sold is made up for, and what was asked for once.
    s.everybody_meets();
    CHECK(look(s.edge).available == 6);
    CHECK(look(s.cloud).available == 91);
}

TEST_CASE("who tries again and again does not ask for more") {
    shop s;
    s.everybody_meets();
    REQUIRE(add(s.cloud, 100) == errc{});
    s.everybody_meets();
    for (int i = 0; i < 50; ++i) CHECK(spend(s.edge, 2) == errc::insufficient_rights);
    s.everybody_meets();
    CHECK(look(s.edge).available == 2);
}

TEST_CASE("nobody gives what it needs itself") {
    shop s;
    REQUIRE(add(s.cloud, 20) == errc{});
    s.everybody_meets();
    CHECK(spend(s.cloud, 4) == errc{});  // 16 are left, and 4 were wanted lately
    CHECK(spend(s.edge, 12) == errc::insufficient_rights);
    s.everybody_meets();
    CHECK(look(s.edge).available == 12);
    CHECK(look(s.cloud).available == 4);
    // Where there is not enough, the two share by what they want: 4 and 12 + 12 of 4.
    CHECK(spend(s.edge, 12) == errc{});
    CHECK(spend(s.edge, 1) == errc::insufficient_rights);
    s.everybody_meets();
    CHECK(look(s.edge).available == 3);
    CHECK(look(s.cloud).available == 1);
}

TEST_CASE("what was wanted long ago is not wanted any more") {
    shop s;
    REQUIRE(add(s.cloud, 20) == errc{});
    CHECK(spend(s.cloud, 8) == errc{});
    s.world->now_ms += 30'000;
    CHECK(spend(s.edge, 12) == errc::insufficient_rights);
    s.everybody_meets();
    CHECK(spend(s.edge, 12) == errc::insufficient_rights);  // it did not know yet of any
    s.everybody_meets();
    CHECK(look(s.edge).available == 12);
}

TEST_CASE("a request by call, and its withdrawal") {
    shop s;
    REQUIRE(add(s.cloud, 20) == errc{});
    s.everybody_meets();
    CHECK(change(s.edge, [](const auto& c) { c.request(5); }) == errc{});
    s.everybody_meets();
    CHECK(look(s.edge).available == 5);
    CHECK(change(s.edge, [](const auto& c) { c.request(0); }) == errc{});
    s.everybody_meets();
    CHECK(look(s.edge).available == 5);
    // Of what is not there nothing can be asked for.
    CHECK(s.edge.bucket("b")->commit([](transaction& tx) { tx.bounded_counter("none").request(5); }));
    CHECK_FALSE(s.edge.bucket("b")->read([](const map_view& m) { return m.fields(); })->size() > 1);
}

TEST_CASE("a request survives a sale") {
    shop s;
    REQUIRE(add(s.cloud, 1000) == errc{});
    REQUIRE(give(s.cloud, s.edge, 5) == errc{});
    s.everybody_meets();
    CHECK(change(s.edge, [](const auto& c) { c.request(100); }) == errc{});
    CHECK(spend(s.edge, 1) == errc{});
    s.everybody_meets();
    CHECK(look(s.edge).available == 99);
    // What is reserved is not given away, whoever wants it.
    CHECK(spend(s.other, 950) == errc::insufficient_rights);
    s.everybody_meets();
    CHECK(look(s.edge).available == 99);
    CHECK(look(s.other).available == 855);  // the cloud's part of it
}

TEST_CASE("of counters with several births the latest word counts") {
    shop s;
    REQUIRE(add(s.other, 100) == errc{});
    exchange(s.other, s.edge);
    CHECK(change(s.edge, [](const auto& c) { c.request(50); }) == errc{});
    REQUIRE(add(s.cloud, 100) == errc{});
    REQUIRE(s.cloud.sync());
    REQUIRE(test::transfer(s.cloud.bucket("b").value(), s.edge.bucket("b").value()));
    CHECK(change(s.edge, [](const auto& c) { c.request(0); }) == errc{});
    exchange(s.edge, s.cloud);
    CHECK(change(s.edge, [](const auto& c) { c.request(1); }) == errc{});
    s.everybody_meets();
    CHECK(look(s.edge).available == 1);
}

TEST_CASE("an order that nobody can fill takes nobody anything, and nobody asks for what is sold out") {
    shop s;
    REQUIRE(add(s.cloud, 10) == errc{});
    s.everybody_meets();
    CHECK(spend(s.edge, 11) == errc::insufficient_rights);
    CHECK_FALSE(s.edge.state()->has_duties());
    s.everybody_meets();
    CHECK(look(s.cloud).available == 10);
}

TEST_CASE("without a window rights move by call only") {
    const auto world = std::make_shared<test::world>();
    auto o = test::options(world);
    o.rights_window = std::chrono::milliseconds{0};
    auto a = store::in_memory(o).value();
    auto b = store::in_memory(o).value();
    share(a, {&b});
    REQUIRE(add(a, 9) == errc{});
    meet({&a, &b});
    CHECK(spend(b, 1) == errc::insufficient_rights);
    meet({&a, &b});
    CHECK(look(b).available == 0);
    CHECK(give(a, b, 1) == errc{});
    meet({&a, &b});
    CHECK(spend(b, 1) == errc{});
    // It says nothing of what it would like to have to others, either, who may be of another mind.
    auto c = store::in_memory(test::options(world)).value();
    REQUIRE(c.bucket("b"));
    REQUIRE(a.bucket("b")->state()->sponsor(c.id()));
    meet({&a, &b, &c});
    REQUIRE(give(a, c, 5) == errc{});
    meet({&a, &b, &c});
    REQUIRE(give(c, b, 1) == errc{});
    meet({&a, &b, &c});
    CHECK(spend(b, 1) == errc{});
    meet({&a, &b, &c});
    CHECK(look(b).available == 0);
    CHECK(look(c).available == 4);
}

TEST_CASE("several holders together give what is lacking, and not more") {
    shop s;
    REQUIRE(add(s.cloud, 30) == errc{});
    REQUIRE(give(s.cloud, s.other, 10) == errc{});
    s.everybody_meets();
    CHECK(spend(s.edge, 7) == errc::insufficient_rights);
    s.everybody_meets();
    CHECK(look(s.edge).available == 7);
    CHECK(look(s.cloud).available + look(s.other).available == 23);
    CHECK(look(s.other).available < 10);
}

TEST_CASE("the rights of who leaves go to the authority, also those that were still on their way") {
    shop s;
    REQUIRE(add(s.cloud, 10) == errc{});
    REQUIRE(give(s.cloud, s.edge, 4) == errc{});
    s.everybody_meets();
    REQUIRE(spend(s.edge, 1) == errc{});
    REQUIRE(s.edge.bucket("b")->leave());
    REQUIRE(give(s.cloud, s.edge, 2) == errc{});
    s.everybody_meets();
    CHECK(look(s.cloud) == counter_values{9, 0, 9});
    CHECK(spend(s.cloud, 9) == errc{});
    CHECK(look(s.cloud) == counter_values{});
    CHECK(give(s.cloud, s.edge, 0) == errc::not_a_member);
}

TEST_CASE("the authority cannot leave before another has taken over") {
    shop s;
    const auto refused = s.cloud.bucket("b")->leave();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::refused);
    REQUIRE(add(s.cloud, 10) == errc{});
    s.everybody_meets();
    REQUIRE(s.edge.bucket("b")->take_authority());
    s.everybody_meets();
    REQUIRE(s.cloud.bucket("b")->leave());
    s.everybody_meets();
    CHECK(look(s.edge) == counter_values{10, 0, 10});
    // A line of heirs.
    REQUIRE(s.other.bucket("b")->take_authority());
    s.everybody_meets();
    REQUIRE(s.edge.bucket("b")->leave());
    s.everybody_meets();
    CHECK(look(s.other) == counter_values{10, 0, 10});
    REQUIRE(s.other.bucket("b")->leave());  // nobody is left
}

TEST_CASE("the rights of who is retired are paid out once, by the authority") {
    shop s;
    REQUIRE(add(s.cloud, 10) == errc{});
    REQUIRE(give(s.cloud, s.edge, 6) == errc{});
    s.everybody_meets();
    REQUIRE(spend(s.edge, 1) == errc{});
    s.everybody_meets();
    REQUIRE(spend(s.edge, 2) == errc{});  // nobody has heard of it, and nobody will
    REQUIRE(s.cloud.bucket("b")->retire(s.edge.id()));
    CHECK(look(s.cloud).available == 4);
    meet({&s.cloud, &s.other});
    CHECK(look(s.cloud) == counter_values{9, 0, 9});
    CHECK(look(s.other) == counter_values{9, 0, 0});
    CHECK(spend(s.cloud, 9) == errc{});
    CHECK(spend(s.cloud, 1) == errc::insufficient_rights);
    meet({&s.cloud, &s.other});
    CHECK(look(s.other) == counter_values{});
}

TEST_CASE("an authority of another term does not finish a retirement on reports to the last one") {
    shop s;
    REQUIRE(add(s.edge, 5) == errc{});
    s.everybody_meets();
    REQUIRE(s.cloud.bucket("b")->retire(s.edge.id()));
    // The other one reports to the cloud, and takes over without having heard that the cloud went on.
    exchange(s.cloud, s.other);
    REQUIRE(s.other.sync());
    exchange(s.other, s.cloud);
    REQUIRE(s.cloud.sync());
    CHECK(look(s.cloud).available == 5);
    REQUIRE(s.other.bucket("b")->take_authority());
    for (int i = 0; i < 3; ++i) REQUIRE(s.other.sync());
    CHECK(look(s.other).available == 0);
    meet({&s.cloud, &s.other});
    CHECK(look(s.cloud).available == 5);
    CHECK(look(s.other).available == 0);
}

TEST_CASE("a removal takes a bounded counter as a whole, and not at all where it was used meanwhile") {
    shop s;
    REQUIRE(add(s.cloud, 10) == errc{});
    REQUIRE(give(s.cloud, s.edge, 4) == errc{});
    s.everybody_meets();
    const auto remove = [](store& at) { return at.bucket("b")->commit([](transaction& tx) { tx.clear(); }).has_value(); };
    REQUIRE(remove(s.cloud));
    CHECK(look(s.cloud) == counter_values{});
    REQUIRE(spend(s.edge, 1) == errc{});
    s.everybody_meets();
    CHECK(look(s.cloud) == counter_values{9, 0, 6});
    REQUIRE(remove(s.cloud));
    s.everybody_meets();
    CHECK(look(s.edge) == counter_values{});
    CHECK(spend(s.edge, 1) == errc::insufficient_rights);
    CHECK(add(s.edge, 2) == errc{});
    s.everybody_meets();
    CHECK(look(s.cloud) == counter_values{2, 0, 0});
    CHECK(look(s.edge) == counter_values{2, 0, 2});
}

TEST_CASE("moving rights does not keep a removed counter in existence, and what is stable of it goes") {
    shop s;
    REQUIRE(add(s.cloud, 10) == errc{});
    s.everybody_meets();
    REQUIRE(s.edge.bucket("b")->commit([](transaction& tx) { tx.clear(); }));
    REQUIRE(give(s.cloud, s.other, 4) == errc{});
    s.everybody_meets();
    for (auto* each : {&s.cloud, &s.edge, &s.other}) {
        CHECK(look(*each) == counter_values{});
        REQUIRE(each->sync());
        CHECK(test::leftover_keys(*each) == 0);
        CHECK(test::row_keys(*each) == 0);
    }
}

TEST_CASE("counters that two replicas created add up, and are spent as one") {
    shop s;
    REQUIRE(add(s.cloud, 2) == errc{});
    REQUIRE(add(s.edge, 3) == errc{});
    s.everybody_meets();
    CHECK(look(s.cloud) == counter_values{5, 0, 2});
    REQUIRE(give(s.cloud, s.edge, 2) == errc{});
    s.everybody_meets();
    CHECK(spend(s.edge, 6) == errc::insufficient_rights);
    CHECK(spend(s.edge, 5) == errc{});
    s.everybody_meets();
    CHECK(look(s.other) == counter_values{});
}

TEST_CASE("a snapshot keeps the rights that there were") {
    shop s;
    REQUIRE(add(s.cloud, 2) == errc{});
    const auto before = s.cloud.bucket("b")->snapshot().value();
    REQUIRE(spend(s.cloud, 2) == errc{});
    CHECK(before.bounded_counter("stock").available() == 2);
    CHECK(before.bounded_counter("stock").rights() == std::vector<replica_rights>{{s.cloud.id(), 2}});
}

TEST_CASE("a new incarnation begins without rights, and those of the old one go to the authority") {
    const auto world = std::make_shared<test::world>();
    auto cloud = memory_store(world);
    REQUIRE(cloud.create_bucket("b"));
    REQUIRE(add(cloud, 10) == errc{});
    REQUIRE(cloud.sync());
    const auto randomness = world->randomness.load();
    {
        auto edge = memory_store(world);
        REQUIRE(edge.bucket("b"));
        test::talk(cloud, edge);
        REQUIRE(give(cloud, edge, 4) == errc{});
        test::talk(cloud, edge);
        REQUIRE(spend(edge, 1) == errc{});
        test::talk(cloud, edge);
        CHECK(look(edge).available == 3);
    }
    world->randomness = randomness;  // the same identity, on an empty disk
    auto edge = memory_store(world);
    REQUIRE(edge.bucket("b"));
    for (int i = 0; i < 4; ++i) test::talk(cloud, edge);
    REQUIRE(edge.bucket("b")->is_member());
    CHECK(look(edge) == counter_values{9, 0, 0});
    CHECK(look(cloud) == counter_values{9, 0, 9});
    CHECK(spend(edge, 1) == errc::insufficient_rights);
}

TEST_CASE("rights survive the process") {
    test::temp_directory directory;
    const auto world = std::make_shared<test::world>();
    auto other = memory_store(world);
    {
        auto s = store::open(directory.path(), test::options(world)).value();
        share(s, {&other});
        REQUIRE(add(s, 5) == errc{});
        exchange(s, other);
    }
    auto s = store::open(directory.path(), test::options(world)).value();
    CHECK(look(s) == counter_values{5, 0, 5});
    CHECK(spend(s, 2) == errc{});
    CHECK(look(s) == counter_values{3, 0, 3});
}
