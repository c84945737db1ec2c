// Builds of a fleet that is being upgraded: some do not know a kind of rows, or of records, yet that others write.
#include <anabranch/limits.hpp>

#include "codec/archive.hpp"
#include "crdt/changes.hpp"
#include "oplog/record.hpp"
#include "storage/memory/memory_engine.hpp"
#include "store/bucket_state.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/borrowed_engine.hpp"
#include "support/catch.hpp"

using namespace anabranch;

namespace {

constexpr timestamp forever{UINT64_MAX};

/// What a store's process leaves behind is opened by another build.
struct machine {
    explicit machine(std::shared_ptr<test::world> w) : world(std::move(w)), engine(storage::open_memory()) {}

    store open(std::uint64_t unknown_rows, std::uint64_t unknown_records = 0) {
        auto o = test::options(world);
        o.log_retain_bytes = 0;
        o.unknown = {unknown_rows, unknown_records};
        auto opened = store::on(std::make_unique<test::borrowed_engine>(engine), o);
        if (!opened) FAIL(opened.error().message);
        return std::move(*opened);
    }

    std::shared_ptr<test::world> world;
    std::shared_ptr<storage::engine> engine;
};

const std::uint64_t removals = crdt::bit_of(crdt::row_kind::removals);
constexpr std::uint64_t executions = oplog::bit_of(oplog::record_kind::execution);

bucket open(store& s) { return s.bucket("b").value(); }
hash128 digest(store& s) { return open(s).digest().value(); }

template <class Function>
void commit(store& s, Function fn) {
    auto b = open(s);
    REQUIRE(b.commit(fn));
    REQUIRE(s.sync());
}

bool contains(store& s, const std::string& element) {
    return open(s).read([&](const map_view& m) { return m.map("m").remove_wins_set("r").contains(element); }).value();
}
std::int64_t count(store& s) {
    return open(s).read([](const map_view& m) { return m.map("m").counter("c").value(); }).value();
}

/// All that `to` lacks, folded where it lacks more than one transaction.
oplog::chunk lacking(store& from, store& to) {
    detail::positions after;
    for (const auto& entry : open(to).progress()) after[entry.origin] = entry.sequence;
    REQUIRE(from.sync());
    return open(from).state()->read_log(after, forever, {.fold_above = 1}).value();
}
void fold(store& from, store& to) { REQUIRE(open(to).state()->apply(lacking(from, to), forever, from.id())); }

}  // namespace

TEST_CASE("a kind that a build does not know is kept, passed on, and shown once it is known") {
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w), mc(w);
    auto a = ma.open(0), c = mc.open(0);
    std::optional<store> b = mb.open(removals);
    test::share(a, {&*b, &c});
    commit(a, [](transaction& tx) {
        tx.map("m").remove_wins_set("r").add("x");
        tx.map("m").remove_wins_set("r").add("y");
        tx.map("m").counter("c").add(3);
    });
    commit(a, [](transaction& tx) { tx.map("m").remove_wins_set("r").remove("y"); });

    // What is known of a transaction is there at once.
    test::exchange(a, *b);
    CHECK(count(*b) == 3);
    CHECK_FALSE(contains(*b, "x"));
    CHECK(open(*b).read([](const map_view& m) { return m.map("m").fields(); }).value() == std::vector<field>{{"c", field_type::counter}});
    CHECK(digest(*b) != digest(a));

    // Byte for byte, whoever it goes to.
    test::exchange(*b, c);
    CHECK(digest(c) == digest(a));
    CHECK(open(c).progress() == open(a).progress());

    // It writes, and what all have is forgotten by the others, not by it.
    commit(*b, [](transaction& tx) { tx.map("m").counter("c").add(1); });
    test::meet({&a, &*b, &c});
    test::meet({&a, &*b, &c});
    CHECK(test::log_keys(a) == 0);
    CHECK(test::log_keys(*b) > 0);

    // A build that does not know it either changes nothing.
    b.reset();
    b = mb.open(removals);
    CHECK(count(*b) == 4);
    CHECK_FALSE(contains(*b, "x"));

    b.reset();
    b = mb.open(0);
    CHECK(count(*b) == 4);
    CHECK(contains(*b, "x"));
    CHECK_FALSE(contains(*b, "y"));
    CHECK(digest(*b) == digest(a));
    test::meet({&a, &*b, &c});
    CHECK(test::log_keys(*b) == 0);
    b.reset();
    b = mb.open(0);
    CHECK(digest(*b) == digest(a));
}

TEST_CASE("who does not know a kind removes a map with it") {
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w);
    auto a = ma.open(0);
    std::optional<store> b = mb.open(removals);
    test::share(a, {&*b});
    commit(a, [](transaction& tx) { tx.map("m").remove_wins_set("r").add("x"); });
    test::exchange(a, *b);
    commit(*b, [](transaction& tx) {
        tx.map("m").clear();
        tx.map("m").counter("c").add(1);
    });
    commit(a, [](transaction& tx) { tx.map("m").remove_wins_set("r").add("z"); });
    test::exchange(a, *b);
    b.reset();
    b = mb.open(0);
    for (auto* s : {&a, &*b}) {
        CHECK_FALSE(contains(*s, "x"));
        CHECK(contains(*s, "z"));
        CHECK(count(*s) == 1);
    }
    CHECK(digest(*b) == digest(a));
}

TEST_CASE("folds of what a build does not know go on as they came") {
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w), mc(w), md(w), me(w);
    auto a = ma.open(0), d = md.open(0), e = me.open(0);
    std::optional<store> b = mb.open(removals), c = mc.open(removals);
    test::share(a, {&*b, &*c, &d, &e});
    for (const auto* element : {"x", "y", "z"}) {
        commit(a, [&](transaction& tx) {
            tx.map("m").remove_wins_set("r").add(element);
            tx.map("m").counter("c").add(1);
        });
    }
    commit(a, [](transaction& tx) { tx.map("m").remove_wins_set("r").remove("y"); });
    fold(a, *b);
    CHECK(count(*b) == 3);
    // Alone it goes on as it is; beside others of its time, carried.
    fold(*b, *c);
    CHECK(count(*c) == 3);
    commit(e, [](transaction& tx) { tx.map("m").remove_wins_set("r").add("of e"); });
    commit(e, [](transaction& tx) { tx.map("m").counter("c").add(10); });
    REQUIRE(open(*c).state()->apply(lacking(e, *c), forever, e.id()));
    commit(*c, [](transaction& tx) { tx.map("m").counter("c").add(100); });
    fold(*c, *b);
    fold(*c, d);
    CHECK(count(d) == 113);
    CHECK(contains(d, "x"));
    CHECK_FALSE(contains(d, "y"));
    CHECK(contains(d, "of e"));
    fold(*c, a);
    fold(*c, e);
    CHECK(digest(a) == digest(d));
    CHECK(digest(e) == digest(d));
    for (auto [m, s] : {std::pair(&mb, &b), std::pair(&mc, &c)}) {
        s->reset();
        *s = m->open(0);
        CHECK(digest(**s) == digest(d));
    }
}

TEST_CASE("a request that does something to an unknown kind counts once it is known") {
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w), mc(w);
    auto a = ma.open(0), c = mc.open(0);
    std::optional<store> b = mb.open(removals);
    test::share(a, {&*b, &c});
    const auto run = [&](store& s, request_role role, const std::string& element) {
        request r{.tenant = "t", .principal = "p", .key = "k"};
        r.issued = std::chrono::milliseconds{w->now_ms.load()};
        r.role = role;
        REQUIRE(open(s).commit(r, [&](transaction& tx) -> result<std::string> {
            tx.map("m").remove_wins_set("r").add(element);
            tx.map("m").counter("c").add(1);
            return element;
        }));
        REQUIRE(s.sync());
    };
    // The mirror's comes first everywhere, and does not count in the end.
    run(c, request_role::mirror, "mirrored");
    run(a, request_role::primary, "primary");
    test::exchange(c, *b);
    test::exchange(a, *b);
    CHECK(count(*b) == 1);
    test::exchange(*b, c);
    // Time passes, and the others forget it.
    for (int i = 0; i < 12; ++i) {
        w->now_ms += 10 * 60'000;
        test::meet({&a, &*b, &c});
    }
    CHECK(open(a).state()->requests() == 0);
    CHECK(open(*b).state()->requests() == 1);
    b.reset();
    b = mb.open(0);
    CHECK(contains(*b, "primary"));
    CHECK_FALSE(contains(*b, "mirrored"));
    CHECK(count(*b) == 1);
    CHECK(digest(*b) == digest(a));
    for (int i = 0; i < 4; ++i) {
        w->now_ms += 10 * 60'000;
        test::meet({&a, &*b, &c});
    }
    CHECK(open(*b).state()->requests() == 0);
    CHECK(digest(*b) == digest(a));
}

TEST_CASE("what was removed before something unknown came stays removed when that is read") {
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w), mc(w);
    auto a = ma.open(0), c = mc.open(0);
    std::optional<store> b = mb.open(crdt::bit_of(crdt::row_kind::dots));
    test::share(a, {&*b, &c});
    commit(c, [](transaction& tx) { tx.map("m").remove_wins_set("r").add("x"); });
    commit(a, [](transaction& tx) { tx.map("m").remove_wins_set("r").add("x"); });
    commit(a, [](transaction& tx) { tx.map("m").remove_wins_set("r").remove("x"); });
    test::exchange(a, *b);
    commit(a, [](transaction& tx) { tx.map("m").add_wins_set("later").add("y"); });
    test::exchange(a, *b);
    // It has not seen the removal, and comes after what is read again.
    test::exchange(c, *b);
    for (int i = 0; i < 3; ++i) test::meet({&a, &*b, &c});
    CHECK(test::leftover_keys(a) == 0);
    CHECK(test::leftover_keys(*b) > 0);
    b.reset();
    b = mb.open(0);
    CHECK_FALSE(contains(*b, "x"));
    CHECK(digest(*b) == digest(a));
    for (int i = 0; i < 3; ++i) test::meet({&a, &*b, &c});
    CHECK(test::leftover_keys(*b) == 0);
    CHECK(digest(*b) == digest(a));
}

TEST_CASE("an unknown kind spoils nothing that is known") {
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w);
    auto a = ma.open(0);
    std::optional<store> b = mb.open(removals);
    test::share(a, {&*b});
    commit(a, [](transaction& tx) { tx.map("m").counter("c").add(3); });
    test::exchange(a, *b);

    const std::string map("m\0\1p", 4), counter("c\0\1c", 4), set("r\0\1r", 4), later("q\0\1q", 4);
    const auto element = std::string("x\0\1.", 4);
    // The next record of `a`, with one change of that kind; the payload by hand.
    const auto send = [&](const std::string& path, std::uint8_t kind, const std::string& bytes) {
        std::string payload;
        codec::output out(payload);
        out.varint(0);
        out.varint(1);
        out(path, kind, bytes);
        const auto last = open(a).progress();
        const auto mine = std::ranges::find(last, a.id(), &progress_entry::origin);
        const auto record = oplog::encode_record({timestamp::from(std::chrono::milliseconds{w->now_ms + 1'000}, static_cast<std::uint16_t>(mine->sequence)), {}, payload});
        oplog::chunk chunk;
        chunk.ranges.push_back({a.id(), mine->sequence + 1, mine->sequence + 1, oplog::chain_next(mine->head, record)});
        chunk.entries.push_back({0, record});
        const auto done = open(*b).state()->apply(chunk, forever, a.id());
        return done ? errc{} : done.error().code;
    };
    CHECK(send(map + counter, 4, "") == errc::malformed);
    CHECK(send(map + counter, 9, "") == errc::malformed);
    CHECK(send("no path", 9, "") == errc::malformed);
    CHECK(send(later, 0, "") == errc::malformed);
    CHECK(send(later, 59, "") == errc::malformed);
    CHECK(send(later, 200, "") == errc::malformed);
    // What this release does not know either stays for the next one.
    CHECK(send(later, 58, std::string(1'000, '\xff')) == errc{});
    b.reset();
    b = mb.open(0);
    CHECK(count(*b) == 3);
}

TEST_CASE("what turns out to be wrong once its kind is known is left out") {
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w);
    auto a = ma.open(0);
    std::optional<store> b = mb.open(removals);
    test::share(a, {&*b});
    const auto path = std::string("r\0\1rx\0\1.", 8);
    const auto me = open(a).progress().front();
    std::string payload;
    codec::output out(payload);
    out.varint(0);
    out.varint(3);
    out(path, std::uint8_t{4}, std::string("\xff\xff"));            // no row at all
    out(std::string("s\0\1q", 4), std::uint8_t{4}, std::string(4, '\0'));  // not where such a row may stand
    // In the name of another transaction.
    out(std::string("t\0\1d", 4), std::uint8_t{4}, std::string("\0\1\0\1\0\0", 6));
    const auto record = oplog::encode_record({timestamp::from(std::chrono::milliseconds{w->now_ms + 1'000}, 1), {}, payload});
    oplog::chunk chunk;
    chunk.ranges.push_back({a.id(), me.sequence + 1, me.sequence + 1, oplog::chain_next(me.head, record)});
    chunk.entries.push_back({0, record});
    REQUIRE(open(*b).state()->apply(chunk, forever, a.id()));
    for (int i = 0; i < 2; ++i) {
        b.reset();
        b = mb.open(0);
        CHECK(open(*b).read([](const map_view& m) { return m.fields(); }).value().empty());
        CHECK(test::row_keys(*b) == 0);
    }
    // Who knows the kind does not take it; nor does who knows it by now take another one.
    CHECK_FALSE(open(a).state()->apply(chunk, forever, b->id()));
    const auto second = oplog::encode_record({timestamp::from(std::chrono::milliseconds{w->now_ms + 2'000}, 1), {}, payload});
    oplog::chunk next;
    next.ranges.push_back({a.id(), me.sequence + 2, me.sequence + 2, oplog::chain_next(chunk.ranges[0].head, second)});
    next.entries.push_back({0, second});
    CHECK(open(*b).state()->apply(next, forever, a.id()).error().code == errc::malformed);
}

TEST_CASE("who holds what he does not know sends no state, and takes none with it") {
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w), mc(w);
    const auto everything = codec::encode(detail::walk_request{});
    auto a = ma.open(0);
    std::optional<store> b = mb.open(removals), c = mc.open(removals);
    test::share(a, {&*b});
    commit(a, [](transaction& tx) {
        tx.map("m").remove_wins_set("r").add("x");
        tx.map("m").counter("c").add(3);
    });
    test::exchange(a, *b);
    CHECK(open(*b).state()->begin_walk(everything).error().code == errc::unsupported_protocol);
    test::meet({&a, &*b});
    REQUIRE(test::log_keys(a) == 0);
    // A newcomer of an earlier build waits for its upgrade.
    REQUIRE(c->bucket("b"));
    const auto ended = test::talk(a, *c);
    const auto& why = ended.other ? ended.other : ended.one;
    REQUIRE(why);
    CHECK(why->code == errc::unsupported_protocol);
    c.reset();
    c = mc.open(0);
    test::talk(a, *c);
    CHECK(count(*c) == 3);
    CHECK(contains(*c, "x"));
    b.reset();
    b = mb.open(0);
    CHECK(open(*b).state()->begin_walk(everything));
}

// --- kinds of records ------------------------------------------------------------------------------------

namespace {

request named(const std::shared_ptr<test::world>& w, std::string key, request_role role = request_role::primary) {
    request r{.tenant = "t", .principal = "p", .key = std::move(key)};
    r.issued = std::chrono::milliseconds{w->now_ms.load()};
    r.role = role;
    return r;
}

/// Adds to the set "s" and to the counter of "m".
result<receipt> run(store& s, const request& r, const std::string& element) {
    auto done = open(s).commit(r, [&](transaction& tx) -> result<std::string> {
        tx.add_wins_set("s").add(element);
        tx.map("m").counter("c").add(1);
        return element;
    });
    REQUIRE(s.sync());
    return done;
}

bool is_in_set(store& s, const std::string& element) {
    return open(s).read([&](const map_view& m) { return m.add_wins_set("s").contains(element); }).value();
}

/// As it stands in its log; empty where it does not.
std::string record_of(store& s, const replica_id& writer, std::uint64_t sequence) {
    const auto number = s.state()->origins().find(writer).value();
    const auto value = s.state()->engine().get(storage::space::log, store_keys::log_key(open(s).state()->number(), number, sequence)).value();
    return value ? value->substr(detail::head_size) : std::string();
}

std::uint64_t known_of(store& at, const replica_id& member, const replica_id& writer) { return open(at).state()->adverts()[member][writer]; }
std::uint64_t last_of(store& s) { return open(s).state()->committed(); }

/// The next record of `from`, which it knows nothing of itself.
struct forged {
    explicit forged(store& s, const std::shared_ptr<test::world>& w) : from(s.id()) {
        const auto last = open(s).progress();
        mine = *std::ranges::find(last, from, &progress_entry::origin);
        at = timestamp::from(std::chrono::milliseconds{w->now_ms + 1'000}, 1);
    }
    std::string body(oplog::record r, int kind) const {
        auto bytes = oplog::encode_record(r);
        bytes[0] = static_cast<char>(kind);
        return bytes;
    }
    oplog::chunk chunk(std::string body) const {
        oplog::chunk c;
        c.ranges.push_back({from, mine.sequence + 1, mine.sequence + 1, oplog::chain_next(mine.head, body)});
        c.entries.push_back({0, std::move(body)});
        return c;
    }
    /// As a fold that holds nothing else.
    oplog::chunk fold(std::string body) const {
        oplog::chunk c;
        c.ranges.push_back({from, mine.sequence + 1, mine.sequence + 1, oplog::chain_next(mine.head, body)});
        crdt::folding nothing;
        const auto there = oplog::record_time(body);
        c.folded = oplog::chunk::fold{there, there, {there}, {}, {{0, mine.sequence + 1, std::move(body)}}};
        c.folded->body = nothing.encode({}, {}, there, false);
        return c;
    }
    errc give(store& to, const oplog::chunk& c) const {
        const auto done = open(to).state()->apply(c, forever, from);
        return done ? errc{} : done.error().code;
    }

    replica_id from;
    progress_entry mine;
    timestamp at;
};

}  // namespace

TEST_CASE("a record of a kind that a build does not know is kept, passed on, and shown once it is known") {
    const bool over_sessions = GENERATE(false, true);
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w), mc(w);
    auto a = ma.open(0), c = mc.open(0);
    std::optional<store> b = mb.open(0, executions);
    test::share(a, {&*b, &c});
    const auto bring = [&](store& from, store& to) {
        if (!over_sessions) return test::exchange(from, to);
        const auto ended = test::talk(from, to);
        CHECK_FALSE(ended.one);
        CHECK_FALSE(ended.other);
    };
    const auto everywhere = [&] {
        for (int i = 0; i < 2; ++i) {
            if (!over_sessions) test::meet({&a, &*b, &c});
            for (auto [from, to] : {std::pair(&a, &*b), std::pair(&*b, &c), std::pair(&a, &c)}) bring(*from, *to);
        }
    };
    everywhere();
    const auto seen = last_of(a);
    REQUIRE(run(a, named(w, "one"), "x"));
    commit(a, [](transaction& tx) { tx.map("m").remove_wins_set("r").add("y"); });
    bring(a, *b);
    // The rest is there at once.
    CHECK(contains(*b, "y"));
    CHECK_FALSE(is_in_set(*b, "x"));
    CHECK(open(*b).find(named(w, "one")).value() == std::nullopt);
    CHECK(digest(*b) != digest(a));
    // Byte for byte, whoever it goes to.
    bring(*b, c);
    CHECK(digest(c) == digest(a));
    CHECK(record_of(c, a.id(), seen + 1) == record_of(a, a.id(), seen + 1));
    CHECK(oplog::is_execution(record_of(c, a.id(), seen + 1)));
    CHECK(open(c).find(named(w, "one")).value()->result == "x");

    // It writes, but no requests.
    commit(*b, [](transaction& tx) { tx.last_writer<std::string>("l").set("old"); });
    const auto refused = run(*b, named(w, "one"), "x");
    CHECK(refused.error().code == errc::unsupported_protocol);
    CHECK(run(*b, named(w, "two"), "x").error().code == errc::unsupported_protocol);

    // The others take it for one that has not seen the record: they keep what it would have to know.
    for (int i = 0; i < 12; ++i) {
        w->now_ms += 10 * 60'000;
        everywhere();
    }
    CHECK(known_of(a, b->id(), a.id()) == seen);
    CHECK(known_of(c, b->id(), a.id()) == seen);
    CHECK(open(a).state()->requests() == 1);
    CHECK(test::log_keys(a) > 0);

    // A build that does not know it either changes nothing.
    b.reset();
    b = mb.open(0, executions);
    CHECK_FALSE(is_in_set(*b, "x"));
    b.reset();
    b = mb.open(0);
    CHECK(digest(*b) == digest(a));
    CHECK(open(*b).find(named(w, "one")).value()->result == "x");
    REQUIRE(run(*b, named(w, "one"), "again"));
    CHECK(count(*b) == 1);
    for (int i = 0; i < 12; ++i) {
        w->now_ms += 10 * 60'000;
        everywhere();
    }
    for (auto* s : {&a, &*b, &c}) {
        CHECK(open(*s).state()->requests() == 0);
        CHECK(test::log_keys(*s) == 0);
        CHECK(digest(*s) == digest(a));
    }
    b.reset();
    b = mb.open(0);
    CHECK(digest(*b) == digest(a));
}

TEST_CASE("records of kinds that a build does not know stand aside of its folds") {
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w), mc(w), md(w);
    auto a = ma.open(0), d = md.open(0);
    std::optional<store> b = mb.open(0, executions), c = mc.open(0, executions);
    test::share(a, {&*b, &*c, &d});
    for (const auto* element : {"x", "y", "z"}) {
        REQUIRE(run(a, named(w, element), element));
        commit(a, [&](transaction& tx) { tx.map("m").counter("c").add(10); });
    }
    fold(a, *b);
    fold(*b, *c);
    REQUIRE(run(d, named(w, "x", request_role::mirror), "of d"));
    commit(d, [](transaction& tx) { tx.add_wins_set("s").remove("z"); });
    fold(d, *c);
    commit(*c, [](transaction& tx) { tx.last_writer<std::string>("l").set("old"); });
    fold(*c, *b);
    fold(*c, d);
    CHECK(count(d) == 33);
    CHECK(is_in_set(d, "y"));
    CHECK_FALSE(is_in_set(d, "of d"));
    fold(*c, a);
    CHECK(digest(a) == digest(d));
    for (auto [m, s] : {std::pair(&mb, &b), std::pair(&mc, &c)}) {
        s->reset();
        *s = m->open(0);
        CHECK(digest(**s) == digest(d));
        CHECK(open(**s).state()->requests() == 3);
    }
}

TEST_CASE("what a build on disk could not read it shows once it is upgraded, also after a kill") {
    const auto w = std::make_shared<test::world>();
    const test::temp_directory directory;
    machine ma(w);
    auto a = ma.open(0);
    const auto at = directory.path() / "b";
    const auto start = [&](std::uint64_t unknown) {
        auto o = test::options(w);
        o.unknown.records = unknown;
        return store::open(at, o).value();
    };
    std::optional<store> b = start(executions);
    test::share(a, {&*b});
    REQUIRE(run(a, named(w, "one"), "x"));
    commit(a, [](transaction& tx) { tx.map("m").counter("c").add(2); });
    test::exchange(a, *b);
    for (int i = 0; i < 2; ++i) {
        b.reset();
        b = start(executions);
        CHECK(open(*b).state()->holds_unread_records());
        CHECK_FALSE(is_in_set(*b, "x"));
    }
    for (int i = 0; i < 2; ++i) {
        b.reset();
        b = start(0);
        CHECK_FALSE(open(*b).state()->holds_unread_records());
        CHECK(is_in_set(*b, "x"));
        CHECK(count(*b) == 3);
        CHECK(digest(*b) == digest(a));
    }
}

TEST_CASE("who holds records that he does not know sends no state, takes none with such, and changes no rights") {
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w), mc(w);
    const auto everything = codec::encode(detail::walk_request{});
    auto a = ma.open(0);
    std::optional<store> b = mb.open(0, executions), c = mc.open(0, executions);
    test::share(a, {&*b});
    commit(*b, [](transaction& tx) { tx.bounded_counter("n").add(5); });
    commit(*b, [](transaction& tx) { CHECK(tx.bounded_counter("n").spend(1)); });
    test::exchange(a, *b);
    REQUIRE(run(a, named(w, "one"), "x"));
    test::exchange(a, *b);
    CHECK(open(*b).state()->begin_walk(everything).error().code == errc::unsupported_protocol);
    const auto spent = open(*b).commit([](transaction& tx) { (void)tx.bounded_counter("n").spend(1); });
    CHECK(spent.error().code == errc::unsupported_protocol);
    CHECK(open(*b).read([](const map_view& m) { return m.bounded_counter("n").value().value(); }).value() == 4);

    const auto sink = [](store& s) { return open(s).state()->receive_walk({}).value(); };
    REQUIRE(c->bucket("b"));
    const auto source = open(a).state()->begin_walk(sink(*c)->request()).value();
    const auto piece = source->next(SIZE_MAX).value().value();
    CHECK(sink(*c)->take(piece, forever, a.id()).error().code == errc::unsupported_protocol);

    b.reset();
    b = mb.open(0);
    CHECK(open(*b).state()->begin_walk(everything));
    commit(*b, [](transaction& tx) { CHECK(tx.bounded_counter("n").spend(1)); });
}

TEST_CASE("a record of an unknown kind is judged by what all kinds have") {
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w), mc(w);
    auto a = ma.open(0), c = mc.open(0);
    std::optional<store> b = mb.open(0);
    test::share(a, {&*b, &c});
    commit(a, [](transaction& tx) { tx.map("m").counter("c").add(3); });
    test::exchange(a, *b);
    const forged next(a, w);
    const auto payload = std::string(1'000, '\xff');
    const auto send = [&](int kind, timestamp at, std::vector<replica_id> mentioned) {
        return next.give(*b, next.chunk(next.body({at, std::move(mentioned), payload}, kind)));
    };
    for (const int none : {0, 3, 64, 200}) CHECK(send(none, next.at, {}) == errc::malformed);
    CHECK(send(63, timestamp{}, {}) == errc::malformed);
    CHECK(send(63, next.at, {replica_id{{9}, 9}}) == errc::malformed);
    CHECK(next.give(*b, next.chunk(next.body({next.at, {}, {}}, 63).substr(0, 8))) == errc::malformed);
    CHECK(next.give(*b, next.chunk(next.body({next.at, {}, std::string(limits::transaction, 'x')}, 63))) == errc::malformed);
    auto wrong = next.chunk(next.body({next.at, {}, payload}, 63));
    wrong.ranges[0].head[0] ^= 1;
    CHECK(next.give(*b, wrong) == errc::diverged);
    CHECK_FALSE(open(*b).state()->holds_unread_records());

    // What this release does not know either stays for the next one, and goes on.
    REQUIRE(send(63, next.at, {c.id()}) == errc{});
    CHECK(open(*b).state()->holds_unread_records());
    CHECK(open(*b).state()->begin_walk(codec::encode(detail::walk_request{})).error().code == errc::unsupported_protocol);
    test::exchange(*b, c);
    CHECK(record_of(c, a.id(), next.mine.sequence + 1) == next.body({next.at, {c.id()}, payload}, 63));
    b.reset();
    b = mb.open(0);
    CHECK(open(*b).state()->holds_unread_records());
    CHECK(count(*b) == 3);
    // It is a member that only holds it.
    REQUIRE(run(*b, named(w, "one"), "x"));
    CHECK(count(*b) == 4);
}

TEST_CASE("a record that turns out to be wrong once its kind is known does nothing") {
    const bool folded = GENERATE(false, true);
    const int what = GENERATE(0, 1, 2);
    const auto w = std::make_shared<test::world>();
    machine ma(w), mb(w);
    auto a = ma.open(0);
    std::optional<store> b = mb.open(0, executions);
    test::share(a, {&*b});
    const forged next(a, w);
    std::string body;
    if (what == 0) {
        body = next.body({next.at, {}, "no execution"}, 2);
    } else {
        // A set's element is no counter; and nobody writes in the name of another.
        const dot me{origin{0}, next.mine.sequence + 1};
        const dot other{origin{0}, next.mine.sequence + 7};
        crdt::changes c;
        const auto path = std::string("s\0\1ax\0\1.", 8);
        if (what == 1) c.rows.push_back({path, {{}, crdt::counter_row{{{origin{0}, {}, {}, me.sequence, 1}}, {}}}});
        else c.rows.push_back({path, {{}, crdt::dots_row{{other}}}});
        crdt::execution x;
        x.result = "forged";
        std::vector<origin> mentioned;
        const auto bytes = crdt::encode_execution(x, c, {me, next.at}, mentioned);
        REQUIRE(mentioned.empty());
        body = oplog::encode_record({next.at, {}, bytes.payload, oplog::record_kind::execution, bytes.common});
    }
    const auto chunk = folded ? next.fold(body) : next.chunk(body);
    REQUIRE(next.give(*b, chunk) == errc{});
    for (int i = 0; i < 2; ++i) {
        b.reset();
        b = mb.open(0);
        CHECK(open(*b).read([](const map_view& m) { return m.fields(); }).value().empty());
        CHECK(open(*b).state()->requests() == 0);
        CHECK(test::row_keys(*b) == 0);
    }
    // Who knows the kind does not take it.
    CHECK(next.give(a, chunk) == errc::malformed);
}
