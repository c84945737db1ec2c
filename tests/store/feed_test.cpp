// The change feed: order, causes, what a step says, tokens, slow consumers, wakes.
#include <anabranch/feed.hpp>
#include <thread>

#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using anabranch::test::pull_all;
using test::exchange;
using test::memory_store;
using test::share;

namespace {

using changes = std::vector<field_change>;

field_change at(std::string name, field_type type, change_kind what = change_kind::written) {
    return {{{std::move(name), type}}, {}, what};
}
result<void> count(store& s, const std::string& name = "c", const std::string& bucket = "b") {
    return s.bucket(bucket)->commit([&](transaction& tx) { tx.counter(name).add(1); });
}

struct shop {
    std::shared_ptr<test::world> world = std::make_shared<test::world>();
    store cloud = memory_store(world);
    store edge = memory_store(world);

    shop() { share(cloud, {&edge}); }
    bucket b() { return cloud.bucket("b").value(); }
};

}  // namespace

TEST_CASE("a feed begins with what comes after it, and tells what each transaction did") {
    shop s;
    REQUIRE(count(s.cloud, "before"));
    auto f = s.b().watch().value();
    CHECK(pull_all(f).empty());
    REQUIRE(s.b().commit([](transaction& tx) {
        tx.last_writer<std::string>("name").set("tea");
        tx.map("m").add_wins_set("tags").add("hot");
        tx.bounded_counter("stock").add(3);
    }));
    const auto first = pull_all(f);
    REQUIRE(first.size() == 1);
    CHECK(first[0].cause == change_cause::local);
    CHECK(first[0].transaction == transaction_id{s.cloud.id(), 4});
    CHECK(first[0].at.value > 0);
    CHECK(first[0].ranges.empty());
    CHECK(first[0].changes == changes{{{{"m", field_type::map}, {"tags", field_type::add_wins_set}}, "hot", change_kind::written},
                                      at("name", field_type::last_writer),
                                      at("stock", field_type::bounded_counter)});
    REQUIRE(s.b().commit([&](transaction& tx) {
        tx.last_writer<std::string>("name").clear();
        tx.map("m").clear();
        tx.disable_wins_flag("off").disable();
        REQUIRE(tx.bounded_counter("stock").transfer(s.edge.id(), 1));
        tx.counter("c").add(1);
    }));
    const auto second = pull_all(f);
    REQUIRE(second.size() == 1);
    CHECK(second[0].changes == changes{at("m", field_type::map, change_kind::emptied), at("c", field_type::counter),
                                       at("name", field_type::last_writer, change_kind::removed),
                                       at("off", field_type::disable_wins_flag, change_kind::removed),
                                       at("stock", field_type::bounded_counter, change_kind::rights)});
    // The whole bucket has an empty path.
    REQUIRE(s.b().commit([](transaction& tx) { tx.clear(); }));
    CHECK(pull_all(f).at(0).changes.at(0) == field_change{{}, {}, change_kind::emptied});
}

TEST_CASE("a feed of a path tells what is below it, and removals of what it is in") {
    shop s;
    const std::vector<field> tea{{"product", field_type::map}, {"tea", field_type::map}};
    auto f = s.b().watch(tea).value();
    const auto product = [](const transaction& tx, const char* name) { return tx.map("product").map(name); };
    REQUIRE(s.b().commit([&](transaction& tx) {
        product(tx, "tea").counter("sold").add(1);
        product(tx, "teapot").counter("sold").add(1);
        tx.counter("product").add(1);
    }));
    REQUIRE(s.b().commit([&](transaction& tx) { product(tx, "milk").counter("sold").add(1); }));
    const auto steps = pull_all(f);
    REQUIRE(steps.size() == 1);
    CHECK(steps[0].changes.size() == 1);
    REQUIRE(s.b().commit([&](transaction& tx) { tx.map("product").clear(); }));
    REQUIRE(s.b().commit([&](transaction& tx) { product(tx, "tea").counter("sold").add(1); }));
    REQUIRE(s.b().commit([&](transaction& tx) { tx.map("product").remove("tea", field_type::map); }));
    const auto removed = pull_all(f);
    REQUIRE(removed.size() == 3);
    CHECK(removed[0].changes.at(0) == field_change{{{"product", field_type::map}}, {}, change_kind::emptied});
    CHECK(removed[2].changes.at(0) == field_change{tea, {}, change_kind::emptied});
}

TEST_CASE("transactions of others come as they are, after those that they have seen") {
    shop s;
    auto f = s.b().watch().value();
    REQUIRE(count(s.cloud, "a"));
    exchange(s.cloud, s.edge);
    REQUIRE(count(s.edge, "b"));
    s.world->now_ms += 1;
    REQUIRE(count(s.cloud, "c"));
    exchange(s.cloud, s.edge);
    const auto steps = pull_all(f);
    REQUIRE(steps.size() == 3);
    CHECK(steps[0].changes == changes{at("a", field_type::counter)});
    CHECK(steps[1].changes == changes{at("b", field_type::counter)});
    CHECK(steps[1].cause == change_cause::remote);
    CHECK(steps[1].transaction == transaction_id{s.edge.id(), 1});
    CHECK(steps[2].cause == change_cause::local);
}

TEST_CASE("what arrives folded is one step, between what was here before and what came after") {
    shop s;
    auto f = s.b().watch().value();
    for (int i = 0; i < 5; ++i) REQUIRE(count(s.edge, i % 2 == 0 ? "even" : "odd"));
    REQUIRE(count(s.cloud, "own"));
    for (auto* each : {&s.cloud, &s.edge}) REQUIRE(each->sync());
    detail::positions after;
    for (const auto& entry : s.b().progress()) after[entry.origin] = entry.sequence;
    const auto fold = s.edge.bucket("b")->state()->read_log(after, {UINT64_MAX}, {.fold_above = 1});
    REQUIRE(fold);
    REQUIRE(fold->folded);
    REQUIRE(s.b().state()->apply(*fold, {UINT64_MAX}, s.edge.id()));
    REQUIRE(count(s.cloud, "later"));
    const auto steps = pull_all(f);
    REQUIRE(steps.size() == 3);
    CHECK(steps[0].changes == changes{at("own", field_type::counter)});
    CHECK(steps[1].cause == change_cause::catch_up);
    CHECK(steps[1].ranges == std::vector<feed_step::range>{{s.edge.id(), 1, 5}});
    CHECK(steps[1].transaction == transaction_id{s.edge.id(), 5});
    CHECK(steps[1].changes == changes{at("even", field_type::counter), at("odd", field_type::counter)});
    CHECK(steps[2].changes == changes{at("later", field_type::counter)});
}

TEST_CASE("batches hold whole transactions, and at least one") {
    shop s;
    auto f = s.b().watch().value();
    for (int i = 0; i < 3; ++i) {
        REQUIRE(s.b().commit([&](transaction& tx) {
            tx.counter("a").add(1);
            tx.counter("b").add(1);
        }));
    }
    const auto sizes = [&](std::size_t most) {
        const auto batch = f.pull(most).value();
        return std::pair(batch.steps.size(), batch.more);
    };
    CHECK(sizes(0) == std::pair<std::size_t, bool>(1, true));
    CHECK(sizes(3) == std::pair<std::size_t, bool>(2, false));
    CHECK(sizes(3) == std::pair<std::size_t, bool>(0, false));
}

TEST_CASE("any number of feeds go at their own pace") {
    shop s;
    std::vector<feed> feeds;
    for (int i = 0; i < 20; ++i) {
        feeds.push_back(s.b().watch().value());
        REQUIRE(count(s.cloud));
    }
    for (std::size_t i = 0; i < feeds.size(); ++i) CHECK(pull_all(feeds[i]).size() == 20 - i);
}

TEST_CASE("a feed goes on from its token, also in another process") {
    test::temp_directory directory;
    const auto world = std::make_shared<test::world>();
    std::string token;
    {
        auto s = store::open(directory.path(), test::options(world)).value();
        REQUIRE(s.create_bucket("b"));
        auto f = s.bucket("b")->watch().value();
        REQUIRE(count(s, "a"));
        REQUIRE(count(s, "b"));
        CHECK(f.pull(1)->steps.size() == 1);
        token = f.token().value();
        CHECK(token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == std::string::npos);
    }
    auto s = store::open(directory.path(), test::options(world)).value();
    REQUIRE(count(s, "c"));
    for (int again = 0; again < 2; ++again) {
        auto f = s.bucket("b")->resume(token).value();
        const auto steps = pull_all(f);
        REQUIRE(steps.size() == 2);
        CHECK(steps[0].changes == changes{at("b", field_type::counter)});
        CHECK(steps[1].changes == changes{at("c", field_type::counter)});
    }
}

TEST_CASE("tokens that are damaged, forged or of somewhere else are refused") {
    shop s;
    REQUIRE(s.cloud.create_bucket("other"));
    const auto feed_token = s.b().watch()->token().value();
    session_token session;
    session.add({s.cloud.id(), 1});
    const auto refused = [&](const bucket& where, std::string_view token) {
        const auto f = where.resume(token);
        REQUIRE_FALSE(f);
        CHECK(f.error().code == errc::invalid_token);
        return f.error().message;
    };
    for (std::size_t n = 0; n < feed_token.size(); ++n) refused(s.b(), feed_token.substr(0, n));
    for (std::size_t n = 0; n < feed_token.size(); ++n) {
        auto forged = feed_token;
        forged[n] = forged[n] == 'A' ? 'B' : 'A';
        refused(s.b(), forged);
    }
    refused(s.b(), feed_token + "A");
    refused(s.b(), "not a token at all");
    CHECK(refused(s.b(), s.b().seal(session).value()).find("another kind") != std::string::npos);
    CHECK(refused(s.cloud.bucket("other").value(), feed_token).find("not made by a replica of this bucket") != std::string::npos);
    CHECK(refused(s.edge.bucket("b").value(), feed_token).find("is of replica " + to_string(s.cloud.id())) != std::string::npos);
    CHECK(s.b().resume(feed_token));
    // Nothing is here yet that could tell.
    auto stranger = memory_store(s.world);
    CHECK(stranger.bucket("b")->resume(feed_token).error().code == errc::not_a_member);
}

TEST_CASE("a token of what has been lost since is refused") {
    const auto world = std::make_shared<test::world>();
    const auto restored = [&](int more) {
        test::world same;
        const auto w = std::make_shared<test::world>();
        auto s = memory_store(w);  // the same identity each time
        REQUIRE(s.create_bucket("b"));
        REQUIRE(count(s, "kept"));
        for (int i = 0; i < more; ++i) REQUIRE(count(s, "lost " + std::to_string(more)));
        return s;
    };
    auto before = restored(3);
    const auto token = before.bucket("b")->watch()->token().value();
    auto shorter = restored(1);
    const auto ahead = shorter.bucket("b")->resume(token);
    REQUIRE_FALSE(ahead);
    CHECK(ahead.error().code == errc::invalid_token);
    CHECK(ahead.error().message.find("not here any more") != std::string::npos);
    auto longer = restored(4);
    const auto other = longer.bucket("b")->resume(token);
    REQUIRE_FALSE(other);
    CHECK(other.error().code == errc::invalid_token);
    CHECK(other.error().message.find("another history") != std::string::npos);
}

TEST_CASE("a consumer that is slower than the log is cut is told to read anew") {
    const auto world = std::make_shared<test::world>();
    auto o = test::options(world);
    o.log_retain_bytes = 0;
    auto a = store::in_memory(o).value();
    auto b = store::in_memory(o).value();
    share(a, {&b});
    auto slow = a.bucket("b")->watch().value();
    const auto token = slow.token().value();
    REQUIRE(count(a));
    test::meet({&a, &b});
    const auto batch = slow.pull();
    REQUIRE_FALSE(batch);
    CHECK(batch.error().code == errc::behind_cut);
    auto resumed = a.bucket("b")->resume(token);
    REQUIRE(resumed);
    CHECK(resumed->pull().error().code == errc::behind_cut);
    // Open first, then read: nothing is missed.
    auto anew = a.bucket("b")->watch().value();
    CHECK(a.bucket("b")->read([](const map_view& m) { return m.counter("c").value(); }) == 1);
    REQUIRE(count(a));
    CHECK(pull_all(anew).size() == 1);
}

TEST_CASE("a wake comes once for what was not pulled, and again after a pull") {
    shop s;
    int wakes = 0;
    auto f = s.b().watch({}, [&] { ++wakes; }).value();
    CHECK(pull_all(f).empty());
    wakes = 0;
    REQUIRE(count(s.cloud));
    REQUIRE(count(s.cloud));
    CHECK(wakes == 1);
    CHECK(pull_all(f).size() == 2);
    REQUIRE(count(s.edge));
    exchange(s.cloud, s.edge);
    CHECK(wakes == 2);
    // Another bucket is none of its business.
    pull_all(f);
    const auto before = wakes;
    REQUIRE(s.cloud.create_bucket("other"));
    REQUIRE(count(s.cloud, "c", "other"));
    CHECK(wakes == before);
    {
        const auto gone = std::move(f);
    }
    REQUIRE(count(s.cloud));
    CHECK(wakes == before);
}

TEST_CASE("a feed shows nothing that a loss of power could take back") {
    const auto use = std::make_shared<test::engine_use>();
    auto s = store::on(test::watched_engine(use), test::options(std::make_shared<test::world>())).value();
    REQUIRE(s.create_bucket("b"));
    auto f = s.bucket("b")->watch().value();
    REQUIRE(count(s));
    const auto syncs = use->syncs.load();
    CHECK(pull_all(f).size() == 1);
    CHECK(use->syncs > syncs);
    REQUIRE(count(s));
    use->is_full = true;
    CHECK(f.pull().error().code == errc::storage_full);
    use->is_full = false;
    CHECK(pull_all(f).size() == 1);
}

TEST_CASE("who could not be told for want of room on the disk is woken when there is some") {
    const auto use = std::make_shared<test::engine_use>();
    auto s = store::on(test::watched_engine(use), test::options(std::make_shared<test::world>())).value();
    REQUIRE(s.create_bucket("b"));
    int wakes = 0;
    auto f = s.bucket("b")->watch({}, [&] { ++wakes; }).value();
    REQUIRE(count(s));
    CHECK(wakes == 1);
    use->is_full = true;
    CHECK_FALSE(f.pull());
    use->is_full = false;
    REQUIRE(s.sync());
    CHECK(wakes == 2);
    CHECK(pull_all(f).size() == 1);
}

TEST_CASE("who reads while a fold is being applied finds all of it or nothing") {
    shop s;
    const auto use = std::make_shared<test::engine_use>();
    auto reader = store::on(test::watched_engine(use), test::options(s.world)).value();
    share(s.cloud, {&reader}, "c");
    auto c = reader.bucket("c").value();
    REQUIRE(reader.create_bucket("other"));
    auto f = c.watch().value();
    for (int i = 0; i < 3; ++i) REQUIRE(count(s.cloud, "x", "c"));
    REQUIRE(s.cloud.bucket("c")->commit([](transaction& tx) { tx.clear(); }));
    REQUIRE(s.cloud.sync());
    detail::positions after;
    for (const auto& entry : c.progress()) after[entry.origin] = entry.sequence;
    const auto fold = s.cloud.bucket("c")->state()->read_log(after, {UINT64_MAX}, {.fold_above = 1});
    REQUIRE(fold);
    // Between the log and the rows the removal of a prefix looks through the engine's rows.
    std::optional<feed_batch> meanwhile;
    use->on_scan = [&] {
        use->on_scan = nullptr;
        std::thread other([&] {
            if (!reader.sync()) return;
            auto batch = f.pull();
            if (batch) meanwhile = std::move(*batch);
        });
        other.join();
    };
    REQUIRE(c.state()->apply(*fold, {UINT64_MAX}, s.cloud.id()));
    REQUIRE(meanwhile);
    CHECK(meanwhile->steps.size() + pull_all(f).size() == 1);
}

TEST_CASE("a token that ends inside of a fold is refused") {
    shop s;
    for (int i = 0; i < 4; ++i) REQUIRE(count(s.edge));
    for (auto* each : {&s.cloud, &s.edge}) REQUIRE(each->sync());
    detail::positions after;
    for (const auto& entry : s.b().progress()) after[entry.origin] = entry.sequence;
    const auto fold = s.edge.bucket("b")->state()->read_log(after, {UINT64_MAX}, {.fold_above = 1});
    REQUIRE(s.b().state()->apply(*fold, {UINT64_MAX}, s.edge.id()));
    REQUIRE(s.cloud.sync());
    auto place = s.b().state()->durable();
    place[*s.cloud.state()->origins().find(s.edge.id())].sequence = 2;
    const auto resumed = s.b().resume(s.b().state()->feed_token(place).value());
    REQUIRE_FALSE(resumed);
    CHECK(resumed.error().code == errc::invalid_token);
}
