// The state as a whole, for whoever is behind the cut.
#include <anabranch/session.hpp>

#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "store/walk_input.hpp"
#include "support/borrowed_engine.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using test::count;
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
/// Begins to take a state from one who is known to have all that it has.
std::unique_ptr<detail::walk_sink> receive(const bucket& to, const bucket& from) {
    detail::positions has;
    for (const auto& entry : from.progress()) has[entry.origin] = entry.sequence;
    return to.state()->receive_walk(has).value();
}
std::unique_ptr<detail::walk_source> send(const bucket& from, const detail::walk_sink& to) {
    return from.state()->begin_walk(to.request()).value();
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
        auto sink = receive(*s.e, *s.a);
        auto source = send(*s.a, *sink);
        use->writes_left = writes;
        result<std::optional<detail::positions>> taken;
        while (!source->is_done()) {
            const auto piece = source->next(1'000);
            REQUIRE(piece);
            REQUIRE(*piece);
            taken = sink->take(**piece, far, s.ada.id());
            if (!taken) break;
            if (!*taken) {
                // Nobody sees anything of it before.
                CHECK(s.e->digest().value() == digest);
                CHECK(s.e->progress() == before);
            }
        }
        is_over = use->writes_left > 0;
        if (is_over) CHECK(taken);
        sink.reset();
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
    auto first = receive(*s.e, *s.a);
    REQUIRE(first);
    CHECK_FALSE(receive(*s.e, *s.a));
    REQUIRE(first->take(*send(*s.a, *first)->next(1).value(), far, s.ada.id()));
    first.reset();
    auto second = receive(*s.e, *s.a);
    REQUIRE(second);
    second.reset();
    CHECK_FALSE(talk(s.ada, s.eve).one);
    s.check_all_is_there();
}

namespace {

/// A shop of that many rows that eve has seen; then ada goes on without her.
struct large_shop {
    explicit large_shop(int rows) : ada(store::in_memory(step(limited(world))).value()), eve(store::in_memory(step(test::options(world))).value()) {
        share(ada, {&eve});
        a = ada.bucket("b").value();
        e = eve.bucket("b").value();
        for (int i = 0; i < rows; ++i) set(*a, i, "old");
        REQUIRE_FALSE(talk(ada, eve).one);
    }

    static store_options step(store_options o) {
        o.journal_step = 8;
        o.write_behind_bytes = 4'096;  // most rows are not in memory
        return o;
    }
    static std::string name(int i) { return "row" + std::to_string(100'000 + i); }
    static void set(bucket at, int i, const std::string& what) {
        REQUIRE(at.commit([&](transaction& tx) { tx.map("m").map(name(i)).last_writer<std::string>("l").set(what); }));
    }
    static void remove(bucket at, int i) {
        REQUIRE(at.commit([&](transaction& tx) { tx.map("m").remove(name(i), field_type::map); }));
    }
    /// Until the log does not reach back to her.
    void cut() {
        const auto has = ada.bucket("b")->state()->adverts()[eve.id()];
        while (a->state()->read_log(has, far, {})) {
            for (int i = 0; i < 20; ++i) write(*a, 1);
            REQUIRE(ada.sync());
            REQUIRE(ada.sync());
        }
    }

    std::shared_ptr<test::world> world = std::make_shared<test::world>();
    store ada;
    store eve;
    std::optional<bucket> a;
    std::optional<bucket> e;
};

struct counted {
    std::size_t pieces = 0;
    std::size_t items = 0;
    std::size_t rows = 0;
};

/// Takes no more than so many pieces. True where that was all.
bool take(large_shop& s, std::size_t most, counted& sum, std::size_t bytes = 1'000) {
    const auto sink = receive(*s.e, *s.a);
    const auto source = send(*s.a, *sink);
    for (std::size_t i = 0; i < most; ++i) {
        const auto bytes_of_it = source->next(bytes).value().value();
        const auto piece = codec::decode<detail::walk_piece>(bytes_of_it).value();
        ++sum.pieces;
        sum.items += piece.items.size();
        for (const auto& item : piece.items) sum.rows += item.rows.size();
        const auto taken = sink->take(bytes_of_it, far, s.ada.id());
        REQUIRE(taken);
        if (*taken) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("only what has changed comes to who has been there") {
    large_shop s(2'000);
    large_shop::set(*s.e, 1'501, "hers");
    for (int i = 0; i < 2'000; i += 100) large_shop::set(*s.a, i, "new");
    for (int i = 50; i < 2'000; i += 100) large_shop::remove(*s.a, i);
    s.cut();
    counted sum;
    REQUIRE(take(s, 1'000, sum));
    CHECK(sum.rows >= 20);
    CHECK(sum.rows < 60);
    CHECK(sum.items < 90);
    REQUIRE_FALSE(talk(s.ada, s.eve).one);
    CHECK(s.e->digest().value() == s.a->digest().value());
    CHECK(s.a->read([](const map_view& m) { return m.map("m").map(large_shop::name(1'501)).last_writer<std::string>("l").get().value(); }).value() == "hers");
}

TEST_CASE("a removal of all that stands below a name is one thing that has changed") {
    large_shop s(2'000);
    REQUIRE(s.a->commit([](transaction& tx) { tx.remove("m", field_type::map); }));
    s.cut();
    counted sum;
    REQUIRE(take(s, 1'000, sum));
    CHECK(sum.items < 20);
    CHECK(sum.rows < 20);
    CHECK(s.e->digest().value() == s.a->digest().value());
}

TEST_CASE("a walk goes on where it has broken off") {
    const bool is_newcomer = GENERATE(false, true);
    const bool dies = GENERATE(false, true);
    large_shop s(1'000);
    const auto disk = std::shared_ptr<storage::engine>(test::watched_engine(std::make_shared<test::engine_use>()));
    const auto open = [&] {
        s.eve = store::on(std::make_unique<test::borrowed_engine>(disk), large_shop::step(test::options(s.world))).value();
        s.e = s.eve.bucket("b").value();
    };
    if (is_newcomer) s.cut();
    s.eve = store::in_memory(test::options(s.world)).value();
    open();
    if (!is_newcomer) {
        REQUIRE_FALSE(talk(s.ada, s.eve).one);
        for (int i = 0; i < 1'000; i += 3) large_shop::set(*s.a, i, "new");
        s.cut();
    }
    const std::size_t of_one = is_newcomer ? 1'000 : 334;
    counted sum;
    int turn = 0;
    while (!take(s, 7, sum, 300)) {
        REQUIRE(++turn < 100);
        if (dies) {
            s.e.reset();
            s.eve = store::in_memory(test::options(s.world)).value();
            open();
        }
        // What changes meanwhile comes, where it had come before, too.
        large_shop::set(*s.a, turn * 5, "newer");
        large_shop::remove(*s.a, turn * 5 + 1);
        REQUIRE(s.ada.sync());
        CHECK(count(*s.e) == 0);
    }
    CHECK(turn > 4);
    CHECK(sum.rows < of_one + of_one / 4 + 9 * static_cast<std::size_t>(turn));
    CHECK(s.e->digest().value() == s.a->digest().value());
    CHECK_FALSE(talk(s.ada, s.eve).one);
    CHECK(s.e->digest().value() == s.a->digest().value());
}

TEST_CASE("what goes on brings all of the item that it broke off in, whatever has been learned since") {
    large_shop s(50);
    auto bob = store::in_memory(test::options(s.world)).value();
    auto b = bob.bucket("b").value();
    const auto tell_bob = [&] { REQUIRE_FALSE(talk(s.ada, bob).one); };
    tell_bob();
    REQUIRE_FALSE(talk(s.ada, s.eve).one);
    REQUIRE(s.a->commit([](transaction& tx) { tx.remove("m", field_type::map); }));
    tell_bob();
    timestamp refilled;
    for (int i = 0; i < 300; ++i) {
        large_shop::set(*s.a, i, "new");
        if (i % 5 == 4) tell_bob();
    }
    refilled = s.ada.state()->clock().last();
    for (int i = 0; i < 20; ++i) write(*s.a, i);
    tell_bob();
    s.cut();
    counted sum;
    REQUIRE_FALSE(take(s, 5, sum));
    // Bob's log reaches back to her: to where the map has been filled again.
    detail::positions has;
    for (const auto& entry : s.e->progress()) has[entry.origin] = entry.sequence;
    const auto chunk = b.state()->read_log(has, refilled, {});
    INFO((chunk ? "" : chunk.error().message));
    REQUIRE(chunk);
    REQUIRE(s.e->state()->apply(*chunk, far, bob.id()));
    REQUIRE(s.eve.sync());
    CHECK(take(s, 1'000, sum));
    CHECK(s.e->digest().value() == s.a->digest().value());
}

TEST_CASE("a state that others have brought meanwhile does not enter") {
    large_shop s(50);
    s.cut();
    REQUIRE_FALSE(talk(s.ada, s.eve).one);
    const auto floor = s.e->state()->floor();
    write(*s.a, 1);
    REQUIRE_FALSE(talk(s.ada, s.eve).one);
    REQUIRE(s.e->progress() == s.a->progress());
    counted sum;
    CHECK(take(s, 1'000, sum));
    CHECK(s.e->state()->floor() == floor);
    CHECK(s.e->digest().value() == s.a->digest().value());
}

TEST_CASE("a disk that fills up while a state enters keeps the store, and the state enters when there is room") {
    bool was_full = false;
    bool is_over = false;
    for (std::size_t writes = 1; !is_over; ++writes) {
        REQUIRE(writes < 60);
        const std::shared_ptr<storage::engine> disk = test::watched_engine(std::make_shared<test::engine_use>());
        const auto use = std::make_shared<test::engine_use>();
        left_behind s(disk, use);
        auto other = s.eve.create_bucket("other").value();
        auto sink = receive(*s.e, *s.a);
        auto source = send(*s.a, *sink);
        std::vector<std::string> pieces;
        while (!source->is_done()) pieces.push_back(source->next(1'000).value().value());
        for (std::size_t i = 0; i + 1 < pieces.size(); ++i) REQUIRE(sink->take(pieces[i], far, s.ada.id()));
        use->writes_left = writes;
        const auto entered = sink->take(pieces.back(), far, s.ada.id());
        is_over = entered.has_value();
        if (!is_over) CHECK(entered.error().code == errc::storage_full);
        sink.reset();
        s.e.reset();
        if (writes % 2 == 0) {
            s.eve = store::in_memory(test::options(s.world)).value();  // the process has died
            s.eve = store::on(test::watched_engine(use, std::make_unique<test::borrowed_engine>(disk)), test::options(s.world)).value();
            other = s.eve.bucket("other").value();
            CHECK(other.digest());
        }
        s.e = s.eve.bucket("b").value();
        was_full = was_full || !s.e->digest();
        use->writes_left = SIZE_MAX;
        INFO("after " << writes << " writes");
        const auto ended = talk(s.ada, s.eve);
        INFO((ended.one ? ended.one->message : "") << "; " << (ended.other ? ended.other->message : ""));
        CHECK_FALSE(ended.one);
        s.check_all_is_there();
    }
    CHECK(was_full);
}

TEST_CASE("what goes on somewhere else begins anew") {
    large_shop s(500);
    for (int i = 0; i < 500; i += 3) large_shop::set(*s.a, i, "new");
    s.cut();
    counted sum;
    REQUIRE_FALSE(take(s, 5, sum));
    // The same store, opened again: what it counts from here on is not what it counted.
    const auto request = receive(*s.e, *s.a)->request();
    auto elsewhere = store::in_memory(large_shop::step(test::options(s.world))).value();
    (void)elsewhere.bucket("b").value();
    CHECK_FALSE(talk(s.ada, elsewhere).one);
    const auto sink = receive(*s.e, *s.a);
    const auto source = elsewhere.bucket("b")->state()->begin_walk(request).value();
    result<std::optional<detail::positions>> taken;
    while (!source->is_done()) taken = sink->take(source->next(1'000).value().value(), far, elsewhere.id());
    REQUIRE(taken);
    CHECK(s.e->digest().value() == s.a->digest().value());
}

TEST_CASE("bytes that are no state change nothing, and are named") {
    left_behind s;
    const auto digest = s.e->digest().value();
    std::vector<std::string> pieces;
    {
        const auto sink = receive(*s.e, *s.a);
        const auto source = send(*s.a, *sink);
        while (!source->is_done()) pieces.push_back(*source->next(200).value());
    }
    REQUIRE(pieces.size() > 3);
    SECTION("cut short") {
        for (const auto& piece : pieces) {
            for (std::size_t size = 0; size < piece.size(); size += 1 + piece.size() / 50) {
                const auto sink = receive(*s.e, *s.a);
                const auto taken = sink->take(std::string_view(piece).substr(0, size), far, s.ada.id());
                REQUIRE_FALSE(taken);
                CHECK(taken.error().code == errc::malformed);
                CHECK(taken.error().message.find("bucket \"b\"") != std::string::npos);
            }
        }
    }
    SECTION("in another order") {
        for (const std::size_t second : {0U, 1U}) {
            const auto sink = receive(*s.e, *s.a);
            REQUIRE(sink->take(pieces[0], far, s.ada.id()));
            if (second == 1) REQUIRE(sink->take(pieces[1], far, s.ada.id()));
            const auto again = sink->take(pieces[second], far, s.ada.id());
            REQUIRE_FALSE(again);
            CHECK(again.error().code == errc::malformed);
        }
    }
    SECTION("from too far in the future") {
        // Before any of its rows are taken.
        const auto sink = receive(*s.e, *s.a);
        const auto taken = sink->take(pieces[0], timestamp{1}, s.ada.id());
        REQUIRE_FALSE(taken);
        CHECK(taken.error().code == errc::refused);
    }
    CHECK(s.e->digest().value() == digest);
}

TEST_CASE("two that have each cut what the other lacks are told so") {
    left_behind s;
    const auto sink = receive(*s.a, *s.e);
    const auto taken = sink->take(*send(*s.e, *sink)->next(SIZE_MAX).value(), far, s.ada.id());
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
    CHECK(talk(s.ada, restored).one->code == errc::closed);
    CHECK(restored.id().value == id.value);
    CHECK(restored.id().incarnation > id.incarnation);
    CHECK(r.digest().value() == digest);
    CHECK_FALSE(talk(s.ada, restored).one);
    write(r, 0);
    CHECK_FALSE(talk(s.ada, restored).one);
    CHECK(r.digest().value() == s.a->digest().value());
}

TEST_CASE("a row that changes again before it is written is told of where it changed last") {
    auto o = test::options(std::make_shared<test::world>());
    o.journal_step = 2;
    auto ada = store::in_memory(o).value();
    auto a = ada.create_bucket("b").value();
    const auto change = [&](const char* name) { REQUIRE(a.commit([&](transaction& tx) { tx.counter(name).add(1); })); };
    for (const char* name : {"0", "1", "2", "3"}) change(name);
    detail::walk_request request;
    for (const auto& entry : a.progress()) request.has[entry.origin] = entry.sequence;
    change("0");
    const auto source = a.state()->begin_walk(codec::encode(request)).value();
    const auto piece = codec::decode<detail::walk_piece>(source->next(SIZE_MAX).value().value()).value();
    REQUIRE(piece.items.size() == 1);
    CHECK(piece.items.front().prefix == store_keys::segment("0", 'c'));
    CHECK(piece.items.front().rows.size() == 1);
}

TEST_CASE("what is let go of in a row is no change of it") {
    const auto w = std::make_shared<test::world>();
    auto o = limited(w);
    o.journal_step = 1;
    auto ada = store::in_memory(o).value();
    auto bob = store::in_memory(limited(w)).value();
    share(ada, {&bob});
    auto a = ada.bucket("b").value();
    constexpr int elements = 20;
    REQUIRE(a.commit([&](transaction& tx) {
        for (int i = 0; i < elements; ++i) tx.remove_wins_set("r").add(std::to_string(i));
    }));
    REQUIRE(a.commit([&](transaction& tx) {
        for (int i = 0; i < elements; ++i) tx.remove_wins_set("r").remove(std::to_string(i));
    }));
    REQUIRE(ada.sync());
    REQUIRE(a.state()->flush());
    REQUIRE(test::leftover_keys(ada) == elements);
    detail::walk_request request;
    for (const auto& entry : a.progress()) request.has[entry.origin] = entry.sequence;
    REQUIRE(a.commit([](transaction& tx) { tx.counter("c").add(1); }));
    meet({&ada, &bob});
    REQUIRE(test::leftover_keys(ada) == 0);
    REQUIRE(test::row_keys(ada) == 1);
    const auto source = a.state()->begin_walk(codec::encode(request)).value();
    const auto piece = codec::decode<detail::walk_piece>(source->next(SIZE_MAX).value().value()).value();
    REQUIRE(piece.items.size() == 1);
    CHECK(piece.items.front().prefix == store_keys::segment("c", 'c'));
}

TEST_CASE("rows of requests that one side may have fixed come in any case") {
    const auto w = std::make_shared<test::world>();
    auto ada = store::in_memory(test::options(w)).value();
    auto eve = store::in_memory(test::options(w)).value();
    share(ada, {&eve});
    auto a = ada.bucket("b").value();
    auto e = eve.bucket("b").value();
    const auto asked = left_behind::request("open");
    REQUIRE(a.commit(asked, [](transaction& tx) -> result<std::string> {
        tx.counter("c").add(1);
        return "done";
    }));
    meet({&ada, &eve});
    const auto path = store_keys::segment("c", 'c');
    auto request = codec::decode<detail::walk_request>(receive(e, a)->request()).value();
    CHECK(request.touched == std::vector<std::string>{path});
    // What the receiver has fixed, and the source not, too; and nothing else.
    request.touched.clear();
    const auto items = [&](std::uint64_t forgotten) {
        request.forgotten = forgotten;
        const auto source = a.state()->begin_walk(codec::encode(request)).value();
        return codec::decode<detail::walk_piece>(source->next(SIZE_MAX).value().value()).value().items;
    };
    const auto issued = static_cast<std::uint64_t>(asked.issued.count());
    CHECK(items(issued).empty());
    REQUIRE(items(issued + 1).size() == 1);
    CHECK(items(issued + 1).front().prefix == path);
}

TEST_CASE("nothing is forgotten while a state is on its way") {
    const auto w = std::make_shared<test::world>();
    auto ada = store::in_memory(test::options(w)).value();
    auto a = ada.create_bucket("b").value();
    REQUIRE(a.commit(left_behind::request("open"), [](transaction& tx) -> result<std::string> {
        tx.counter("c").add(1);
        return "done";
    }));
    const auto grow_old = [&] {
        for (int i = 0; i < 10; ++i) {
            w->now_ms += 3'600'000;
            REQUIRE(ada.sync());
        }
    };
    auto sink = a.state()->receive_walk({}).value();
    grow_old();
    CHECK(a.state()->requests() == 1);
    sink.reset();
    grow_old();
    CHECK(a.state()->requests() == 0);
}

namespace {

/// Somebody who has nothing of that shop yet, in memory or on RocksDB.
struct newcomer {
    newcomer(large_shop& of, bool is_on_disk) : shop(of), is_on_disk_(is_on_disk) {
        shop.cut();
        open();
    }
    ~newcomer() { close(); }
    newcomer(const newcomer&) = delete;
    newcomer& operator=(const newcomer&) = delete;

    void close() {
        shop.e.reset();
        shop.eve = store::in_memory(test::options(shop.world)).value();  // the process has died
    }
    void open() {
        close();
        const auto o = large_shop::step(test::options(shop.world));
        shop.eve = is_on_disk_ ? store::open(directory_.path() / "store", o).value()
                               : store::on(test::watched_engine(use, std::make_unique<test::borrowed_engine>(memory_)), o).value();
        shop.e = shop.eve.bucket("b").value();
    }
    incomplete_snapshot arriving() const { return std::move(shop.e->arriving().value().value()); }

    large_shop& shop;
    std::shared_ptr<test::engine_use> use = std::make_shared<test::engine_use>();

  private:
    bool is_on_disk_;
    test::temp_directory directory_;
    std::shared_ptr<storage::engine> memory_ = test::watched_engine(std::make_shared<test::engine_use>());
};

std::vector<field> row_path(int i) { return {{"m", field_type::map}, {large_shop::name(i), field_type::map}}; }
result<std::optional<std::string>> read_row(const map_view& root, int i) {
    return root.map("m").map(large_shop::name(i)).last_writer<std::string>("l").get();
}
/// How many of the first rows have come; of those behind them nothing is said.
int count_arrived(const incomplete_snapshot& s, int rows) {
    int n = 0;
    while (n < rows && s.has(row_path(n))) ++n;
    for (int i = 0; i < rows; ++i) {
        const auto value = read_row(s, i);
        // The last row that has come may not be the last one below its name.
        if (i < n) CHECK(value.value().has_value());
        if (i > n) CHECK(value.error().code == errc::not_held);
    }
    return n;
}

}  // namespace

TEST_CASE("what has come of a state may be read before it enters, and what has not is not shown as absent") {
    const bool is_on_disk = GENERATE(false, true);
    large_shop s(200);
    REQUIRE(s.a->commit([](transaction& tx) { tx.add_wins_set("z").add("last"); }));
    newcomer n(s, is_on_disk);
    CHECK_FALSE(s.e->arriving().value());
    std::optional<incomplete_snapshot> held;
    std::uint64_t rows = 0;
    {
        const auto sink = receive(*s.e, *s.a);
        const auto source = send(*s.a, *sink);
        CHECK_FALSE(s.e->arriving().value());
        int arrived = 0;
        for (int pieces = 0; pieces < 8; ++pieces) {
            REQUIRE(sink->take(source->next(500).value().value(), far, s.ada.id()));
            const auto now = n.arriving();
            CHECK(now.rows() == sink->rows());
            CHECK(now.rows_to_come() == sink->rows_to_come());
            const auto more = count_arrived(now, 200);
            CHECK(more >= arrived);
            arrived = more;
        }
        CHECK(arrived > 20);
        CHECK(arrived < 200);
        held = n.arriving();
        rows = sink->rows();
    }
    const auto check = [&](const incomplete_snapshot& at) {
        CHECK(at.rows() == rows);
        CHECK(read_row(at, 0).value() == "old");
        // In front of all that has come, and in the middle.
        CHECK(at.has({{"a", field_type::counter}}));
        CHECK(at.counter("a").value().value() == 0);
        CHECK(at.has({{"a", field_type::map}}));
        CHECK_FALSE(at.map("a").exists().value());
        CHECK(at.map("m").map(large_shop::name(0) + "x").fields().value().empty());
        CHECK(at.map("m").exists().value());
        CHECK(at.map("m").fields({.limit = 10}).value().size() == 10);
        // Behind it.
        CHECK_FALSE(at.has({}));
        CHECK_FALSE(at.has({{"m", field_type::map}}));
        CHECK_FALSE(at.has({{"z", field_type::add_wins_set}}));
        CHECK(at.map("m").fields().error().code == errc::not_held);
        CHECK(at.map("zz").exists().error().code == errc::not_held);
        CHECK(at.add_wins_set("z").contains("last").error().code == errc::not_held);
        CHECK(at.add_wins_set("z").size().error().code == errc::not_held);
        CHECK(at.counter("z").value().error().code == errc::not_held);
        CHECK(at.contenders("z", field_type::last_writer).error().code == errc::not_held);
    };
    check(*held);
    // The bucket itself shows nothing of it.
    CHECK_FALSE(s.e->read([](const map_view& m) { return m.exists(); }).value());
    held.reset();
    n.open();
    CHECK_FALSE(n.arriving().rows_to_come());
    check(n.arriving());
    held = n.arriving();
    counted sum;
    REQUIRE(take(s, 1'000, sum));
    CHECK(s.e->digest().value() == s.a->digest().value());
    CHECK_FALSE(s.e->arriving().value());
    // Somebody may still read it.
    REQUIRE_FALSE(talk(s.ada, s.eve).one);
    large_shop::set(*s.a, 0, "newer");
    REQUIRE_FALSE(talk(s.ada, s.eve).one);
    check(*held);
}

TEST_CASE("what comes again after a break is there to be read all the while") {
    const bool is_on_disk = GENERATE(false, true);
    large_shop s(100);
    newcomer n(s, is_on_disk);
    counted sum;
    while (!s.e->arriving().value() || count_arrived(n.arriving(), 100) < 60) REQUIRE_FALSE(take(s, 3, sum));
    const auto arrived = count_arrived(n.arriving(), 100);
    const auto rows = n.arriving().rows();
    // One item of which many pieces come again; and the last of its rows are no more.
    REQUIRE(s.a->commit([](transaction& tx) { tx.remove("m", field_type::map); }));
    for (int i = 0; i < arrived - 10; ++i) large_shop::set(*s.a, i, "new");
    REQUIRE(s.ada.sync());
    const auto count_new = [&] {
        const auto now = n.arriving();
        CHECK(now.rows() == rows);
        CHECK(count_arrived(now, 100) == arrived);
        int found = 0;
        for (int i = 0; i < arrived; ++i) {
            const auto value = read_row(now, i).value();
            if (value == "new") ++found;
            else CHECK(value == "old");
        }
        return found;
    };
    {
        const auto sink = receive(*s.e, *s.a);
        const auto source = send(*s.a, *sink);
        while (count_new() < 20) REQUIRE(sink->take(source->next(500).value().value(), far, s.ada.id()));
    }
    CHECK(count_new() < arrived - 10);
    n.open();
    CHECK(count_new() >= 20);
    {
        // Once more, and as far as it had come.
        const auto sink = receive(*s.e, *s.a);
        const auto source = send(*s.a, *sink);
        for (bool has_caught_up = false; !has_caught_up;) {
            const auto piece = source->next(500).value().value();
            has_caught_up = codec::decode<detail::walk_piece>(piece)->has_caught_up;
            REQUIRE(sink->take(piece, far, s.ada.id()));
        }
    }
    for (int i = 0; i < arrived; ++i) CHECK(read_row(n.arriving(), i).value() == (i < arrived - 10 ? std::optional<std::string>("new") : std::nullopt));
    REQUIRE(take(s, 1'000, sum));
    CHECK(s.e->digest().value() == s.a->digest().value());
}

TEST_CASE("a piece that could not be kept is not taken for one that has come") {
    large_shop s(100);
    newcomer n(s, false);
    const auto sink = receive(*s.e, *s.a);
    const auto source = send(*s.a, *sink);
    REQUIRE(sink->take(source->next(2'000).value().value(), far, s.ada.id()));
    const auto rows = n.arriving().rows();
    const auto arrived = count_arrived(n.arriving(), 100);
    n.use->writes_left = 0;
    CHECK(sink->take(source->next(2'000).value().value(), far, s.ada.id()).error().code == errc::storage_full);
    n.use->writes_left = SIZE_MAX;
    CHECK(n.arriving().rows() == rows);
    CHECK(count_arrived(n.arriving(), 100) == arrived);
}

TEST_CASE("of a state of which only a part comes nothing is read before it enters") {
    large_shop s(200);
    for (int i = 0; i < 200; i += 3) large_shop::set(*s.a, i, "new");
    s.cut();
    counted sum;
    REQUIRE_FALSE(take(s, 2, sum));
    CHECK_FALSE(s.e->arriving().value());
}

namespace {

std::string number(int i) { return std::to_string(1'000'000 + i); }
/// The pieces of all of ada's rows, for somebody who has nothing.
std::vector<detail::walk_piece> pieces_of(large_shop& s, std::size_t bytes) {
    std::vector<detail::walk_piece> all;
    const auto sink = receive(*s.e, *s.a);
    const auto source = send(*s.a, *sink);
    while (!source->is_done()) all.push_back(codec::decode<detail::walk_piece>(source->next(bytes).value().value()).value());
    return all;
}
/// Takes the pieces; what is said of the last one.
errc take_all(large_shop& s, const std::vector<detail::walk_piece>& pieces) {
    const auto sink = receive(*s.e, *s.a);
    for (std::size_t i = 0; i + 1 < pieces.size(); ++i) REQUIRE(sink->take(codec::encode(pieces[i]), far, s.ada.id()));
    const auto taken = sink->take(codec::encode(pieces.back()), far, s.ada.id());
    return taken ? errc{} : taken.error().code;
}

}  // namespace

TEST_CASE("a piece holds no more than an honest source sends, however little it takes to say it") {
    large_shop s(1);
    newcomer n(s, false);
    auto pieces = pieces_of(s, SIZE_MAX);
    REQUIRE(pieces.size() == 1);
    pieces.front().is_last = false;
    auto& piece = pieces.front();
    REQUIRE(piece.items.size() == 1);
    SECTION("rows") {
        const auto counter = piece.items.front().rows.front();
        REQUIRE(counter.rest == store_keys::segment("c", 'c'));
        for (const bool is_one_too_many : {false, true}) {
            piece.items.front().rows.clear();
            const auto most = static_cast<int>(detail::most_piece_strings / 2) - 1 + is_one_too_many;
            for (int i = 0; i < most; ++i) piece.items.front().rows.push_back({store_keys::segment(number(i), 'c'), counter.bytes});
            CHECK(take_all(s, pieces) == (is_one_too_many ? errc::malformed : errc{}));
        }
    }
    SECTION("what one row names") {
        for (const bool is_one_too_many : {false, true}) {
            crdt::dots_row row;
            for (std::uint64_t i = 1; i <= detail::most_names + is_one_too_many; ++i) row.adds.push_back({origin{0}, i});
            std::string bytes;
            crdt::encode_row(row, bytes);
            piece.items.front().rows = {{store_keys::segment("f", 'e'), bytes}};
            CHECK(take_all(s, pieces) == (is_one_too_many ? errc::malformed : errc{}));
        }
    }
    SECTION("items that are asked for") {
        detail::walk_request request;
        request.has[s.ada.id()] = 1;
        request.touched.assign(detail::most_request_strings, store_keys::segment("", 'c'));
        REQUIRE(codec::encode(request).size() < 2 * detail::most_touched);
        CHECK(s.a->state()->begin_walk(codec::encode(request)));
        request.touched.push_back(store_keys::segment("", 'c'));
        CHECK(s.a->state()->begin_walk(codec::encode(request)).error().code == errc::malformed);
    }
}

TEST_CASE("a source makes no larger pieces than may be taken, whatever it is asked for") {
    large_shop s(1);
    for (int i = 0; i < 40; ++i) {
        REQUIRE(s.a->commit([&](transaction& tx) { tx.last_writer<std::string>(number(i)).set(std::string(50'000, 'x')); }));
    }
    newcomer n(s, false);
    const auto pieces = pieces_of(s, SIZE_MAX);
    CHECK(pieces.size() == 2);
    for (const auto& piece : pieces) CHECK(codec::encode(piece).size() < detail::largest_piece + 60'000);
    CHECK(take_all(s, pieces) == errc{});
}

TEST_CASE("a state of all rows has no gaps, and what comes again is not what has not come yet") {
    large_shop s(200);
    newcomer n(s, false);
    auto pieces = pieces_of(s, 1'000);
    REQUIRE(pieces.size() > 6);
    pieces.resize(4);
    auto& item = pieces.back().items.front();
    SECTION("a row is left out") {
        item.after = item.prefix + item.rows.front().rest;
        item.rows.erase(item.rows.begin());
        CHECK(take_all(s, pieces) == errc::malformed);
    }
    SECTION("a part of them comes") {
        item.prefix = store_keys::segment("n", 'p');
        item.after.clear();
        item.rows.clear();
        CHECK(take_all(s, pieces) == errc::malformed);
    }
    SECTION("something else comes again") {
        CHECK(take_all(s, pieces) == errc{});
        large_shop::set(*s.a, 0, "new");
        REQUIRE(s.ada.sync());
        auto again = pieces_of(s, 1'000);
        auto& changed = again.front().items.front();
        REQUIRE(changed.rows.size() == 1);
        again.resize(1);
        changed.prefix = store_keys::segment("m", 'p') + store_keys::segment(large_shop::name(199), 'p') + store_keys::segment("l", 'l');
        CHECK(take_all(s, again) == errc::malformed);
    }
}
