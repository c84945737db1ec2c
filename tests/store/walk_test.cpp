// The state as a whole, for whoever is behind the cut.
#include <anabranch/session.hpp>

#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/borrowed_engine.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using test::meet;
using test::share;
using test::talk;

namespace {

constexpr timestamp far{UINT64_MAX};

/// Every log is cut as soon as it may be, also without who lags.
store_options limited(const std::shared_ptr<test::world>& w) {
    auto o = test::options(w);
    o.log_retain_bytes = 0;
    o.log_limit_bytes = 2'000;
    return o;
}

void write(bucket at, int n) {
    REQUIRE(at.commit([&](transaction& tx) {
        tx.counter("c").add(1);
        tx.last_writer<std::string>("l" + std::to_string(n % 10)).set(std::to_string(n) + std::string(100, 'x'));
    }));
}
std::int64_t count(const bucket& at) {
    return at.read([](const map_view& m) { return m.counter("c").value(); }).value();
}
bool has(const bucket& at, std::string_view element) {
    return at.read([&](const map_view& m) { return m.add_wins_set("s").contains(element); }).value();
}

/// Ada and bob go on without eve, until their logs do not reach back to her.
struct left_behind {
    explicit left_behind(std::shared_ptr<storage::engine> disk = test::watched_engine(std::make_shared<test::engine_use>()),
                         const std::shared_ptr<test::engine_use>& use = std::make_shared<test::engine_use>())
        : eve(store::on(test::watched_engine(use, std::make_unique<test::borrowed_engine>(std::move(disk))), test::options(world)).value()) {
        share(ada, {&bob, &eve});
        a = ada.bucket("b").value();
        e = eve.bucket("b").value();
        REQUIRE(a->commit([](transaction& tx) {
            tx.add_wins_set("s").add("old");
            tx.add_wins_set("s").add("kept");
            tx.counter("d").add(7);
        }));
        meet({&ada, &bob, &eve});
        // She has seen these, and what she does to them the others have not.
        REQUIRE(e->commit([](transaction& tx) {
            tx.add_wins_set("s").add("hers");
            tx.counter("c").add(100);
            tx.last_writer<std::string>("hers").set("hers");
        }));
        REQUIRE(e->commit([](transaction& tx) { tx.counter("d").reset(); }));
        REQUIRE(e->commit(request("open"), [](transaction& tx) -> result<std::string> {
            tx.counter("c").add(1'000);
            return "hers";
        }));
        REQUIRE(eve.sync());
        REQUIRE(a->commit(request("open"), [](transaction& tx) -> result<std::string> {
            tx.counter("c").add(1'000);
            return "ada's";
        }));
        REQUIRE(a->commit([](transaction& tx) { tx.add_wins_set("s").remove("old"); }));
        REQUIRE(a->commit([](transaction& tx) { tx.counter("d").add(1); }));
        for (int i = 0; i < 60; ++i) {
            write(*a, i);
            if (i % 5 == 4) meet({&ada, &bob});
        }
    }

    static anabranch::request request(std::string key) {
        return {.tenant = "t", .principal = "p", .key = std::move(key), .issued = std::chrono::milliseconds{1'700'000'000'000}};
    }
    void check_all_is_there() {
        CHECK(count(*e) == 1'160);
        CHECK(count(*a) == 1'160);
        CHECK(has(*e, "kept"));
        CHECK(has(*e, "hers"));
        CHECK(has(*a, "hers"));
        CHECK_FALSE(has(*e, "old"));
        CHECK(e->read([](const map_view& m) { return m.counter("d").value(); }).value() == 1);
        CHECK(e->digest().value() == a->digest().value());
    }

    std::shared_ptr<test::world> world = std::make_shared<test::world>();
    store ada = store::in_memory(limited(world)).value();
    store bob = store::in_memory(limited(world)).value();
    store eve;
    std::optional<bucket> a;
    std::optional<bucket> e;
};

}  // namespace

TEST_CASE("who is behind the cut gets the state, and what only it has written counts") {
    left_behind s;
    const auto mine = s.e->progress();
    REQUIRE(s.a->state()->read_log(s.e->state()->adverts()[s.eve.id()], far, {}).error().code == errc::behind_cut);
    const auto ended = talk(s.ada, s.eve);
    CHECK_FALSE(ended.one);
    CHECK_FALSE(ended.other);
    s.check_all_is_there();
    // The request that both have executed counts once, and is remembered by both.
    CHECK(s.e->state()->requests() == 1);
    CHECK(s.e->find(left_behind::request("open")).value()->result == s.a->find(left_behind::request("open")).value()->result);
    meet({&s.ada, &s.bob, &s.eve});
    write(*s.e, 61);
    meet({&s.ada, &s.bob, &s.eve});
    CHECK(count(s.bob.bucket("b").value()) == 1'161);
    CHECK(s.e->digest().value() == s.bob.bucket("b")->digest().value());
}

TEST_CASE("a newcomer gets a bucket whose log has been cut") {
    left_behind s;
    auto newcomer = store::in_memory(test::options(s.world)).value();
    auto n = newcomer.bucket("b").value();
    CHECK_FALSE(talk(s.ada, newcomer).one);
    CHECK(n.is_member());
    CHECK(n.digest().value() == s.a->digest().value());
    write(n, 0);
    CHECK_FALSE(talk(newcomer, s.ada).one);
    CHECK(count(*s.a) == 1'061);
}

TEST_CASE("a state enters as a whole or not at all, wherever the process dies") {
    bool is_over = false;
    bool was_before = false;
    bool was_after = false;
    for (std::size_t writes = 0; !is_over; ++writes) {
        REQUIRE(writes < 50);
        const std::shared_ptr<storage::engine> disk = test::watched_engine(std::make_shared<test::engine_use>());
        const auto use = std::make_shared<test::engine_use>();
        left_behind s(disk, use);
        const auto before = s.e->progress();
        const auto digest = s.e->digest().value();
        auto source = s.a->state()->begin_walk();
        REQUIRE(source);
        auto sink = s.e->state()->receive_walk();
        REQUIRE(sink);
        use->writes_left = writes;
        result<std::optional<detail::positions>> taken;
        while (!(*source)->is_done()) {
            const auto piece = (*source)->next(1'000);
            REQUIRE(piece);
            REQUIRE(*piece);
            taken = (*sink)->take(**piece, far, s.ada.id());
            if (!taken) break;
            if (!*taken) {
                // Nobody sees anything of it before.
                CHECK(s.e->digest().value() == digest);
                CHECK(s.e->progress() == before);
            }
        }
        is_over = use->writes_left > 0;
        if (is_over) CHECK(taken);
        sink->reset();
        s.e.reset();
        s.eve = store::in_memory(test::options(s.world)).value();  // the process has died
        s.eve = store::on(std::make_unique<test::borrowed_engine>(disk), test::options(s.world)).value();
        s.e = s.eve.bucket("b").value();
        INFO("after " << writes << " writes");
        const bool is_here = s.e->progress() != before;
        was_before = was_before || !is_here;
        was_after = was_after || (is_here && !is_over);
        if (!is_here) CHECK(s.e->digest().value() == digest);
        CHECK_FALSE(talk(s.ada, s.eve).one);
        s.check_all_is_there();
    }
    CHECK(was_before);
    CHECK(was_after);
}

TEST_CASE("one state is taken at a time, and the next begins without what the last one left") {
    left_behind s;
    auto first = s.e->state()->receive_walk();
    REQUIRE(first);
    REQUIRE(*first);
    auto second = s.e->state()->receive_walk();
    REQUIRE(second);
    CHECK_FALSE(*second);
    auto source = s.a->state()->begin_walk();
    REQUIRE((*first)->take(**(*source)->next(1), far, s.ada.id()));
    first->reset();
    second = s.e->state()->receive_walk();
    REQUIRE(*second);
    second->reset();
    CHECK_FALSE(talk(s.ada, s.eve).one);
    s.check_all_is_there();
}

TEST_CASE("bytes that are no state change nothing, and are named") {
    left_behind s;
    const auto digest = s.e->digest().value();
    auto source = s.a->state()->begin_walk();
    std::vector<std::string> pieces;
    while (!(*source)->is_done()) pieces.push_back(**(*source)->next(200));
    REQUIRE(pieces.size() > 3);
    SECTION("cut short") {
        for (const auto& piece : pieces) {
            for (std::size_t size = 0; size < piece.size(); size += 1 + piece.size() / 50) {
                auto sink = s.e->state()->receive_walk();
                const auto taken = (*sink)->take(std::string_view(piece).substr(0, size), far, s.ada.id());
                REQUIRE_FALSE(taken);
                CHECK(taken.error().code == errc::malformed);
                CHECK(taken.error().message.find("bucket \"b\"") != std::string::npos);
            }
        }
    }
    SECTION("in another order") {
        auto sink = s.e->state()->receive_walk();
        REQUIRE((*sink)->take(pieces[0], far, s.ada.id()));
        const auto again = (*sink)->take(pieces[0], far, s.ada.id());
        REQUIRE_FALSE(again);
        CHECK(again.error().code == errc::malformed);
    }
    SECTION("from too far in the future") {
        auto sink = s.e->state()->receive_walk();
        for (std::size_t i = 0; i + 1 < pieces.size(); ++i) REQUIRE((*sink)->take(pieces[i], far, s.ada.id()));
        const auto taken = (*sink)->take(pieces.back(), timestamp{1}, s.ada.id());
        REQUIRE_FALSE(taken);
        CHECK(taken.error().code == errc::refused);
    }
    CHECK(s.e->digest().value() == digest);
}

TEST_CASE("two that have each cut what the other lacks are told so") {
    left_behind s;
    auto sink = s.a->state()->receive_walk();
    auto source = s.e->state()->begin_walk();
    result<std::optional<detail::positions>> taken;
    while (!(*source)->is_done()) taken = (*sink)->take(**(*source)->next(SIZE_MAX), far, s.ada.id());
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == errc::behind_cut);
    CHECK(taken.error().message.find("which the peer lacks") != std::string::npos);
}

TEST_CASE("a state that knows more of a replica than it does itself makes it a new incarnation") {
    const std::shared_ptr<storage::engine> disk = test::watched_engine(std::make_shared<test::engine_use>());
    const std::shared_ptr<storage::engine> backup = test::watched_engine(std::make_shared<test::engine_use>());
    left_behind s(disk);
    REQUIRE(s.eve.sync());
    storage::batch all;
    for (const auto space : {storage::space::meta, storage::space::rows, storage::space::log}) {
        for (auto at = disk->scan(space, {}, nullptr); at->valid(); at->next()) all.put(space, std::string(at->key()), std::string(at->value()));
    }
    REQUIRE(backup->write(all));
    CHECK_FALSE(talk(s.ada, s.eve).one);
    for (int i = 0; i < 40; ++i) {
        write(*s.e, i);
        if (i % 5 == 4) meet({&s.ada, &s.bob, &s.eve});
    }
    meet({&s.ada, &s.bob, &s.eve});
    const auto id = s.eve.id();
    const auto digest = s.a->digest().value();

    auto restored = store::on(std::make_unique<test::borrowed_engine>(backup), test::options(s.world)).value();
    REQUIRE(restored.id() == id);
    auto r = restored.bucket("b").value();
    CHECK_FALSE(talk(s.ada, restored).one);
    CHECK(restored.id().value == id.value);
    CHECK(restored.id().incarnation == id.incarnation + 1);
    CHECK(r.digest().value() == digest);
    CHECK_FALSE(talk(s.ada, restored).one);
    write(r, 0);
    CHECK_FALSE(talk(s.ada, restored).one);
    CHECK(r.digest().value() == s.a->digest().value());
}
