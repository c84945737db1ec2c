// Audits: rows that differ are found, told of, and repaired.
#include "store/audit.hpp"

#include <anabranch/session.hpp>

#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using storage::space;
using test::meet;
using test::share;
using test::talk;

namespace {

std::string key_of(const bucket& at, const std::string& path) { return store_keys::row_key(at.state()->number(), path); }
std::string counter(const std::string& name) { return store_keys::segment(name, static_cast<char>(field_type::counter)); }
std::string element(const std::string& of, const std::string& name) {
    return store_keys::path_below(store_keys::segment(of, static_cast<char>(field_type::add_wins_set)), name, store_keys::element_type);
}
std::string stored(const store& s, const bucket& at, const std::string& path) {
    return s.state()->engine().get(space::rows, key_of(at, path)).value().value_or("");
}
/// As a disk would: nobody in memory hears of it.
void damage(const store& s, const bucket& at, const std::string& path, const std::string& value) {
    REQUIRE(at.state()->flush());
    storage::batch batch;
    if (value.empty()) batch.erase(space::rows, key_of(at, path));
    else batch.put(space::rows, key_of(at, path), value);
    REQUIRE(s.state()->engine().write(batch));
}
void flip(const store& s, const bucket& at, const std::string& path, char bit = 2) {
    REQUIRE(at.state()->flush());
    auto value = stored(s, at, path);
    REQUIRE(value.size() > 2);
    auto& sum = value[value.size() - 2];  // behind it, that there are no resets
    sum = static_cast<char>(sum ^ bit);
    damage(s, at, path, value);
}

struct fleet {
    fleet() {
        share(ada, {&bob, &eve});
        a = ada.bucket("b").value();
        b = bob.bucket("b").value();
        e = eve.bucket("b").value();
        REQUIRE(a->commit([](transaction& tx) {
            for (int i = 0; i < 400; ++i) tx.counter("c" + std::to_string(i)).add(i + 1);
            for (int i = 0; i < 40; ++i) tx.add_wins_set("s").add("e" + std::to_string(i));
        }));
        meet({&ada, &bob, &eve});
    }
    std::vector<audit_finding> found(const bucket& at) const { return at.audit_findings(); }

    std::shared_ptr<test::world> world = std::make_shared<test::world>();
    store ada = test::memory_store(world);
    store bob = test::memory_store(world);
    store eve = test::memory_store(world);
    std::optional<bucket> a;
    std::optional<bucket> b;
    std::optional<bucket> e;
};

/// Asks and answers, in portions of that many bytes, until it is over. Bytes both ways; nothing where they cannot be compared now.
std::optional<std::size_t> audit(const bucket& asks, const replica_id& asker, const bucket& answers, const replica_id& answerer, std::size_t portion = 4096) {
    asks.audit();
    auto one = asks.state()->begin_audit(answerer, {}).value();
    REQUIRE(one);
    const auto other = answers.state()->answer_audit(asker);
    std::size_t bytes = 0;
    bool is_compared = false;
    for (int turns = 0; !one->is_done(); ++turns) {
        REQUIRE(turns < 100'000);
        const auto asked = one->next(portion).value();
        if (!asked) continue;
        REQUIRE(other->ask(*asked));
        std::optional<std::string> answer;
        while (!answer) answer = other->next(portion).value();
        bytes += asked->size() + answer->size();
        REQUIRE(one->take(*answer));
        is_compared = is_compared || one->is_busy();
    }
    CHECK(other->is_done());
    return is_compared ? std::optional(bytes) : std::nullopt;
}

}  // namespace

TEST_CASE("replicas that hold the same find nothing, and say when they looked") {
    fleet f;
    f.a->audit();
    CHECK_FALSE(talk(f.ada, f.bob).one);
    CHECK(f.found(*f.a).empty());
    CHECK(f.found(*f.b).empty());
    for (const auto& at : {*f.a, *f.b}) {
        REQUIRE(at.audits().size() == 1);
        CHECK(at.audits().front().at.count() == f.world->now_ms);
        CHECK(at.audits().front().differing == 0);
        CHECK_FALSE(at.audits().front().failure);
    }
}

TEST_CASE("one flipped bit is located to its row, and few bytes tell that there is none") {
    fleet f;
    const auto none = audit(*f.a, f.ada.id(), *f.b, f.bob.id());
    REQUIRE(none);
    CHECK(*none < 4'000);
    flip(f.bob, *f.b, counter("c77"));
    for (const std::size_t portion : {1, 100, 1'000'000}) {
        f.a->dismiss_findings();
        f.b->dismiss_findings();
        const auto bytes = audit(*f.a, f.ada.id(), *f.b, f.bob.id(), portion);
        REQUIRE(bytes);
        CHECK(*bytes < 8'000);
        for (const auto& at : {*f.a, *f.b}) {
            REQUIRE(f.found(at).size() == 1);
            const auto found = f.found(at).front();
            CHECK(found.path == std::vector<field>{{"c77", field_type::counter}});
            CHECK(found.stage == audit_stage::open);
            REQUIRE(found.had.size() == 2);
            CHECK(found.had.at(f.ada.id()) != found.had.at(f.bob.id()));
            CHECK(found.had.at(f.ada.id()) == f.found(*f.a).front().had.at(f.ada.id()));
        }
    }
}

TEST_CASE("rows that are missing, too many, older, or cannot be decoded are found at either side") {
    fleet f;
    const auto older = stored(f.bob, *f.b, counter("c5"));
    REQUIRE(f.a->commit([](transaction& tx) { tx.counter("c5").add(1); }));
    meet({&f.ada, &f.bob, &f.eve});
    damage(f.bob, *f.b, counter("c3"), {});
    damage(f.bob, *f.b, counter("d3"), stored(f.bob, *f.b, counter("c4")));
    damage(f.bob, *f.b, counter("c5"), older);
    damage(f.bob, *f.b, counter("c6"), "\x01garbage");
    damage(f.bob, *f.b, element("s", "e7"), {});
    for (const bool is_asked_by_ada : {true, false}) {
        f.a->dismiss_findings();
        f.b->dismiss_findings();
        if (is_asked_by_ada) REQUIRE(audit(*f.a, f.ada.id(), *f.b, f.bob.id()));
        else REQUIRE(audit(*f.b, f.bob.id(), *f.a, f.ada.id()));
        for (const auto& at : {*f.a, *f.b}) {
            std::vector<std::string> names;
            for (const auto& found : f.found(at)) names.push_back(found.path.front().name + found.element.value_or(""));
            CHECK(names == std::vector<std::string>{"c3", "c5", "c6", "d3", "se7"});
            CHECK(f.found(at)[0].had.at(f.bob.id()) == hash128{});
            CHECK(f.found(at)[3].had.at(f.ada.id()) == hash128{});
        }
    }
}

TEST_CASE("a row that is in another order than rows are is damaged, though it shows the same to peers") {
    fleet f;
    for (auto at : {*f.a, *f.b}) REQUIRE(at.commit([](transaction& tx) { tx.add_wins_set("s").add("both"); }));
    meet({&f.ada, &f.bob, &f.eve});
    auto row = crdt::decode_row(stored(f.bob, *f.b, element("s", "both"))).value();
    auto& adds = std::get<crdt::dots_row>(row).adds;
    REQUIRE(adds.size() == 2);
    std::swap(adds[0], adds[1]);
    damage(f.bob, *f.b, element("s", "both"), crdt::encode_row(row));
    REQUIRE(audit(*f.a, f.ada.id(), *f.b, f.bob.id()));
    REQUIRE(f.found(*f.a).size() == 1);
    CHECK(f.found(*f.a).front().element == "both");
}

TEST_CASE("what differs is repaired from the majority, and nothing else changes") {
    fleet f;
    const auto right = f.a->digest().value();
    flip(f.bob, *f.b, counter("c9"));
    damage(f.bob, *f.b, counter("c10"), {});
    REQUIRE(f.b->digest().value() != right);
    // Ada alone is none: bob only lists it, and so does she.
    f.b->audit();
    CHECK_FALSE(talk(f.bob, f.ada).one);
    REQUIRE(f.found(*f.b).size() == 2);
    CHECK(f.found(*f.b).front().stage == audit_stage::open);
    CHECK(f.b->digest().value() != right);
    // Eve makes one.
    CHECK_FALSE(talk(f.bob, f.eve).one);
    REQUIRE(f.found(*f.b).size() == 2);
    for (const auto& found : f.found(*f.b)) {
        CHECK(found.stage == audit_stage::repaired);
        CHECK(found.had.at(f.bob.id()) == found.had.at(f.ada.id()));
    }
    CHECK(f.b->digest().value() == right);
    CHECK(f.a->digest().value() == right);
    CHECK(f.e->digest().value() == right);
    // Ada finds that it is settled.
    f.a->audit();
    CHECK_FALSE(talk(f.ada, f.bob).one);
    REQUIRE(f.found(*f.a).size() == 2);
    CHECK(f.found(*f.a).front().stage == audit_stage::settled);
    // All goes on, everywhere.
    REQUIRE(f.b->commit([](transaction& tx) { tx.counter("c9").add(1); }));
    CHECK_FALSE(talk(f.bob, f.eve).one);
    CHECK_FALSE(talk(f.ada, f.eve).one);
    CHECK(f.b->digest().value() == f.a->digest().value());
    CHECK(f.a->read([](const map_view& m) { return m.counter("c9").value(); }).value() == 11);
    f.b->dismiss_findings();
    CHECK(f.found(*f.b).empty());
}

TEST_CASE("a replica at the edge learns of the majority by the one that it meets") {
    fleet f;
    const auto right = f.a->digest().value();
    flip(f.eve, *f.e, counter("c9"));
    // Eve meets only ada, in whose list she is; then ada meets bob, and then eve again.
    f.e->audit();
    CHECK_FALSE(talk(f.ada, f.eve).one);
    REQUIRE(f.found(*f.a).size() == 1);
    f.a->audit();
    CHECK_FALSE(talk(f.ada, f.bob).one);
    REQUIRE(f.found(*f.b).size() == 1);
    CHECK(f.found(*f.b).front().had == f.found(*f.a).front().had);
    CHECK(f.found(*f.a).front().had.size() == 3);
    f.e->audit();
    CHECK_FALSE(talk(f.eve, f.ada).one);
    CHECK(f.found(*f.e).front().stage == audit_stage::repaired);
    CHECK(f.e->digest().value() == right);
}

TEST_CASE("without a majority an operator chooses") {
    fleet f;
    const auto right = f.a->digest().value();
    CHECK(f.b->repair(f.ada.id()).error().code == errc::invalid_argument);
    flip(f.bob, *f.b, counter("c9"));
    flip(f.eve, *f.e, counter("c9"), 4);
    f.a->audit();
    CHECK_FALSE(talk(f.ada, f.bob).one);
    CHECK_FALSE(talk(f.ada, f.eve).one);
    f.b->audit();
    CHECK_FALSE(talk(f.bob, f.eve).one);
    for (const auto& at : {*f.a, *f.b, *f.e}) {
        REQUIRE(f.found(at).size() == 1);
        CHECK(f.found(at).front().stage == audit_stage::open);
    }
    REQUIRE(f.b->repair(f.ada.id()));
    CHECK(f.found(*f.b).front().chosen == f.ada.id());
    CHECK_FALSE(talk(f.bob, f.eve).one);
    CHECK(f.b->digest().value() != right);
    CHECK_FALSE(talk(f.bob, f.ada).one);
    CHECK(f.b->digest().value() == right);
    CHECK(f.found(*f.b).front().stage == audit_stage::repaired);
}

TEST_CASE("what has changed at one side only is left out, and the rest is compared") {
    fleet f;
    flip(f.bob, *f.b, counter("c9"));
    REQUIRE(f.a->commit([](transaction& tx) {
        tx.counter("c20").add(1);
        tx.add_wins_set("s").remove("e3");
    }));
    REQUIRE(f.b->commit([](transaction& tx) {
        tx.counter("c21").add(1);
        tx.add_wins_set("s").remove("e4");
    }));
    REQUIRE(f.ada.sync());
    REQUIRE(f.bob.sync());
    REQUIRE(audit(*f.a, f.ada.id(), *f.b, f.bob.id()));
    REQUIRE(f.found(*f.a).size() == 1);
    CHECK(f.found(*f.a).front().path.front().name == "c9");
    CHECK(f.a->audits().front().left_out >= 4);
}

TEST_CASE("a repair keeps what was done here to the row meanwhile") {
    fleet f;
    flip(f.bob, *f.b, counter("c9"));
    REQUIRE(audit(*f.b, f.bob.id(), *f.a, f.ada.id()));
    REQUIRE(f.b->repair(f.ada.id()));
    // To an element that is not damaged, and a request that both have executed.
    const request order{.tenant = "t", .principal = "p", .key = "k", .issued = std::chrono::milliseconds{f.world->now_ms.load()}};
    for (auto at : {*f.a, *f.b}) {
        REQUIRE(at.commit(order, [](transaction& tx) -> result<std::string> {
            tx.counter("c11").add(100);
            return "done";
        }));
    }
    REQUIRE(f.b->commit([](transaction& tx) { tx.add_wins_set("s").remove("e9"); }));
    REQUIRE(f.bob.sync());
    CHECK_FALSE(talk(f.ada, f.bob).one);
    CHECK(f.b->digest().value() == f.a->digest().value());
    CHECK(f.b->read([](const map_view& m) { return m.counter("c9").value(); }).value() == 10);
    CHECK(f.b->read([](const map_view& m) { return m.counter("c11").value(); }).value() == 112);
    CHECK_FALSE(f.b->read([](const map_view& m) { return m.add_wins_set("s").contains("e9"); }).value());
}

TEST_CASE("more than can be listed is found in parts") {
    fleet f;
    REQUIRE(f.a->commit([](transaction& tx) {
        for (int i = 0; i < 3'000; ++i) tx.counter("m" + std::to_string(i)).add(1);
    }));
    meet({&f.ada, &f.bob, &f.eve});
    REQUIRE(f.b->state()->flush());
    storage::batch batch;
    batch.erase_range(space::rows, key_of(*f.b, {}), key_of(*f.b, store_keys::segment("z", 'c')));
    REQUIRE(f.bob.state()->engine().write(batch));
    for (const bool is_asked_by_ada : {true, false}) {
        f.a->dismiss_findings();
        f.b->dismiss_findings();
        if (is_asked_by_ada) REQUIRE(audit(*f.a, f.ada.id(), *f.b, f.bob.id()));
        else REQUIRE(audit(*f.b, f.bob.id(), *f.a, f.ada.id()));
        CHECK(f.found(*f.a).size() == detail::audit_book::most_findings);
        CHECK(f.found(*f.b).size() == detail::audit_book::most_findings);
        CHECK_FALSE(f.a->audits().front().is_complete);
        CHECK_FALSE(f.b->audits().front().is_complete);
    }
}

TEST_CASE("an audit goes round by itself, and below a prefix on call") {
    fleet f;
    using std::chrono::milliseconds;
    const milliseconds interval{10'000};
    CHECK_FALSE(f.a->state()->begin_audit(f.bob.id(), interval).value());
    f.world->now_ms += 9'999;
    CHECK_FALSE(f.a->state()->begin_audit(f.bob.id(), interval).value());
    f.world->now_ms += 1;
    CHECK(f.a->state()->begin_audit(f.bob.id(), interval).value());
    CHECK_FALSE(f.a->state()->begin_audit(f.bob.id(), interval).value());
    flip(f.bob, *f.b, counter("c9"));
    flip(f.bob, *f.b, element("s", "e9"));
    f.a->audit({{"s", field_type::add_wins_set}});
    CHECK_FALSE(talk(f.ada, f.bob).one);
    REQUIRE(f.found(*f.a).size() == 1);
    CHECK(f.found(*f.a).front().element == "e9");
}

TEST_CASE("findings survive the process") {
    auto w = std::make_shared<test::world>();
    const test::temp_directory place;
    auto ada = test::memory_store(w);
    replica_id id;
    {
        auto bob = store::open(place.path() / "bob", test::options(w)).value();
        id = bob.id();
        share(ada, {&bob});
        REQUIRE(ada.bucket("b")->commit([](transaction& tx) { tx.counter("c").add(8); }));
        meet({&ada, &bob});
        flip(bob, bob.bucket("b").value(), counter("c"));
        ada.bucket("b")->audit();
        CHECK_FALSE(talk(ada, bob).one);
    }
    auto bob = store::open(place.path() / "bob", test::options(w)).value();
    auto b = bob.bucket("b").value();
    REQUIRE(b.audit_findings().size() == 1);
    CHECK(b.audit_findings() == ada.bucket("b")->audit_findings());
    REQUIRE(b.repair(ada.id()));
    CHECK_FALSE(talk(ada, bob).one);
    CHECK(b.read([](const map_view& m) { return m.counter("c").value(); }).value() == 8);
}

TEST_CASE("what is no question or answer of an audit is refused") {
    fleet f;
    const auto refuses = [&](const detail::audit_question& q) {
        const auto other = f.b->state()->answer_audit(f.ada.id());
        return other->ask(codec::encode(q)).error().code == errc::malformed;
    };
    CHECK(refuses({}));
    detail::audit_question q;
    q.begin.emplace();
    CHECK(refuses(q));
    q.begin->ranges.push_back({"b", "a"});
    CHECK(refuses(q));
    CHECK(f.b->state()->answer_audit(f.ada.id())->ask("x").error().code == errc::malformed);

    const auto begin = [&] {
        f.a->audit();
        auto one = f.a->state()->begin_audit(f.bob.id(), {}).value();
        const auto other = f.b->state()->answer_audit(f.ada.id());
        REQUIRE(other->ask(*one->next(4096).value()));
        REQUIRE(one->take(*other->next(4096).value()));
        while (!one->next(1'000'000).value()) {}
        return one;
    };
    const auto refuses_answer = [&](const detail::audit_answer& answer) { return begin()->take(codec::encode(answer)).error().code == errc::malformed; };
    detail::audit_answer answer;
    CHECK(refuses_answer(answer));
    answer.looked_at = 1'000;
    CHECK(refuses_answer(answer));
    answer.looked_at = 2;
    answer.ranges.push_back({1, true, {{counter("c0"), {}}}, {}});
    CHECK(refuses_answer(answer));
    answer.ranges = {{1, true, {}, {}}, {0, true, {}, {}}};
    CHECK(refuses_answer(answer));
    CHECK(begin()->take("x").error().code == errc::malformed);
}
