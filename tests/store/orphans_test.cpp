// Replicas that come back after they were retired: what of them counts, and what becomes of the rest.
#include <algorithm>

#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/borrowed_engine.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using test::add;
using test::count;
using test::meet;
using test::share;
using test::talk;

namespace {

constexpr std::chrono::milliseconds epoch{1'700'000'000'000};

request order(std::string key, std::chrono::milliseconds issued = epoch) {
    return {.tenant = "t", .principal = "p", .key = std::move(key), .issued = issued};
}
result<receipt> sell(bucket at, const request& r, std::int64_t amount = 1) {
    return at.commit(r, [&](transaction& tx) -> result<std::string> {
        tx.counter("sold").add(amount);
        tx.last_writer<std::string>(r.key).set("sold");
        return "sold " + std::to_string(amount);
    });
}
std::int64_t sold(const bucket& at) {
    return at.read([](const map_view& m) { return m.counter("sold").value(); }).value();
}
std::string shown(const bucket& at, std::string_view name) {
    return at.read([&](const map_view& m) { return m.last_writer<std::string>(name).get(); }).value().value_or("");
}
member_stage stage_of(const bucket& at, const replica_id& who) {
    for (const auto& m : at.members()) {
        if (m.id == who) return m.stage;
    }
    FAIL("not a member");
    return {};
}

/// Eve is cut off, is given up, and has gone on meanwhile.
struct given_up {
    explicit given_up(std::shared_ptr<storage::engine> disk = test::watched_engine(std::make_shared<test::engine_use>()),
                      std::uint64_t log_retain_bytes = store_options{}.log_retain_bytes)
        : disk_of_eve(std::move(disk)),
          ada(store::in_memory(retaining(log_retain_bytes)).value()),
          bob(store::in_memory(retaining(log_retain_bytes)).value()),
          eve(store::on(std::make_unique<test::borrowed_engine>(disk_of_eve), test::options(world)).value()) {
        share(ada, {&bob, &eve});
        a = ada.bucket("b").value();
        b = bob.bucket("b").value();
        e = eve.bucket("b").value();
        former = eve.id();
        REQUIRE(add(e.value(), 5) == errc{});
        REQUIRE(sell(*e, order("known")));
        meet({&ada, &bob, &eve});
        REQUIRE(add(*e, 7) == errc{});
        REQUIRE(add(*e, 8) == errc{});
        REQUIRE(e->commit([](transaction& tx) {
            tx.last_writer<std::string>("l").set("eve's");
            tx.add_wins_set("s").add("eve's");
        }));
        REQUIRE(sell(*e, order("late"), 3));
        REQUIRE(eve.sync());
        REQUIRE(a->retire(former));
        meet({&ada, &bob});
        REQUIRE(stage_of(*a, former) == member_stage::retired);
        REQUIRE(add(*a, 100) == errc{});
        REQUIRE(ada.sync());
    }
    store_options retaining(std::uint64_t log_retain_bytes) const {
        auto o = test::options(world);
        o.log_retain_bytes = log_retain_bytes;
        return o;
    }
    void meet_again() {
        // What she has is replaced; she begins anew; she is let in; and the others hear of it.
        for (int i = 0; i < 4; ++i) {
            (void)talk(ada, eve);
            REQUIRE(ada.sync());
            REQUIRE(eve.sync());
        }
        meet({&ada, &bob, &eve});
    }

    std::shared_ptr<test::world> world = std::make_shared<test::world>();
    std::shared_ptr<storage::engine> disk_of_eve;
    store ada;
    store bob;
    store eve;
    std::optional<bucket> a, b, e;
    replica_id former;
};

}  // namespace

TEST_CASE("who comes back after it was retired sets aside what does not count, and begins anew") {
    given_up s;
    const auto ended = talk(s.ada, s.eve);
    REQUIRE(ended.one);
    CHECK(ended.one->code == errc::retired);
    CHECK(count(*s.a) == 105);
    CHECK(count(*s.e) == 105);
    CHECK(shown(*s.e, "l").empty());
    CHECK(s.e->digest().value() == s.a->digest().value());
    CHECK(s.e->progress() == s.a->progress());

    const auto orphans = s.e->orphans().value();
    REQUIRE(orphans.size() == 4);
    CHECK(std::ranges::all_of(orphans, [&](const auto& o) { return o.transaction.origin == s.former; }));
    const auto amount = [&](std::size_t i) { return orphans[i].changes.at(0).amount; };
    CHECK(amount(0) == 7);
    CHECK(amount(1) == 8);
    REQUIRE(orphans[2].changes.size() == 2);
    CHECK(orphans[2].changes[0].value == value_codec<std::string>::encode("eve's"));
    CHECK(orphans[2].changes[1].change.element == "eve's");
    CHECK_FALSE(orphans[2].request);
    REQUIRE(orphans[3].request);
    CHECK(orphans[3].request->identity == order("late").identity());
    CHECK(orphans[3].request->result == "sold 3");
    CHECK(s.e->orphans(1).value().size() == 1);

    CHECK(s.e->commit([](transaction& tx) { tx.counter("c").add(1); }).error().code == errc::retired);
    s.meet_again();
    CHECK(s.eve.id().value == s.former.value);
    CHECK(s.eve.id().incarnation > s.former.incarnation);
    CHECK(s.e->is_member());
    CHECK(stage_of(*s.b, s.former) == member_stage::retired);
    REQUIRE(add(*s.e, 1) == errc{});
    meet({&s.ada, &s.bob, &s.eve});
    CHECK(count(*s.b) == 106);
    CHECK(s.e->orphans().value() == orphans);
}

TEST_CASE("an orphaned request is executed again, and once") {
    given_up s;
    s.meet_again();
    const auto late = s.e->orphans().value().at(3).transaction;
    const auto plain = s.e->orphans().value().at(0).transaction;
    SECTION("which counts then") {
        const auto told = s.e->resubmit(late).value();
        CHECK_FALSE(told.is_repeat);
        CHECK(told.result == "sold 3");
        CHECK(told.transaction.origin == s.eve.id());
        meet({&s.ada, &s.bob, &s.eve});
        CHECK(sold(*s.b) == 4);
        CHECK(shown(*s.b, "late") == "sold");
        // Its client tries again, elsewhere.
        CHECK(sell(*s.b, order("late"), 3)->is_repeat);
    }
    SECTION("or did so already") {
        REQUIRE(sell(*s.b, order("late"), 3));
        meet({&s.ada, &s.bob, &s.eve});
        CHECK(s.e->resubmit(late)->is_repeat);
        meet({&s.ada, &s.bob, &s.eve});
        CHECK(sold(*s.a) == 4);
    }
    CHECK(s.e->orphans().value().size() == 3);
    CHECK(s.e->resubmit(late).error().code == errc::invalid_argument);
    CHECK(s.e->resubmit(plain).error().code == errc::invalid_argument);
    REQUIRE(s.e->dismiss(plain));
    CHECK(s.e->dismiss(plain).error().code == errc::invalid_argument);
    CHECK(s.e->orphans().value().size() == 2);
}

TEST_CASE("an orphaned request that others may have forgotten stays an orphan") {
    given_up s;
    s.world->now_ms += std::chrono::milliseconds(store_options{}.request_window * 3).count();
    for (int i = 0; i < 4; ++i) s.meet_again();
    const auto late = s.e->orphans().value().at(3).transaction;
    CHECK(s.e->resubmit(late).error().code == errc::request_too_old);
    CHECK(s.e->orphans().value().size() == 4);
    CHECK(sold(*s.e) == 1);
}

TEST_CASE("what spent rights is done again only where they may be spent") {
    auto world = std::make_shared<test::world>();
    auto ada = test::memory_store(world);
    auto eve = test::memory_store(world);
    share(ada, {&eve});
    auto a = ada.bucket("b").value();
    auto e = eve.bucket("b").value();
    REQUIRE(e.commit([](transaction& tx) { tx.bounded_counter("stock").add(10); }));
    meet({&ada, &eve});
    const auto spent = e.commit(order("o"), [](transaction& tx) -> result<std::string> {
        if (!tx.bounded_counter("stock").spend(4)) return fail(errc::insufficient_rights, "");
        return "4";
    });
    REQUIRE(spent);
    REQUIRE(eve.sync());
    REQUIRE(a.retire(eve.id()));
    for (int i = 0; i < 3; ++i) REQUIRE(ada.sync());
    for (int i = 0; i < 4; ++i) {
        (void)talk(ada, eve);
        REQUIRE(ada.sync());
        REQUIRE(eve.sync());
    }
    const auto orphan = e.orphans().value().at(0);
    CHECK(orphan.changes.at(0).amount == -4);
    // Ada inherited all of them.
    CHECK(e.resubmit(orphan.transaction).error().code == errc::insufficient_rights);
    CHECK(e.orphans().value().size() == 1);
    REQUIRE(a.commit([&](transaction& tx) { REQUIRE(tx.bounded_counter("stock").transfer(eve.id(), 5)); }));
    meet({&ada, &eve});
    CHECK(e.resubmit(orphan.transaction).value().result == "4");
    meet({&ada, &eve});
    CHECK(a.read([](const map_view& m) { return m.bounded_counter("stock").value(); }).value() == 6);
}

TEST_CASE("while what does not count is in the rows it is neither told nor built upon") {
    given_up s;
    // She hears of it from one who cannot give her his state.
    REQUIRE(test::transfer(*s.a, *s.e));
    CHECK(s.e->state()->has_orphans());
    CHECK(s.e->state()->begin_walk(codec::encode(detail::walk_request{})).error().code == errc::retired);
    CHECK_FALSE(s.e->state()->is_joining());
    REQUIRE(s.eve.sync());
    CHECK(s.eve.id() == s.former);
    CHECK(s.e->orphans().value().empty());
    // She has seen what she is to have and is told no more of it; what does not count goes.
    CHECK(count(*s.e) == 120);
    (void)talk(s.ada, s.eve);
    CHECK(count(*s.e) == 105);
    CHECK_FALSE(s.e->state()->has_orphans());
    CHECK(s.e->orphans().value().size() == 4);
}

TEST_CASE("who was retired and is behind the cut hears of both at once") {
    given_up s(test::watched_engine(std::make_shared<test::engine_use>()), 0);
    meet({&s.ada, &s.bob});
    CHECK(s.a->state()->floor().contains(s.ada.id()));
    (void)talk(s.ada, s.eve);
    CHECK(count(*s.e) == 105);
    CHECK(s.e->orphans().value().size() == 4);
    s.meet_again();
    CHECK(s.e->is_member());
}

TEST_CASE("who has more of a retired replica than counts gets all rows, however little has changed since it was there") {
    auto world = std::make_shared<test::world>();
    auto o = test::options(world);
    o.journal_step = 2;
    o.log_retain_bytes = 0;
    auto ada = store::in_memory(o).value();
    auto eve = test::memory_store(world);
    share(ada, {&eve});
    auto a = ada.bucket("b").value();
    auto e = eve.bucket("b").value();
    for (const char* name : {"0", "1", "2", "3", "4", "5"}) {
        REQUIRE(a.commit([&](transaction& tx) { tx.counter(name).add(1); }));
    }
    meet({&ada, &eve});
    const auto asks = [&] {
        detail::positions has;
        for (const auto& entry : a.progress()) has[entry.origin] = entry.sequence;
        return e.state()->receive_walk(has).value();
    };
    const auto is_whole = [&](const detail::walk_sink& sink) {
        const auto source = a.state()->begin_walk(sink.request()).value();
        return codec::decode<detail::walk_piece>(source->next(1).value().value())->begin->is_whole;
    };
    // What is new has nothing to do with most rows.
    REQUIRE(add(a, 100) == errc{});
    CHECK_FALSE(is_whole(*asks()));
    REQUIRE(add(e, 7) == errc{});
    REQUIRE(e.commit([](transaction& tx) { tx.counter("0").add(7); }));
    REQUIRE(eve.sync());
    REQUIRE(a.retire(eve.id()));
    for (int i = 0; i < 4; ++i) REQUIRE(ada.sync());
    REQUIRE(stage_of(a, eve.id()) == member_stage::retired);
    // She does not know yet that she was retired.
    REQUIRE_FALSE(e.state()->has_orphans());
    const auto sink = asks();
    CHECK(is_whole(*sink));
    const auto source = a.state()->begin_walk(sink->request()).value();
    REQUIRE(sink->take(source->next(SIZE_MAX).value().value(), timestamp{UINT64_MAX}, ada.id()));
    CHECK(e.digest().value() == a.digest().value());
    CHECK(e.orphans().value().size() == 2);
}

TEST_CASE("a feed is told that what it has seen is not here any more") {
    given_up s;
    auto feed = s.e->watch().value();
    const auto token = feed.token().value();
    (void)talk(s.ada, s.eve);
    CHECK(feed.pull().error().code == errc::behind_cut);
    REQUIRE(s.eve.sync());
    CHECK(s.e->resume(token).error().code == errc::invalid_token);
    CHECK(s.e->watch());
}

TEST_CASE("the authority that was given up comes back, too") {
    given_up s;
    REQUIRE(s.b->take_authority());
    meet({&s.bob, &s.ada});
    const auto id = s.ada.id();
    // Nobody hears of these.
    REQUIRE(add(*s.a, 1'000) == errc{});
    REQUIRE(s.ada.sync());
    REQUIRE(s.b->retire(id));
    for (int i = 0; i < 4; ++i) REQUIRE(s.bob.sync());
    REQUIRE(stage_of(*s.b, id) == member_stage::retired);
    for (int i = 0; i < 4; ++i) {
        (void)talk(s.bob, s.ada);
        REQUIRE(s.bob.sync());
        REQUIRE(s.ada.sync());
    }
    CHECK(count(*s.a) == count(*s.b));
    CHECK(s.ada.id() != id);
    CHECK(s.a->is_member());
    CHECK(s.a->orphans().value().size() == 1);
}

TEST_CASE("a disk that dies as orphans are set aside loses none of them") {
    const std::shared_ptr<storage::engine> kept = test::watched_engine(std::make_shared<test::engine_use>());
    auto whole = std::make_unique<given_up>(kept);
    (void)talk(whole->ada, whole->eve);
    const auto expected = whole->e->orphans().value();
    REQUIRE(expected.size() == 4);
    for (std::size_t writes = 0; writes < 12; ++writes) {
        const auto use = std::make_shared<test::engine_use>();
        const std::shared_ptr<storage::engine> disk = test::watched_engine(use);
        auto s = std::make_unique<given_up>(disk);
        use->writes_left = writes;
        (void)talk(s->ada, s->eve);
        use->writes_left = SIZE_MAX;
        auto& ada = s->ada;
        s->e.reset();
        s->eve = test::memory_store(s->world);  // lets go of the disk
        auto again = store::on(std::make_unique<test::borrowed_engine>(disk), test::options(s->world)).value();
        auto e = again.bucket("b").value();
        (void)talk(ada, again);
        (void)talk(ada, again);
        CHECK(e.orphans().value().size() == expected.size());
        CHECK(count(e) == 105);
    }
}
