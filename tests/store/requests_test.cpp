// Executions of one request at several replicas count once.
#include <anabranch/store.hpp>

#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using namespace anabranch::test;

namespace {

struct pair {
    std::shared_ptr<world> w = std::make_shared<world>();
    store edge = memory_store(w);
    store cloud = memory_store(w);
    pair() { share(edge, {&cloud}); }
    bucket at_edge() { return edge.bucket("b").value(); }
    bucket at_cloud() { return cloud.bucket("b").value(); }
    request ask(std::string key, request_role role = request_role::primary) const {
        return {.tenant = "t", .principal = "p", .key = std::move(key), .issued = std::chrono::milliseconds{w->now_ms.load()}, .role = role};
    }
    void meet() { test::exchange(edge, cloud); }
    /// Everybody knows what everybody has; what is forgotten is.
    void settle() { test::meet({&edge, &cloud}); }
    bool agree() { return at_edge().digest().value() == at_cloud().digest().value(); }
};

auto adds(std::int64_t n) {
    return [n](transaction& tx) -> result<std::string> {
        tx.counter("c").add(n);
        return "added " + std::to_string(n);
    };
}
auto sets(const std::string& v) {
    return [v](transaction& tx) -> result<std::string> {
        tx.last_writer<std::string>("r").set(v);
        return v;
    };
}
std::optional<std::string> shown(bucket b) {
    return b.read([](const map_view& v) { return v.last_writer<std::string>("r").get(); }).value();
}
std::int64_t stock(bucket b) {
    return b.read([](const map_view& v) { return v.bounded_counter("s").value(); }).value();
}
std::int64_t available(bucket b) {
    return b.read([](const map_view& v) { return v.bounded_counter("s").available(); }).value();
}

}  // namespace

TEST_CASE("a request that is known does not run again, and is answered as before") {
    pair p;
    const auto r = p.ask("k");
    const auto first = p.at_edge().commit(r, adds(5)).value();
    CHECK_FALSE(first.is_repeat);
    CHECK(first.result == "added 5");
    const auto again = p.at_edge().commit(r, adds(7)).value();
    CHECK(again.is_repeat);
    CHECK(again.result == "added 5");
    CHECK(again.transaction == first.transaction);
    CHECK(count(p.at_edge()) == 5);
    p.meet();
    CHECK(p.at_cloud().commit(r, adds(9)).value().result == "added 5");
    CHECK(count(p.at_cloud()) == 5);
    CHECK(p.at_cloud().find(r).value()->result == "added 5");
    CHECK_FALSE(p.at_cloud().find(p.ask("other")).value());
}

TEST_CASE("the primary's execution counts, wherever the other one was first") {
    pair p;
    CHECK(p.at_cloud().commit(p.ask("k", request_role::mirror), adds(3)));
    CHECK(p.at_cloud().commit(p.ask("m", request_role::mirror), sets("mirror")));
    p.w->now_ms += 10;
    CHECK(p.at_edge().commit(p.ask("k"), adds(5)));
    CHECK(p.at_edge().commit(p.ask("m"), sets("primary")));
    p.meet();
    for (auto b : {p.at_edge(), p.at_cloud()}) {
        CHECK(count(b) == 5);
        CHECK(shown(b) == "primary");
        CHECK(b.commit(p.ask("k"), adds(9)).value().result == "added 5");
    }
    CHECK(p.agree());
}

TEST_CASE("a refusal is an answer, and loses against what was done") {
    pair p;
    const auto refuse = [](transaction& tx) -> result<std::string> {
        tx.counter("c").add(100);
        return tx.refuse("no");
    };
    const auto first = p.at_edge().commit(p.ask("k"), refuse).value();
    CHECK(first.outcome == request_outcome::refused);
    CHECK(first.result == "no");
    CHECK(count(p.at_edge()) == 0);
    CHECK(p.at_edge().commit(p.ask("k"), adds(1)).value().outcome == request_outcome::refused);
    CHECK(p.at_cloud().commit(p.ask("k"), adds(2)));
    p.meet();
    CHECK(count(p.at_edge()) == 2);
    CHECK(p.at_edge().commit(p.ask("k"), adds(1)).value().outcome == request_outcome::committed);
    CHECK_FALSE(p.at_edge().commit([](transaction& tx) -> result<void> {
        if (auto no = tx.refuse("plain"); !no) return fail(no.error());
        return {};
    }));
}

TEST_CASE("what is asked for decides whether it is the same request") {
    pair p;
    auto r = p.ask("k");
    r.content[0] = 1;
    CHECK(p.at_edge().commit(r, adds(1)));
    r.content[0] = 2;
    CHECK(p.at_edge().commit(r, adds(1)).error().code == errc::request_conflict);
    r.principal = "another";
    CHECK(p.at_edge().commit(r, adds(1)));
    CHECK(count(p.at_edge()) == 2);
    CHECK(p.at_edge().commit(p.ask(""), adds(1)).error().code == errc::invalid_argument);
    auto future = p.ask("f");
    future.issued += std::chrono::minutes{2};
    CHECK(p.at_edge().commit(future, adds(1)).error().code == errc::request_from_future);
}

TEST_CASE("made-up values are the same everywhere") {
    pair p;
    const auto r = p.ask("k");
    auto copy = p.ask("k", request_role::mirror);
    copy.attempt = 3;
    CHECK(r.id(0) == copy.id(0));
    CHECK(r.id(0) != r.id(1));
    CHECK(r.id(0) != p.ask("l").id(0));
    CHECK(r.id(0).size() == 36);
    CHECK(r.id(0)[14] == '8');
    CHECK(r.rng()() == copy.rng()());
}

TEST_CASE("a removal that saw one execution takes the other as well") {
    pair p;
    CHECK(p.at_cloud().commit(p.ask("k", request_role::mirror), [](transaction& tx) -> result<std::string> {
        tx.last_writer<std::string>("r").set("mirror");
        tx.add_wins_set("a").add("x");
        tx.remove_wins_set("w").add("x");
        tx.counter("c").add(3);
        tx.bounded_counter("s").add(3);
        return "";
    }));
    CHECK(p.at_cloud().commit([](transaction& tx) { tx.clear(); }));
    CHECK(p.at_edge().commit(p.ask("k"), [](transaction& tx) -> result<std::string> {
        tx.last_writer<std::string>("r").set("primary");
        tx.add_wins_set("a").add("x");
        tx.remove_wins_set("w").add("x");
        tx.counter("c").add(5);
        tx.bounded_counter("s").add(5);
        return "";
    }));
    p.meet();
    for (auto b : {p.at_edge(), p.at_cloud()}) {
        CHECK_FALSE(b.read([](const map_view& v) { return v.exists(); }).value());
        CHECK_FALSE(shown(b));
        CHECK(count(b) == 0);
        CHECK(stock(b) == 0);
    }
    CHECK(p.agree());
}

TEST_CASE("a suppressed overwrite gives back what nobody else overwrote") {
    pair p;
    CHECK(p.at_edge().commit([](transaction& tx) { tx.last_writer<std::string>("r").set("old"); }));
    p.meet();
    // The mirror took another branch.
    CHECK(p.at_cloud().commit(p.ask("k", request_role::mirror), sets("mirror")));
    CHECK(shown(p.at_cloud()) == "mirror");
    CHECK(p.at_edge().commit(p.ask("k"), adds(1)));
    p.meet();
    CHECK(shown(p.at_cloud()) == "old");
    CHECK(shown(p.at_edge()) == "old");
    CHECK(p.agree());
}

TEST_CASE("a suppressed spending gives its rights back to who spent them") {
    pair p;
    CHECK(p.at_edge().commit([](transaction& tx) { tx.bounded_counter("s").add(10); }));
    p.meet();
    const auto self = p.cloud.id();
    CHECK(p.at_edge().commit([&](transaction& tx) { return tx.bounded_counter("s").transfer(self, 4) ? result<void>{} : fail(errc::refused, ""); }));
    p.meet();
    const auto spends = [](transaction& tx) -> result<std::string> {
        if (!tx.bounded_counter("s").spend(3)) return tx.refuse("out of stock");
        return "sold";
    };
    CHECK(p.at_cloud().commit(p.ask("k", request_role::mirror), spends).value().result == "sold");
    CHECK(p.at_edge().commit(p.ask("k"), spends).value().result == "sold");
    CHECK(available(p.at_cloud()) == 1);
    p.meet();
    for (auto b : {p.at_edge(), p.at_cloud()}) CHECK(stock(b) == 7);
    CHECK(available(p.at_cloud()) == 4);
    CHECK(available(p.at_edge()) == 3);
    CHECK(p.agree());
}

TEST_CASE("rights that a request brought can be spent once it is fixed") {
    pair p;
    const auto brings = [](transaction& tx) -> result<std::string> {
        tx.bounded_counter("s").add(5);
        return "";
    };
    CHECK(p.at_edge().commit(p.ask("k"), brings));
    CHECK(stock(p.at_edge()) == 5);
    CHECK(available(p.at_edge()) == 0);
    p.settle();
    CHECK(available(p.at_edge()) == 0);
    p.w->now_ms += 40 * 60'000;
    p.settle();
    CHECK(p.at_edge().state()->requests() == 0);
    CHECK(available(p.at_edge()) == 5);
    CHECK(stock(p.at_cloud()) == 5);
    CHECK(p.agree());
}

TEST_CASE("identities are forgotten once nobody can execute them any more, and not before") {
    pair p;
    const auto r = p.ask("k");
    CHECK(p.at_edge().commit(r, sets("one")));
    CHECK(p.at_cloud().commit(p.ask("k", request_role::mirror), sets("two")));
    p.settle();
    p.w->now_ms += 29 * 60'000;
    p.settle();
    CHECK(p.at_edge().commit(r, sets("three")).value().is_repeat);
    p.w->now_ms += 10 * 60'000;
    // As long as one has not said that it refuses them, nobody forgets.
    CHECK(p.edge.sync());
    CHECK(p.at_edge().state()->requests() == 1);
    const auto before = p.at_edge().digest().value();
    p.settle();
    for (auto b : {p.at_edge(), p.at_cloud()}) {
        CHECK(b.state()->requests() == 0);
        CHECK(b.digest().value() == before);
        CHECK(shown(b) == "one");
        CHECK(b.commit(r, sets("four")).error().code == errc::request_too_old);
    }
}

TEST_CASE("a primary copy that finds the mirror's execution makes it stand") {
    pair p;
    CHECK(p.at_cloud().commit(p.ask("k", request_role::mirror), adds(3)));
    CHECK(p.at_cloud().unconfirmed().value().size() == 1);
    p.meet();
    CHECK(p.at_edge().unconfirmed().value().at(0).result == "added 3");
    const auto told = p.at_edge().commit(p.ask("k"), adds(5)).value();
    CHECK(told.is_repeat);
    CHECK(told.result == "added 3");
    CHECK(p.at_edge().unconfirmed().value().empty());
    p.meet();
    CHECK(p.at_cloud().unconfirmed().value().empty());
    CHECK(count(p.at_cloud()) == 3);
    CHECK(p.agree());
}

TEST_CASE("requests executed in opposite orders leave one value, the same everywhere") {
    pair p;
    CHECK(p.at_edge().commit(p.ask("one"), sets("1")));
    CHECK(p.at_edge().commit(p.ask("two"), sets("2")));
    CHECK(p.at_cloud().commit(p.ask("two", request_role::mirror), sets("2")));
    CHECK(p.at_cloud().commit(p.ask("one", request_role::mirror), sets("1")));
    p.meet();
    CHECK(shown(p.at_edge()));
    CHECK(shown(p.at_edge()) == shown(p.at_cloud()));
    CHECK(p.agree());
    const auto before = p.at_edge().digest().value();
    p.w->now_ms += 40 * 60'000;
    p.settle();
    CHECK(p.at_edge().state()->requests() == 0);
    CHECK(p.at_edge().digest().value() == before);
    CHECK(p.agree());
}

TEST_CASE("a store that is opened again knows what it knew") {
    temp_directory directory;
    auto w = std::make_shared<world>();
    auto o = options(w);
    request r;
    r.key = "k";
    r.issued = std::chrono::milliseconds{w->now_ms.load()};
    auto other = r;
    other.key = "l";
    {
        auto s = store::open(directory.path(), o).value();
        auto b = s.create_bucket("b").value();
        CHECK(b.commit(r, adds(5)));
        CHECK(b.commit([](transaction& tx) { tx.counter("c").reset(); }));
        CHECK(b.commit(other, adds(2)));
    }
    auto s = store::open(directory.path(), o).value();
    auto b = s.bucket("b").value();
    CHECK(b.commit(r, adds(9)).value().result == "added 5");
    CHECK(count(b) == 2);
    CHECK(b.state()->requests() == 2);
}

TEST_CASE("executions stand aside of a fold and count as they would alone") {
    pair p;
    CHECK(p.at_edge().commit([](transaction& tx) {
        tx.last_writer<std::string>("r").set("old");
        tx.bounded_counter("s").add(100);
    }));
    p.meet();
    for (int i = 0; i < 20; ++i) {
        const auto key = "k" + std::to_string(i);
        CHECK(p.at_edge().commit([&](transaction& tx) { tx.counter("c").add(1); }));
        CHECK(p.at_edge().commit(p.ask(key), adds(i)));
        CHECK(p.at_cloud().commit(p.ask(key, request_role::mirror), adds(i + 100)));
        CHECK(p.at_edge().commit([&](transaction& tx) {
            tx.last_writer<std::string>("r").set("edge " + key);
            tx.add_wins_set("a").add(key);
        }));
        CHECK(p.at_edge().commit(p.ask(key + "s"), [](transaction& tx) -> result<std::string> {
            if (!tx.bounded_counter("s").spend(2)) return tx.refuse("no");
            return "";
        }));
        if (i == 10) CHECK(p.at_edge().commit(p.ask("clear"), [](transaction& tx) -> result<std::string> {
            tx.remove("a", field_type::add_wins_set);
            return "";
        }));
        p.w->now_ms += 1;
    }
    CHECK(p.edge.sync());
    CHECK(p.cloud.sync());
    const auto folded = [](const bucket& from, const bucket& to) {
        detail::positions after;
        for (const auto& e : to.durable_progress()) after[e.origin] = e.sequence;
        auto chunk = from.state()->read_log(after, timestamp{UINT64_MAX}, {.fold_above = 2}).value();
        REQUIRE(chunk.folded);
        return chunk;
    };
    const auto chunk = folded(p.at_edge(), p.at_cloud());
    CHECK(chunk.folded->asides.size() == 41);
    CHECK(p.at_cloud().state()->apply(chunk, timestamp{UINT64_MAX}, p.edge.id()));
    CHECK(p.at_edge().state()->apply(folded(p.at_cloud(), p.at_edge()), timestamp{UINT64_MAX}, p.cloud.id()));
    CHECK(count(p.at_edge()) == 20 + 19 * 20 / 2);
    CHECK(count(p.at_cloud()) == count(p.at_edge()));
    CHECK(stock(p.at_cloud()) == 60);
    CHECK(p.at_cloud().read([](const map_view& v) { return v.add_wins_set("a").size(); }).value() == 9);
    CHECK(p.agree());
    p.w->now_ms += 40 * 60'000;
    p.settle();
    CHECK(p.at_cloud().state()->requests() == 0);
    CHECK(p.agree());
    CHECK(count(p.at_cloud()) == 20 + 19 * 20 / 2);
}

TEST_CASE("a fold is read though what one of its replicas did in it is cut away") {
    auto w = std::make_shared<world>();
    auto o = options(w);
    o.log_retain_bytes = 0;
    store a = store::in_memory(o).value();
    store b = store::in_memory(o).value();
    store c = store::in_memory(o).value();
    store d = store::in_memory(o).value();
    share(a, {&b, &c, &d});
    const auto ask = [&](std::string key) {
        return request{.tenant = "t", .principal = "p", .key = std::move(key), .issued = std::chrono::milliseconds{w->now_ms.load()}};
    };
    CHECK(a.bucket("b")->commit(ask("first"), adds(1)));
    // One member has what the one did, and not what the other did.
    CHECK(a.sync());
    CHECK(test::transfer(a.bucket("b").value(), d.bucket("b").value()));
    CHECK(d.sync());
    CHECK(b.bucket("b")->commit(ask("last"), adds(2)));
    exchange(a, b);
    CHECK(a.sync());
    const auto positions_of = [](const store& s) {
        detail::positions at;
        for (const auto& e : s.state()->find_bucket("b")->durable_progress()) at[e.origin] = e.sequence;
        return at;
    };
    const auto fold = a.bucket("b")->state()->read_log(positions_of(c), timestamp{UINT64_MAX}, {.fold_above = 0}).value();
    REQUIRE(fold.folded);
    REQUIRE(fold.folded->asides.size() == 2);
    CHECK(c.bucket("b")->state()->apply(fold, {UINT64_MAX}, a.id()));
    test::advertise(d, c);
    for (int n = 0; n < 3; ++n) meet({&a, &b, &c});
    CHECK(c.bucket("b")->state()->requests() == 2);
    auto after = positions_of(c);
    after[b.id()] = 0;
    const auto chunk = c.bucket("b")->state()->read_log(after, timestamp{UINT64_MAX}, {});
    REQUIRE(chunk);
    CHECK(chunk->ranges.size() == 1);
    CHECK(c.bucket("b")->state()->read_log({}, timestamp{UINT64_MAX}, {}).error().code == errc::behind_cut);
}
