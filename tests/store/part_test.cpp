// Readers that hold a part of a bucket.
#include <anabranch/limits.hpp>
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
constexpr std::chrono::milliseconds epoch{1'700'000'000'000};

using paths = std::vector<std::vector<field>>;

std::vector<field> at(std::vector<std::string> maps) {
    std::vector<field> path;
    for (auto& name : maps) path.push_back({std::move(name), field_type::map});
    return path;
}
const auto stock = at({"stock"});
const auto catalogue = at({"catalogue"});

void put(bucket in, const std::string& map, const std::string& name, const std::string& value) {
    REQUIRE(in.commit([&](transaction& tx) { tx.map(map).map(name).last_writer<std::string>("l").set(value); }));
}
result<std::optional<std::string>> get(const bucket& in, const std::string& map, const std::string& name) {
    return in.read([&](const map_view& m) { return m.map(map).map(name).last_writer<std::string>("l").get(); });
}
std::string shown(const bucket& in, const std::string& map, const std::string& name) { return get(in, map, name).value().value_or("-"); }

/// Two members, and pat, who reads the stock.
struct shop {
    explicit shop(const std::shared_ptr<storage::engine>& disk = test::watched_engine(std::make_shared<test::engine_use>()),
                  const std::shared_ptr<test::engine_use>& use = std::make_shared<test::engine_use>())
        : pat(open(disk, use)) {
        share(ada, {&bob});
        a = ada.bucket("b").value();
        b = bob.bucket("b").value();
        for (int i = 0; i < 20; ++i) {
            put(*a, "stock", std::to_string(i), "old");
            put(*a, "catalogue", std::to_string(i), std::string(1'000, 'x'));
        }
        meet({&ada, &bob});
        p = pat.bucket_part("b", {stock}).value();
    }
    store open(const std::shared_ptr<storage::engine>& disk, const std::shared_ptr<test::engine_use>& use) const {
        return store::on(test::watched_engine(use, std::make_unique<test::borrowed_engine>(disk)), test::options(world)).value();
    }
    void check_same(const std::vector<field>& below) { CHECK(p->digest(below).value() == a->digest(below).value()); }

    std::shared_ptr<test::world> world = std::make_shared<test::world>();
    store ada = test::memory_store(world);
    store bob = test::memory_store(world);
    store pat;
    std::optional<bucket> a, b, p;
};

/// A session in which nothing goes wrong.
void bring(const store& from, const store& to) {
    const auto ended = talk(from, to);
    REQUIRE_FALSE(ended.one);
    REQUIRE_FALSE(ended.other);
}

}  // namespace

TEST_CASE("a reader of a part holds that, and says of everything else that it does not") {
    shop s;
    CHECK(s.p->held().empty());
    CHECK(get(*s.p, "stock", "1").error().code == errc::not_held);
    bring(s.ada, s.pat);
    CHECK(s.p->held() == paths{stock});
    CHECK(shown(*s.p, "stock", "1") == "old");
    CHECK(shown(*s.p, "stock", "none") == "-");
    CHECK(s.p->progress() == s.a->progress());
    s.check_same(stock);
    CHECK(test::row_keys(s.pat) == 20);
    CHECK(test::log_keys(s.pat) == 0);

    CHECK(get(*s.p, "catalogue", "1").error().code == errc::not_held);
    CHECK(s.p->digest().error().code == errc::not_held);
    CHECK(s.p->read([](const map_view& m) { return m.fields(); }).error().code == errc::not_held);
    CHECK(s.p->snapshot()->map("catalogue").exists().error().code == errc::not_held);
    CHECK(s.p->snapshot()->map("stock").fields()->size() == 20);
    CHECK(s.p->commit([](transaction& tx) { tx.counter("c").add(1); }).error().code == errc::not_held);
    const request order{.tenant = "t", .principal = "p", .key = "k", .issued = epoch};
    CHECK(s.p->commit(order, [](transaction&) -> result<std::string> { return ""; }).error().code == errc::not_held);
    CHECK(s.p->find(order).error().code == errc::not_held);
    CHECK(s.p->unconfirmed().error().code == errc::not_held);
    CHECK(s.p->superseded().error().code == errc::not_held);
}

TEST_CASE("what changes in a part comes, and costs what it is") {
    shop s;
    bring(s.ada, s.pat);
    const auto quiet = talk(s.ada, s.pat).bytes;
    put(*s.b, "stock", "3", "new");
    REQUIRE(s.b->commit([](transaction& tx) { tx.map("stock").remove("4", field_type::map); }));
    put(*s.a, "stock", "5", "ada's");
    put(*s.b, "stock", "5", "bob's");
    for (int i = 0; i < 20; ++i) put(*s.b, "catalogue", std::to_string(i), std::string(1'000, 'y'));
    meet({&s.ada, &s.bob});
    auto feed = s.p->watch().value();
    const auto ended = talk(s.bob, s.pat);
    CHECK_FALSE(ended.one);
    CHECK(ended.bytes < quiet + 2'000);
    CHECK(shown(*s.p, "stock", "3") == "new");
    CHECK(shown(*s.p, "stock", "4") == "-");
    CHECK(s.p->read([](const map_view& m) { return m.map("stock").map("5").contenders("l", field_type::last_writer); })->size() == 2);
    s.check_same(stock);
    CHECK(feed.pull().error().code == errc::behind_cut);
    // What stands above the part.
    REQUIRE(s.b->commit([](transaction& tx) { tx.clear(); }));
    put(*s.b, "stock", "6", "again");
    REQUIRE(s.bob.sync());
    bring(s.bob, s.pat);
    CHECK(s.p->snapshot()->map("stock").fields()->size() == 1);
    CHECK(s.p->digest(stock).value() == s.b->digest(stock).value());
}

TEST_CASE("a session goes on bringing a part what happens") {
    shop s;
    steady_time now{0};
    session_options options;
    options.part_interval = std::chrono::milliseconds{500};
    session a(s.ada, options, now);
    session p(s.pat, options, now);
    const auto run = [&] {
        for (bool is_quiet = false; !is_quiet;) {
            is_quiet = true;
            for (auto [mine, theirs, local] : {std::tuple(&a, &p, &s.ada), std::tuple(&p, &a, &s.pat)}) {
                if (mine->wants_sync()) REQUIRE(local->sync());
                mine->poll(now);
                const auto bytes = mine->take_output();
                theirs->receive(bytes, now);
                is_quiet = is_quiet && bytes.empty() && !mine->wants_sync();
            }
        }
    };
    run();
    CHECK(a.caught_up());
    CHECK(p.caught_up());
    CHECK(a.in_sync());
    CHECK(p.in_sync());
    const auto begun = now;
    for (int i = 0; i < 5; ++i) {
        put(*s.a, "stock", "1", std::to_string(i));
        run();
        CHECK_FALSE(a.in_sync());
        CHECK(a.progress().transactions_to_send == 1);
        CHECK(p.next_poll() == begun + (i + 1) * options.part_interval);
        now = p.next_poll();
        run();
        CHECK(shown(*s.p, "stock", "1") == std::to_string(i));
        CHECK(p.in_sync());
        CHECK(a.in_sync());
    }
    CHECK_FALSE(a.failure());
    CHECK_FALSE(p.failure());
}

TEST_CASE("a session is not at its end before other paths have come") {
    shop s;
    bring(s.ada, s.pat);
    REQUIRE(s.pat.bucket_part("b", {catalogue}));
    const steady_time now{0};
    session a(s.ada, {}, now);
    session p(s.pat, {}, now);
    p.receive(a.take_output(), now);
    a.receive(p.take_output(), now);
    p.receive(a.take_output(), now);
    CHECK(p.peer());
    CHECK_FALSE(p.caught_up());
    CHECK_FALSE(p.in_sync());
    for (int i = 0; i < 10; ++i) {
        a.receive(p.take_output(), now);
        p.receive(a.take_output(), now);
        REQUIRE(s.pat.sync());
        p.poll(now);
    }
    CHECK(p.caught_up());
    CHECK(p.in_sync());
    s.check_same(catalogue);
}

TEST_CASE("of a request a part shows the execution that counts") {
    shop s;
    const request order{.tenant = "t", .principal = "p", .key = "k", .issued = epoch};
    const auto sell = [&](bucket in, request r, std::int64_t amount) {
        REQUIRE(in.commit(r, [&](transaction& tx) -> result<std::string> {
            tx.map("stock").counter("sold").add(amount);
            tx.map("stock").add_wins_set("orders").add(std::to_string(amount));
            return "";
        }));
    };
    auto mirrored = order;
    mirrored.role = request_role::mirror;
    sell(*s.b, mirrored, 3);
    REQUIRE(s.bob.sync());
    bring(s.bob, s.pat);
    const auto sold = [&] { return s.p->read([](const map_view& m) { return m.map("stock").counter("sold").value(); }).value(); };
    CHECK(sold() == 3);
    sell(*s.a, order, 2);
    meet({&s.ada, &s.bob});
    bring(s.bob, s.pat);
    CHECK(sold() == 2);
    CHECK(s.p->snapshot()->map("stock").add_wins_set("orders").elements().value() == std::vector<std::string>{"2"});
    s.check_same(stock);
    CHECK(s.p->state()->requests() == 0);
    // Once it is forgotten nothing of that changes.
    s.world->now_ms += std::chrono::milliseconds(store_options{}.request_window * 3).count();
    for (int i = 0; i < 3; ++i) meet({&s.ada, &s.bob});
    CHECK(s.b->state()->requests() == 0);
    bring(s.bob, s.pat);
    s.check_same(stock);
    CHECK(sold() == 2);
}

TEST_CASE("what a part shows never goes back") {
    shop s;
    put(*s.a, "stock", "1", "new");
    REQUIRE(s.ada.sync());
    bring(s.ada, s.pat);
    // Bob lacks that, and has something else.
    put(*s.b, "stock", "2", "bob's");
    REQUIRE(s.bob.sync());
    bring(s.bob, s.pat);
    CHECK(shown(*s.p, "stock", "1") == "new");
    CHECK(shown(*s.p, "stock", "2") == "old");
    meet({&s.ada, &s.bob});
    bring(s.bob, s.pat);
    CHECK(shown(*s.p, "stock", "1") == "new");
    CHECK(shown(*s.p, "stock", "2") == "bob's");
    // Nor does it take a state like that which nobody should have sent.
    put(*s.a, "stock", "1", "newer");
    REQUIRE(s.ada.sync());
    bring(s.ada, s.pat);
    put(*s.b, "stock", "2", "again");
    REQUIRE(s.bob.sync());
    auto sink = s.p->state()->receive_walk({}).value();
    auto source = s.b->state()->begin_walk(sink->request()).value();
    CHECK(sink->take(**source->next(1'000'000), far, s.bob.id()).error().code == errc::behind_cut);
    CHECK(shown(*s.p, "stock", "1") == "newer");
}

TEST_CASE("other paths come anew, and the old ones stay until then") {
    shop s;
    bring(s.ada, s.pat);
    SECTION("more of them") {
        REQUIRE(s.pat.bucket_part("b", {catalogue, stock}));
        CHECK(s.p->held() == paths{stock});
        CHECK(shown(*s.p, "stock", "1") == "old");
        CHECK(get(*s.p, "catalogue", "1").error().code == errc::not_held);
        bring(s.ada, s.pat);
        CHECK(s.p->held() == paths{catalogue, stock});
        s.check_same(stock);
        s.check_same(catalogue);
    }
    SECTION("fewer of them") {
        REQUIRE(s.pat.bucket_part("b", {at({"stock", "1"}), at({"stock", "12"}), at({"stock", "12", "below"})}));
        bring(s.ada, s.pat);
        CHECK(s.p->held() == paths{at({"stock", "1"}), at({"stock", "12"})});
        CHECK(test::row_keys(s.pat) == 2);
        CHECK(shown(*s.p, "stock", "12") == "old");
        CHECK(get(*s.p, "stock", "2").error().code == errc::not_held);
        put(*s.a, "stock", "12", "new");
        put(*s.a, "stock", "13", "new");
        REQUIRE(s.ada.sync());
        bring(s.ada, s.pat);
        CHECK(shown(*s.p, "stock", "12") == "new");
        CHECK(test::row_keys(s.pat) == 2);
    }
    SECTION("all of it, as a member") {
        REQUIRE(s.pat.bucket("b"));
        CHECK(shown(*s.p, "stock", "1") == "old");
        bring(s.ada, s.pat);
        CHECK(s.p->held() == paths{{}});
        CHECK(s.p->digest().value() == s.a->digest().value());
        bring(s.ada, s.pat);
        CHECK(s.p->is_member());
        put(*s.p, "stock", "1", "pat's");
        REQUIRE(s.pat.sync());
        bring(s.ada, s.pat);
        CHECK(shown(*s.a, "stock", "1") == "pat's");
        CHECK(s.pat.bucket_part("b", {stock}).error().code == errc::invalid_argument);
    }
}

TEST_CASE("all of a bucket comes to who held a part of it with what requests may still change") {
    shop s;
    bring(s.ada, s.pat);
    const request order{.tenant = "t", .principal = "p", .key = "k", .issued = epoch};
    const auto sell = [&](bucket in, std::int64_t amount) {
        REQUIRE(in.commit(order, [&](transaction& tx) -> result<std::string> {
            tx.map("stock").counter("sold").add(amount);
            return std::to_string(amount);
        }));
    };
    sell(*s.b, 5);
    REQUIRE(s.bob.sync());
    bring(s.bob, s.pat);
    REQUIRE(s.pat.bucket("b", participation::reader));
    bring(s.bob, s.pat);
    CHECK(s.p->find(order).value()->result == "5");
    sell(*s.a, 2);
    meet({&s.ada, &s.bob});
    bring(s.bob, s.pat);
    CHECK(s.p->digest().value() == s.b->digest().value());
    CHECK(s.p->find(order).value()->result == s.b->find(order).value()->result);
}

TEST_CASE("a part is there again after its process has died, whenever that was") {
    bool was_before = false;
    bool was_after = false;
    bool is_over = false;
    for (std::size_t writes = 0; !is_over; ++writes) {
        REQUIRE(writes < 50);
        INFO("after " << writes << " writes");
        const std::shared_ptr<storage::engine> disk = test::watched_engine(std::make_shared<test::engine_use>());
        const auto use = std::make_shared<test::engine_use>();
        shop s(disk, use);
        bring(s.ada, s.pat);
        put(*s.a, "stock", "1", "new");
        put(*s.a, "catalogue", "2", "new");
        REQUIRE(s.ada.sync());
        REQUIRE(s.pat.bucket_part("b", {at({"stock", "1"}), at({"catalogue", "2"})}));
        use->writes_left = writes;
        (void)talk(s.ada, s.pat);
        is_over = use->writes_left > 0;
        s.p.reset();
        s.pat = test::memory_store(s.world);
        s.pat = s.open(disk, std::make_shared<test::engine_use>());
        s.p = bucket(s.pat.state()->find_bucket("b"));
        const bool is_here = s.p->held().size() == 2;
        was_before = was_before || !is_here;
        was_after = was_after || (is_here && !is_over);
        if (is_here) {
            CHECK(shown(*s.p, "stock", "1") == "new");
            CHECK(get(*s.p, "stock", "2").error().code == errc::not_held);
        } else {
            CHECK(s.p->held() == paths{stock});
            CHECK(shown(*s.p, "stock", "1") == "old");
            CHECK(get(*s.p, "catalogue", "2").error().code == errc::not_held);
        }
        CHECK_FALSE(talk(s.ada, s.pat).one);
        CHECK(shown(*s.p, "stock", "1") == "new");
        CHECK(shown(*s.p, "catalogue", "2") == "new");
        CHECK(test::row_keys(s.pat) == 2);
    }
    CHECK(was_before);
    CHECK(was_after);
}

TEST_CASE("a part goes on coming where it has broken off") {
    shop s;
    const bool is_new = GENERATE(false, true);
    CAPTURE(is_new);
    if (!is_new) bring(s.ada, s.pat);
    for (int i = 0; i < 300; ++i) {
        put(*s.a, "stock", std::to_string(1'000 + i), "old");
        put(*s.a, "catalogue", std::to_string(1'000 + i), "old");
    }
    REQUIRE(s.ada.sync());
    std::size_t rows = 0;
    for (int turn = 0;; ++turn) {
        REQUIRE(turn < 100);
        auto sink = s.p->state()->receive_walk({}).value();
        auto source = s.a->state()->begin_walk(sink->request()).value();
        bool is_all = false;
        for (int i = 0; i < 5 && !is_all; ++i) {
            const auto taken = sink->take(**source->next(500), far, s.ada.id());
            REQUIRE(taken);
            is_all = taken->has_value();
        }
        rows += sink->rows();
        if (is_all) break;
        put(*s.a, "stock", std::to_string(1'000 + turn), "new");
        put(*s.a, "catalogue", std::to_string(1'000 + turn), "new");
        REQUIRE(s.ada.sync());
    }
    CHECK(rows > 300);
    CHECK(rows < 600);
    s.check_same(stock);
}

TEST_CASE("holders of parts neither ask each other nor disturb each other") {
    shop s;
    auto quin = test::memory_store(s.world);
    auto q = quin.bucket_part("b", {stock}).value();
    bring(s.ada, s.pat);
    bring(s.pat, quin);
    CHECK(q.held().empty());
    bring(s.bob, quin);
    put(*s.a, "stock", "1", "new");
    REQUIRE(s.ada.sync());
    bring(s.ada, s.pat);
    bring(s.pat, quin);
    CHECK(shown(q, "stock", "1") == "old");
    CHECK(s.p->state()->begin_walk(codec::encode(detail::walk_request{})).error().code == errc::not_held);
    // Who has nothing of the bucket has nothing to give of it, either.
    auto rita = test::memory_store(s.world);
    REQUIRE(rita.bucket("b", participation::reader));
    bring(rita, s.pat);
    bring(rita, quin);
    bring(s.ada, rita);
    bring(rita, quin);
    CHECK(shown(q, "stock", "1") == "new");
}

TEST_CASE("what a retired member did and does not count goes from a part, too") {
    shop s;
    auto eve = test::memory_store(s.world);
    REQUIRE(eve.bucket("b"));
    REQUIRE(s.a->state()->sponsor(eve.id()));
    meet({&s.ada, &s.bob});
    const auto e = eve.bucket("b").value();
    (void)talk(s.ada, eve);
    put(e, "stock", "1", "eve's");
    put(e, "stock", "1", "eve's last");
    REQUIRE(eve.sync());
    bring(eve, s.pat);
    CHECK(shown(*s.p, "stock", "1") == "eve's last");
    REQUIRE(s.a->retire(eve.id()));
    meet({&s.ada, &s.bob});
    for (int i = 0; i < 2; ++i) (void)talk(s.ada, s.pat);
    CHECK(shown(*s.p, "stock", "1") == "old");
    s.check_same(stock);
    CHECK(s.p->orphans()->empty());
}

TEST_CASE("nonsense of parts is refused") {
    shop s;
    const auto refused = [&](const std::vector<std::vector<field>>& below) { return s.pat.bucket_part("c", below).error().code; };
    CHECK(refused({}) == errc::invalid_argument);
    CHECK(refused({{}}) == errc::invalid_argument);
    CHECK(refused({stock, {}}) == errc::invalid_argument);
    CHECK(refused({at({std::string(limits::name + 1, 'x')})}) == errc::invalid_argument);
    std::vector<std::vector<field>> many;
    for (std::size_t i = 0; i <= limits::part_paths; ++i) many.push_back(at({std::to_string(i)}));
    CHECK(refused(many) == errc::limit_exceeded);
    CHECK(s.ada.bucket_part("b", {stock}).error().code == errc::invalid_argument);
    CHECK(s.pat.buckets() == std::vector<std::string>{"b"});

    SECTION("of a peer that asks") {
        const auto ask = [&](detail::part only) {
            detail::walk_request request;
            request.only = std::move(only);
            return s.a->state()->begin_walk(codec::encode(request)).error().code;
        };
        CHECK(ask(detail::part(std::vector<std::string>{"no path"})) == errc::malformed);
        const auto path = store_keys::segment("stock", 'p');
        // Not sorted, or one below another: put together by hand.
        CHECK_FALSE(codec::decode<detail::part>(codec::encode(std::vector{path, path}))->is_sound());
        CHECK_FALSE(codec::decode<detail::part>(codec::encode(std::vector{path, store_keys::path_below(path, "x", 'p')}))->is_sound());
        CHECK_FALSE(codec::decode<detail::part>(codec::encode(std::vector{path, store_keys::segment("a", 'p')}))->is_sound());
    }
    SECTION("of a peer that answers") {
        auto sink = s.p->state()->receive_walk({}).value();
        auto piece = codec::decode<detail::walk_piece>(**s.a->state()->begin_walk(sink->request()).value()->next(1'000'000)).value();
        SECTION("rows that were not asked for") { piece.items.at(0).prefix = store_keys::segment("sun", 'p'); }
        SECTION("all rows") { piece.items.at(0).prefix.clear(); }
        SECTION("requests") { piece.requests.push_back({{}, "x"}); }
        CHECK(sink->take(codec::encode(piece), far, s.ada.id()).error().code == errc::malformed);
        sink.reset();
        bring(s.ada, s.pat);
        s.check_same(stock);
    }
}
