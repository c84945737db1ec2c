// What a reader is told of executions of requests: in the change feed, and when it asks.
#include <anabranch/feed.hpp>
#include <thread>

#include "storage/memory/memory_engine.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/borrowed_engine.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using namespace anabranch::test;

namespace {

using program = std::function<result<std::string>(transaction&)>;

struct shop {
    std::shared_ptr<world> w = std::make_shared<world>();
    store edge = memory_store(w);
    store cloud = memory_store(w);
    store other = memory_store(w);
    shop() { share(edge, {&cloud, &other}); }

    static bucket b(const store& s) { return store(s).bucket("b").value(); }
    request ask(std::string key, request_role role = request_role::primary) const {
        return {.tenant = "t", .principal = "p", .key = std::move(key), .issued = std::chrono::milliseconds{w->now_ms.load()}, .role = role};
    }
    /// An execution, at another time than any other.
    transaction_id run(const store& s, const request& r, const program& fn) const {
        w->now_ms += 1;
        const auto done = b(s).commit(r, fn);
        REQUIRE(done);
        return {store(s).id(), b(s).state()->committed()};
    }
    /// `to` gets what `from` has.
    static void bring(const store& from, const store& to) {
        REQUIRE(store(from).sync());
        REQUIRE(transfer(b(from), b(to)));
    }
    void settle() { test::meet({&edge, &cloud, &other}); }
    void forget_all() {
        w->now_ms += 40 * 60'000;
        settle();
        settle();
        for (const auto* s : {&edge, &cloud, &other}) REQUIRE(b(*s).state()->requests() == 0);
    }
};

program adds(std::int64_t n, std::string field = "c") {
    return [n, field](transaction& tx) -> result<std::string> {
        tx.counter(field).add(n);
        return "added " + std::to_string(n);
    };
}
program sets(std::string v) {
    return [v](transaction& tx) -> result<std::string> {
        tx.last_writer<std::string>("r").set(v);
        return v;
    };
}
program refuses(std::string why) {
    return [why](transaction& tx) { return tx.refuse(why); };
}

std::vector<superseded_request> events_in(const std::vector<feed_step>& steps) {
    std::vector<superseded_request> all;
    for (const auto& step : steps) all.insert(all.end(), step.superseded.begin(), step.superseded.end());
    return all;
}
const feed_step& step_of(const std::vector<feed_step>& steps, const transaction_id& t) {
    const auto it = std::ranges::find(steps, t, &feed_step::transaction);
    REQUIRE(it != steps.end());
    return *it;
}
field_change at(std::string name, field_type type, change_kind what = change_kind::written) {
    return {{{std::move(name), type}}, {}, what};
}
const auto mirror = request_role::mirror;

/// Whether two executions of one request are told to differ.
bool differ(const std::function<void(transaction&)>& before, const program& one, const program& two) {
    shop s;
    if (before) REQUIRE(shop::b(s.cloud).commit([&](transaction& tx) { before(tx); }));
    auto f = shop::b(s.edge).watch().value();
    s.run(s.edge, s.ask("k"), one);
    s.run(s.cloud, s.ask("k", mirror), two);
    shop::bring(s.cloud, s.edge);
    const auto listed = shop::b(s.edge).superseded().value().size();
    CHECK(events_in(pull_all(f)).size() == listed);
    return listed == 1;
}

}  // namespace

TEST_CASE("an execution that comes and does not count is told of, with both versions and why") {
    shop s;
    auto f = shop::b(s.edge).watch().value();
    const auto r = s.ask("k");
    const auto primary = s.run(s.edge, r, [](transaction& tx) -> result<std::string> {
        tx.last_writer<std::string>("head").set("two teas");
        tx.bounded_counter("stock").add(2);
        tx.map("m").add_wins_set("tags").add("hot");
        tx.counter("c").reset();
        return "placed";
    });
    auto mirrored = r;
    mirrored.role = mirror;
    const auto second = s.run(s.cloud, mirrored, adds(-3));
    shop::bring(s.cloud, s.edge);
    const auto steps = pull_all(f);
    CHECK(step_of(steps, primary).superseded.empty());
    const auto& step = step_of(steps, second);
    CHECK(step.changes == std::vector{at("c", field_type::counter)});
    REQUIRE(step.superseded.size() == 1);
    const auto& event = step.superseded[0];
    CHECK(event.identity == r.identity());
    CHECK(event.issued == r.issued);
    CHECK(event.reason == winning_reason::role);
    CHECK(event.loser.transaction == second);
    CHECK(event.loser.role == request_role::mirror);
    CHECK(event.loser.result == "added -3");
    CHECK(event.loser.at == step.at);
    CHECK(event.loser.changes == std::vector<version_change>{{at("c", field_type::counter), {}, -3, 0}});
    CHECK(event.winner.transaction == primary);
    CHECK(event.winner.outcome == request_outcome::committed);
    CHECK(event.winner.result == "placed");
    CHECK(event.winner.changes == std::vector<version_change>{
        {at("c", field_type::counter, change_kind::removed), {}, 0, 0},
        {at("head", field_type::last_writer), "two teas", 0, 0},
        {{{{"m", field_type::map}, {"tags", field_type::add_wins_set}}, "hot", change_kind::written}, {}, 0, 0},
        {at("stock", field_type::bounded_counter), {}, 2, 0}});
    CHECK(pull_all(f).empty());
    CHECK(shop::b(s.edge).superseded().value() == step.superseded);
}

TEST_CASE("an execution that ceases to count is told of when the one comes that does, with all that changes") {
    shop s;
    auto f = shop::b(s.cloud).watch().value();
    const auto first = s.run(s.cloud, s.ask("k", mirror), [](transaction& tx) -> result<std::string> {
        tx.counter("c").add(3);
        tx.counter("only the mirror").add(1);
        tx.map("m").clear();
        return "mirrored";
    });
    CHECK(events_in(pull_all(f)).empty());
    const auto primary = s.run(s.edge, s.ask("k"), adds(5));
    shop::bring(s.edge, s.cloud);
    const auto steps = pull_all(f);
    const auto& step = step_of(steps, primary);
    REQUIRE(step.superseded.size() == 1);
    CHECK(step.superseded[0].loser.transaction == first);
    CHECK(step.superseded[0].winner.transaction == primary);
    CHECK(step.changes == std::vector{at("m", field_type::map, change_kind::suppressed), at("c", field_type::counter),
                                      at("only the mirror", field_type::counter, change_kind::suppressed)});
}

TEST_CASE("each reason is told") {
    const auto reason = [](const request& one, const program& first, const request& two, const program& second, shop& s) {
        s.run(s.edge, one, first);
        s.run(s.cloud, two, second);
        shop::bring(s.cloud, s.edge);
        const auto events = shop::b(s.edge).superseded().value();
        REQUIRE(events.size() == 1);
        return events[0].reason;
    };
    shop by_role, by_outcome, by_time;
    CHECK(reason(by_role.ask("k"), refuses("no"), by_role.ask("k", mirror), adds(1), by_role) == winning_reason::role);
    CHECK(reason(by_outcome.ask("k"), refuses("no"), by_outcome.ask("k"), adds(1), by_outcome) == winning_reason::outcome);
    CHECK(reason(by_time.ask("k"), adds(2), by_time.ask("k"), adds(1), by_time) == winning_reason::time);
    shop s;
    REQUIRE(shop::b(s.edge).commit(s.ask("k"), adds(1)));
    REQUIRE(shop::b(s.cloud).commit(s.ask("k"), adds(2)));
    shop::bring(s.cloud, s.edge);
    const auto event = shop::b(s.edge).superseded().value().at(0);
    REQUIRE(event.winner.at == event.loser.at);
    CHECK(event.reason == winning_reason::replica);
    CHECK(event.winner.transaction.origin < event.loser.transaction.origin);
}

TEST_CASE("of three executions each that does not count is told of once, in whatever order they come") {
    for (const bool loser_first : {false, true}) {
        shop s;
        auto f = shop::b(s.other).watch().value();
        const auto primary = s.run(s.edge, s.ask("k"), adds(1));
        const auto later = s.run(s.cloud, s.ask("k"), adds(2));
        const auto own = s.run(s.other, s.ask("k", mirror), adds(3));
        auto seen = events_in(pull_all(f));
        CHECK(seen.empty());
        std::vector<std::pair<transaction_id, transaction_id>> told;
        for (const auto* from : {loser_first ? &s.cloud : &s.edge, loser_first ? &s.edge : &s.cloud}) {
            shop::bring(*from, s.other);
            for (const auto& e : events_in(pull_all(f))) told.emplace_back(e.loser.transaction, e.winner.transaction);
        }
        if (loser_first) {
            CHECK(told == std::vector{std::pair(own, later), std::pair(later, primary)});
        } else {
            CHECK(told == std::vector{std::pair(own, primary), std::pair(later, primary)});
        }
        CHECK(shop::b(s.other).superseded().value().size() == 2);
        CHECK(shop::b(s.other).superseded(1).value().size() == 1);
    }
}

TEST_CASE("executions that did and answered the same are no event, and have their steps") {
    shop s;
    auto f = shop::b(s.edge).watch().value();
    const auto one = s.run(s.edge, s.ask("k"), sets("v"));
    const auto two = s.run(s.cloud, s.ask("k", mirror), sets("v"));
    shop::bring(s.cloud, s.edge);
    const auto steps = pull_all(f);
    CHECK(events_in(steps).empty());
    CHECK(step_of(steps, one).executions.at(0).result == "v");
    CHECK_FALSE(step_of(steps, one).executions.at(0).is_unconfirmed);
    CHECK(step_of(steps, two).executions.at(0).role == request_role::mirror);
    CHECK_FALSE(step_of(steps, two).executions.at(0).is_unconfirmed);
    CHECK(shop::b(s.edge).superseded().value().empty());
}

TEST_CASE("what is the same does not depend on what an execution found") {
    const auto does = [](const std::function<void(transaction&)>& fn, std::string answer = "") -> program {
        return [=](transaction& tx) -> result<std::string> {
            fn(tx);
            return answer;
        };
    };
    const auto nothing = does([](transaction&) {});
    const auto resets = does([](transaction& tx) { tx.counter("c").reset(); });
    const auto clears = does([](transaction& tx) { tx.map("m").clear(); });
    const auto removes = does([](transaction& tx) { tx.add_wins_set("a").remove("x"); });
    const auto erases = does([](transaction& tx) { tx.last_writer<std::string>("r").clear(); });
    const auto spends = does([](transaction& tx) { (void)tx.bounded_counter("s").spend(2); });
    const auto fill = [](transaction& tx) {
        tx.counter("c").add(4);
        tx.map("m").counter("c").add(1);
        tx.map("m").bounded_counter("b").add(1);
        tx.add_wins_set("a").add("x");
        tx.last_writer<std::string>("r").set("old");
        tx.bounded_counter("s").add(5);
    };
    for (const auto& same : {nothing, resets, clears, removes, erases}) {
        CHECK_FALSE(differ({}, same, same));
        CHECK_FALSE(differ(fill, same, same));
    }
    CHECK(differ(fill, nothing, resets));
    CHECK(differ({}, nothing, clears));
    CHECK(differ({}, nothing, removes));
    CHECK(differ({}, nothing, erases));
    // It is granted where there are any, and does nothing where there are none.
    CHECK(differ(fill, spends, spends));
    CHECK(differ({}, adds(1), adds(2)));
    CHECK(differ({}, sets("a"), sets("b")));
    CHECK(differ({}, does([](transaction&) {}, "a"), does([](transaction&) {}, "b")));
    CHECK(differ({}, refuses(""), nothing));
    CHECK(differ({}, does([](transaction& tx) { tx.bounded_counter("s").add(1); }), does([](transaction& tx) { tx.bounded_counter("s").add(2); })));
    // What it takes away itself never was.
    CHECK_FALSE(differ({}, clears, does([](transaction& tx) {
        tx.map("m").counter("c").add(1);
        tx.map("m").clear();
    })));
    CHECK_FALSE(differ({}, does([](transaction& tx) { tx.counter("c").add(3); }), does([](transaction& tx) {
        tx.counter("c").add(1);
        tx.counter("c").add(2);
    })));
}

TEST_CASE("a primary execution that confirms a mirror's is no event, and ends its being unconfirmed") {
    shop s;
    auto f = shop::b(s.edge).watch().value();
    auto of_path = shop::b(s.edge).watch({{"c", field_type::counter}}).value();
    auto elsewhere = shop::b(s.edge).watch({{"other", field_type::counter}}).value();
    const auto first = s.run(s.cloud, s.ask("k", mirror), adds(3));
    shop::bring(s.cloud, s.edge);
    const auto mirrored = pull_all(f);
    CHECK(step_of(mirrored, first).executions.at(0).is_unconfirmed);
    const auto confirms = s.run(s.edge, s.ask("k"), adds(9));
    for (auto* each : {&f, &of_path}) {
        const auto steps = pull_all(*each);
        const auto& step = step_of(steps, confirms);
        CHECK(step.changes.empty());
        REQUIRE(step.executions.size() == 1);
        const auto& x = step.executions[0];
        CHECK(x == executed_request{s.ask("k").identity(), x.issued, request_role::primary, request_outcome::committed, "added 3", confirms, first, false});
        CHECK(events_in(steps).empty());
    }
    CHECK(pull_all(elsewhere).empty());
    CHECK(shop::b(s.edge).superseded().value().empty());
    // Another primary one that wins over both is told of with what they did.
    shop t;
    auto g = shop::b(t.edge).watch().value();
    const auto primary = t.run(t.other, t.ask("k"), adds(1));
    const auto lost = t.run(t.cloud, t.ask("k", mirror), adds(3));
    shop::bring(t.cloud, t.edge);
    const auto confirmed = t.run(t.edge, t.ask("k"), adds(9));
    CHECK(events_in(pull_all(g)).empty());
    shop::bring(t.other, t.edge);
    const auto events = events_in(pull_all(g));
    REQUIRE(events.size() == 1);
    CHECK(events[0].winner.transaction == primary);
    CHECK(events[0].loser.transaction == confirmed);
    CHECK(events[0].loser.result == "added 3");
    CHECK(events[0].loser.changes.at(0).amount == 3);
    // On call both are named that do not count.
    CHECK(shop::b(t.edge).superseded().value().size() == 2);
    CHECK(shop::b(t.edge).superseded().value()[0].loser.transaction == lost);
}

TEST_CASE("a feed of a path is told of what has to do with it, and where what is shown there changes") {
    shop s;
    const auto tea = std::vector<field>{{"tea", field_type::map}};
    auto of_tea = shop::b(s.cloud).watch(tea).value();
    auto of_milk = shop::b(s.cloud).watch({{"milk", field_type::map}}).value();
    auto of_bread = shop::b(s.cloud).watch({{"bread", field_type::map}}).value();
    const auto sells = [](std::string what) -> program {
        return [what](transaction& tx) -> result<std::string> {
            tx.map(what).counter("sold").add(1);
            return what;
        };
    };
    const auto first = s.run(s.cloud, s.ask("k", mirror), sells("tea"));
    const auto primary = s.run(s.edge, s.ask("k"), sells("milk"));
    shop::bring(s.edge, s.cloud);
    const auto told = pull_all(of_tea);
    REQUIRE(told.size() == 2);
    CHECK(told[0].transaction == first);
    CHECK(told[1].transaction == primary);
    CHECK(told[1].changes == std::vector<field_change>{{{tea[0], {"sold", field_type::counter}}, {}, change_kind::suppressed}});
    CHECK(told[1].executions.empty());
    REQUIRE(told[1].superseded.size() == 1);
    CHECK(told[1].superseded[0].loser.changes.size() == 1);
    CHECK(told[1].superseded[0].winner.changes.empty());
    const auto milk = pull_all(of_milk);
    REQUIRE(milk.size() == 1);
    CHECK(milk[0].changes.size() == 1);
    CHECK(milk[0].executions.size() == 1);
    CHECK(milk[0].superseded.at(0).loser.transaction == first);
    CHECK(pull_all(of_bread).empty());
}

TEST_CASE("what an execution did counts again where another one confirms it, and is told of") {
    shop s;
    const auto lost = s.run(s.cloud, s.ask("k", mirror), adds(3, "mirrored"));
    shop::bring(s.cloud, s.edge);
    const auto confirms = s.run(s.edge, s.ask("k"), adds(9));
    auto f = shop::b(s.other).watch().value();
    const auto later = s.run(s.other, s.ask("k"), adds(1));
    CHECK(events_in(pull_all(f)).empty());
    shop::bring(s.cloud, s.other);
    const auto arrived = pull_all(f);
    CHECK(step_of(arrived, lost).superseded.at(0).winner.transaction == later);
    shop::bring(s.edge, s.other);
    const auto steps = pull_all(f);
    const auto& step = step_of(steps, confirms);
    CHECK(step.superseded.at(0).loser.transaction == later);
    CHECK(step.changes == std::vector{at("c", field_type::counter, change_kind::suppressed), at("mirrored", field_type::counter)});
}

TEST_CASE("executions beside a fold are in its step, and what they supersede") {
    shop s;
    auto f = shop::b(s.cloud).watch().value();
    const auto lost = s.run(s.cloud, s.ask("both", mirror), adds(3));
    for (int i = 0; i < 3; ++i) REQUIRE(shop::b(s.edge).commit([](transaction& tx) { tx.counter("plain").add(1); }));
    s.run(s.edge, s.ask("both"), adds(5));
    const auto alone = s.run(s.edge, s.ask("alone", mirror), adds(7));
    // Both of this one come with the fold.
    s.run(s.other, s.ask("twice", mirror), sets("mirror"));
    const auto confirmed = s.run(s.other, s.ask("confirmed", mirror), sets("it"));
    shop::bring(s.other, s.edge);
    s.run(s.edge, s.ask("confirmed"), sets("not run"));
    s.run(s.edge, s.ask("refused"), refuses("no"));
    for (auto* each : {&s.edge, &s.cloud}) REQUIRE(each->sync());
    detail::positions after;
    for (const auto& entry : shop::b(s.cloud).progress()) after[entry.origin] = entry.sequence;
    const auto fold = shop::b(s.edge).state()->read_log(after, {UINT64_MAX}, {.fold_above = 1});
    REQUIRE(fold);
    REQUIRE(fold->folded);
    REQUIRE(shop::b(s.cloud).state()->apply(*fold, {UINT64_MAX}, s.edge.id()));
    const auto steps = pull_all(f);
    REQUIRE(steps.size() == 2);
    const auto& step = steps[1];
    CHECK(step.cause == change_cause::catch_up);
    CHECK(step.executions.size() == 6);
    for (const auto& x : step.executions) CHECK(x.is_unconfirmed == (x.transaction == alone || (x.result == "mirror")));
    REQUIRE(step.superseded.size() == 1);
    CHECK(step.superseded[0].loser.transaction == lost);
    CHECK(std::ranges::count(step.executions, std::optional(confirmed), &executed_request::confirms) == 1);
}

TEST_CASE("who was away while a request was forgotten is told all the same") {
    for (const bool on_disk : {false, true}) {
        temp_directory directory;
        const auto w = std::make_shared<world>();
        const auto memory = std::shared_ptr<storage::engine>(storage::open_memory());
        const auto open = [&] {
            return on_disk ? store::open(directory.path(), options(w)).value() : store::on(std::make_unique<borrowed_engine>(memory), options(w)).value();
        };
        const std::chrono::milliseconds issued{w->now_ms.load()};
        auto edge = memory_store(w);
        std::optional<store> cloud = open();
        share(edge, {&*cloud});
        const auto at_cloud = [&] { return cloud->bucket("b").value(); };
        const auto at_edge = [&] { return edge.bucket("b").value(); };
        const auto ask = [&](std::string key, request_role role) {
            return request{.tenant = "t", .principal = "p", .key = std::move(key), .issued = issued, .role = role};
        };
        const auto token = at_cloud().watch()->token().value();
        REQUIRE(at_cloud().commit(ask("k", mirror), adds(3)));
        w->now_ms += 1;
        REQUIRE(at_edge().commit(ask("k", request_role::primary), adds(5)));
        REQUIRE(at_cloud().commit(ask("lonely", mirror), adds(1)));
        REQUIRE(at_cloud().commit(ask("same", mirror), adds(2)));
        REQUIRE(at_edge().commit(ask("same", request_role::primary), adds(2)));
        exchange(edge, *cloud);
        const auto read = [&] {
            auto f = at_cloud().resume(token).value();
            return pull_all(f);
        };
        const auto before = events_in(read());
        w->now_ms += 40 * 60'000;
        for (int i = 0; i < 2; ++i) test::meet({&edge, &*cloud});
        REQUIRE(at_cloud().state()->requests() == 0);
        for (int again = 0; again < 2; ++again) {
            const auto steps = read();
            const auto events = events_in(steps);
            REQUIRE(events.size() == 1);
            CHECK(events == before);
            CHECK(events[0].loser.result == "added 3");
            CHECK(events[0].winner.result == "added 5");
            CHECK(at_cloud().superseded().value() == events);
            for (const auto& step : steps) {
                for (const auto& x : step.executions) {
                    if (x.result == "added 1") CHECK(x.is_unconfirmed);
                    if (x.result == "added 2") CHECK_FALSE(x.is_unconfirmed);
                }
            }
            cloud.reset();
            cloud = open();
        }
    }
}

TEST_CASE("what is not yet in the rows when a store dies is found again in its log") {
    const auto w = std::make_shared<world>();
    const auto memory = std::shared_ptr<storage::engine>(storage::open_memory());
    auto edge = memory_store(w);
    std::string token;
    {
        auto cloud = store::on(std::make_unique<borrowed_engine>(memory), options(w)).value();
        share(edge, {&cloud});
        token = cloud.bucket("b")->watch()->token().value();
    }
    request r{.tenant = "t", .principal = "p", .key = "k", .issued = std::chrono::milliseconds{w->now_ms.load()}};
    REQUIRE(edge.bucket("b")->commit(r, adds(5)));
    r.role = mirror;
    const auto use = std::make_shared<engine_use>();
    {
        auto cloud = store::on(watched_engine(use, std::make_unique<borrowed_engine>(memory)), options(w)).value();
        REQUIRE(cloud.bucket("b")->commit(r, adds(3)));
        exchange(edge, cloud);
        use->is_full = true;  // closing it writes nothing
    }
    auto cloud = store::on(std::make_unique<borrowed_engine>(memory), options(w)).value();
    auto f = cloud.bucket("b")->resume(token).value();
    CHECK(events_in(pull_all(f)).size() == 1);
    CHECK(cloud.bucket("b")->superseded().value().size() == 1);
}

TEST_CASE("a log that is cut loses both versions or none") {
    const auto w = std::make_shared<world>();
    auto o = options(w);
    o.log_retain_bytes = 600;
    auto edge = store::in_memory(o).value();
    auto cloud = store::in_memory(o).value();
    share(edge, {&cloud});
    const auto at_edge = [&] { return edge.bucket("b").value(); };
    request r{.tenant = "t", .principal = "p", .key = "k", .issued = std::chrono::milliseconds{w->now_ms.load()}};
    REQUIRE(at_edge().commit(r, adds(5)));
    r.role = mirror;
    const auto fill = [&](const store& s, int n) {
        for (int i = 0; i < n; ++i) REQUIRE(store(s).bucket("b")->commit([](transaction& tx) { tx.counter("plain").add(1); }));
    };
    // So long after it that the retained bytes begin between them.
    fill(edge, 40);
    w->now_ms += 1;
    REQUIRE(cloud.bucket("b")->commit(r, adds(3)));
    exchange(edge, cloud);
    w->now_ms += 40 * 60'000;
    for (int i = 0; i < 2; ++i) test::meet({&edge, &cloud});
    REQUIRE(at_edge().state()->requests() == 0);
    CHECK(at_edge().superseded().value().size() == 1);
    CHECK(log_keys(edge) > 40);
    for (int i = 0; i < 6; ++i) {
        fill(cloud, 10);
        exchange(edge, cloud);
    }
    w->now_ms += 40 * 60'000;
    for (int i = 0; i < 2; ++i) test::meet({&edge, &cloud});
    CHECK(at_edge().superseded().value().empty());
    CHECK(log_keys(edge) < 40);
    // Nothing of it is left, either.
    std::size_t left = 0;
    REQUIRE(at_edge().state()->flush());
    const auto prefix = store_keys::rivals_key(at_edge().state()->number(), origin{0}, 0).substr(0, 4);
    for (auto at = edge.state()->engine().scan(storage::space::rows, prefix); at->valid() && at->key().starts_with(prefix); at->next()) ++left;
    CHECK(left == 0);
}

TEST_CASE("a feed that is pulled while requests run knows of each what the store does") {
    shop s;
    auto f = shop::b(s.edge).watch().value();
    constexpr int most = 300;
    std::thread writer([&] {
        for (int i = 0; i < most; ++i) (void)shop::b(s.edge).commit(s.ask("k" + std::to_string(i), mirror), adds(1), durability::disk);
    });
    int told = 0;
    bool are_unconfirmed = true;
    for (bool is_over = false; !is_over;) {
        is_over = shop::b(s.edge).state()->requests() == most;
        auto batch = f.pull();
        if (!batch) break;
        for (const auto& step : batch->steps) {
            for (const auto& x : step.executions) are_unconfirmed = are_unconfirmed && x.is_unconfirmed;
            told += static_cast<int>(step.executions.size());
        }
    }
    writer.join();
    told += static_cast<int>(pull_all(f).size());
    CHECK(told == most);
    CHECK(are_unconfirmed);
}
