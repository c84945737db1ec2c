// What a bucket takes from peers: order, holds, divergence, its own past, and bytes that no honest peer sends.
#include <algorithm>
#include <anabranch/limits.hpp>
#include <optional>

#include "codec/archive.hpp"
#include "crdt/changes.hpp"
#include "oplog/record.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using test::count;

namespace {

constexpr timestamp forever{UINT64_MAX};

replica_id stranger(std::uint8_t n = 1) {
    replica_id id;
    id.value.fill(n);
    id.incarnation = 1;
    return id;
}

/// After all others in every progress.
const replica_id founder = stranger(0xff);

/// A chunk of one origin's records, with the right heads.
oplog::chunk chunk_of(const replica_id& id, std::vector<std::string> bodies, std::uint64_t first = 1, hash128 before = {}) {
    oplog::chunk c;
    auto head = first == 1 ? oplog::chain_start("b", id) : before;
    for (auto& body : bodies) {
        head = oplog::chain_next(head, body);
        c.entries.push_back({0, std::move(body)});
    }
    c.ranges.push_back({id, first, first + c.entries.size() - 1, head});
    return c;
}

std::string add_record(std::uint64_t at, std::uint64_t sequence, std::int64_t sum, std::string key = {"c\0\1c", 4}) {
    crdt::counter_row row;
    row.totals.push_back({origin{0}, 0, 0, sequence, sum});
    std::vector<origin> mentioned;
    return oplog::encode_record({{at}, {}, crdt::encode_changes({{}, {{std::move(key), {{}, row}}}, {}}, {{origin{0}, sequence}, {at}}, mentioned)});
}

errc apply(const bucket& b, const oplog::chunk& c, timestamp horizon = forever) {
    const auto done = b.state()->apply(c, horizon, founder);
    return done ? errc{} : done.error().code;
}

/// The founder's records, one for each set of members that it lets in; the first also founds the bucket.
oplog::chunk letting_in(const std::vector<std::vector<replica_id>>& joiners) {
    std::vector<std::string> bodies;
    for (const auto& some : joiners) {
        crdt::changes c;
        if (bodies.empty()) {
            c.members.founder = founder;
            c.members.authority = {1, founder};
            c.members.members[founder];
        }
        for (const auto& id : some) c.members.members[id];
        std::vector<origin> mentioned;
        const auto sequence = 1 + bodies.size();
        bodies.push_back(oplog::encode_record({{sequence}, {}, crdt::encode_changes(c, {{origin{0}, sequence}, {sequence}}, mentioned)}));
    }
    return chunk_of(founder, std::move(bodies));
}

/// A bucket of somebody else, in which this store and two strangers are members.
bucket open_shared(store& s) {
    auto b = s.bucket("b").value();
    REQUIRE(apply(b, letting_in({{s.id(), stranger(1), stranger(2)}})) == errc{});
    return b;
}

/// What is here of a writer.
std::uint64_t last_of(const bucket& b, const replica_id& id) {
    for (const auto& entry : b.progress()) {
        if (entry.origin == id) return entry.sequence;
    }
    return 0;
}

}  // namespace

TEST_CASE("records are taken in sequence, again without effect, and never with a gap") {
    auto s = test::memory_store();
    auto b = open_shared(s);
    const auto whole = chunk_of(stranger(), {add_record(10, 1, 5), add_record(11, 2, 7)});
    const auto later = chunk_of(stranger(), {add_record(12, 3, 9)}, 3, whole.ranges[0].head);
    CHECK(apply(b, later) == errc::malformed);
    CHECK(last_of(b, stranger()) == 0);
    CHECK(apply(b, whole) == errc{});
    CHECK(apply(b, whole) == errc{});
    CHECK(count(b) == 7);
    CHECK(apply(b, later) == errc{});
    CHECK(count(b) == 9);
    CHECK(b.progress().front() == progress_entry{stranger(), 3, later.ranges[0].head});
    // Overlapping with what is here.
    CHECK(apply(b, chunk_of(stranger(), {add_record(12, 3, 9), add_record(13, 4, 1)}, 3, whole.ranges[0].head)) == errc{});
    CHECK(count(b) == 1);
}

TEST_CASE("what is not as its writer would have written it is refused whole") {
    auto s = test::memory_store();
    auto b = open_shared(s);
    const auto refused = [&](std::string second) {
        const auto code = apply(b, chunk_of(stranger(), {add_record(10, 1, 5), std::move(second)}));
        CHECK(last_of(b, stranger()) == 0);
        CHECK(count(b) == 0);
        return code == errc::malformed;
    };
    CHECK(refused(""));
    CHECK(refused("garbage"));
    CHECK(refused(add_record(10, 2, 5)));                              // not later than the one before
    CHECK(refused(add_record(11, 3, 5)));                              // a total of another transaction
    CHECK(refused(add_record(11, 2, 5, "no path")));
    CHECK(refused(add_record(11, 2, 5) + "more"));
}

TEST_CASE("a row keeps its kind") {
    auto s = test::memory_store();
    auto b = open_shared(s);
    REQUIRE(apply(b, chunk_of(stranger(), {add_record(10, 1, 5)})) == errc{});
    const crdt::changes other_kind{{}, {{std::string("c\0\1c", 4), {{}, crdt::dots_row{{{origin{0}, 2}}}}}}, {}};
    std::vector<origin> mentioned;
    const auto body = oplog::encode_record({{11}, {}, crdt::encode_changes(other_kind, {{origin{0}, 2}, {11}}, mentioned)});
    CHECK(apply(b, chunk_of(stranger(), {body}, 2, b.progress()[0].head)) == errc::malformed);
    CHECK(count(b) == 5);
}

TEST_CASE("a path's type says which kind of row stands there, also within one chunk") {
    auto s = test::memory_store();
    auto b = open_shared(s);
    const crdt::changes other_kind{{}, {{std::string("c\0\1c", 4), {{}, crdt::dots_row{{{origin{0}, 2}}}}}}, {}};
    std::vector<origin> mentioned;
    const auto body = oplog::encode_record({{11}, {}, crdt::encode_changes(other_kind, {{origin{0}, 2}, {11}}, mentioned)});
    CHECK(apply(b, chunk_of(stranger(), {add_record(10, 1, 5), body})) == errc::malformed);
    CHECK(last_of(b, stranger()) == 0);
    CHECK(count(b) == 0);
}

TEST_CASE("a record that mentions replicas which nobody has met is refused, and they stay unknown") {
    auto s = test::memory_store();
    auto b = open_shared(s);
    std::vector<replica_id> many(limits::origins);
    for (std::size_t i = 0; i < many.size(); ++i) many[i] = {{}, static_cast<std::uint32_t>(i + 1)};
    const auto known = s.state()->origins().size();
    CHECK(apply(b, chunk_of(stranger(), {oplog::encode_record({{10}, many, std::string(2, '\0')})})) == errc::malformed);
    CHECK(s.state()->origins().size() == known + 1);  // the writer itself
    CHECK(apply(b, chunk_of(stranger(2), {add_record(10, 1, 5)})) == errc{});
    CHECK(count(b) == 5);
}

TEST_CASE("two histories under one name are told apart, and nothing is taken of the other") {
    auto s = test::memory_store();
    auto b = open_shared(s);
    REQUIRE(apply(b, chunk_of(stranger(), {add_record(10, 1, 5)})) == errc{});
    const auto other = chunk_of(stranger(), {add_record(10, 1, 6), add_record(11, 2, 8)});
    CHECK(apply(b, other) == errc::diverged);
    CHECK(count(b) == 5);
    CHECK(b.state()->compare({{stranger(), 1, oplog::chain_start("b", stranger())}}).error().code == errc::diverged);
    CHECK(b.state()->compare(b.progress()));
    CHECK(b.state()->compare({{stranger(), 7, {}}}));  // theirs to compare
    CHECK(b.state()->compare({{stranger(9), 1, {}}}));
    REQUIRE(apply(b, chunk_of(stranger(), {add_record(11, 2, 8)}, 2, b.progress()[0].head)) == errc{});
    CHECK(b.state()->compare({{stranger(), 1, chunk_of(stranger(), {add_record(10, 1, 5)}).ranges[0].head}}));
    CHECK(b.state()->compare({{stranger(), 1, {}}}).error().code == errc::diverged);
}

TEST_CASE("a transaction from the far future is held, and everything after it; what is before is taken") {
    auto s = test::memory_store();
    auto b = open_shared(s);
    const auto one = add_record(10, 1, 5);
    const auto c = chunk_of(stranger(), {one, add_record(1'000, 2, 6), add_record(1'001, 3, 7)});
    const auto done = b.state()->apply(c, {100}, founder);
    REQUIRE(done);
    CHECK(done->transactions == 1);
    REQUIRE(done->held);
    CHECK(done->held->id == transaction_id{stranger(), 2});
    CHECK(done->held->at == timestamp{1'000});
    CHECK(count(b) == 5);
    const auto all = b.state()->apply(c, {1'001}, founder);
    CHECK(all->transactions == 2);
    CHECK_FALSE(all->held);
    CHECK(count(b) == 7);
}

TEST_CASE("commits are later than everything that was taken") {
    auto w = std::make_shared<test::world>();
    auto s = test::memory_store(w);
    auto b = open_shared(s);
    const auto ahead = timestamp::from(std::chrono::milliseconds{w->now_ms + 50'000}, 9);
    REQUIRE(apply(b, chunk_of(stranger(), {add_record(ahead.value, 1, 5)})) == errc{});
    REQUIRE(b.commit([&](transaction& tx) {
        CHECK(tx.at() > ahead);
        tx.counter("c").add(1);
    }));
}

TEST_CASE("nobody goes on with a bounded counter that nobody has begun") {
    auto s = test::memory_store();
    auto b = s.bucket("b").value();
    REQUIRE(apply(b, letting_in({{founder, stranger()}})) == errc{});
    const auto record = [](const dot& birth) {
        const crdt::escrow_row row{{{birth, {{origin{0}, 1, 1, 1, 10, 0, 0, {}}}, {}}}};
        std::vector<origin> mentioned;
        const auto payload = crdt::encode_changes({{}, {{{"s\0\1b", 4}, {{}, row}}}, {}}, {{origin{0}, 1}, {500}}, mentioned);
        return oplog::encode_record({{500}, mentioned.empty() ? std::vector<replica_id>{} : std::vector{founder}, payload});
    };
    CHECK(apply(b, chunk_of(stranger(), {record({origin{1}, 50})})) == errc::malformed);
    CHECK(apply(b, chunk_of(stranger(), {record({origin{0}, 2})})) == errc::malformed);
    CHECK(apply(b, chunk_of(stranger(), {record({origin{1}, 1})})) == errc{});
    CHECK(b.read([](const map_view& m) { return m.bounded_counter("s").value(); }) == 0);  // it was begun, and not here
}

TEST_CASE("a replica that gets its own past back commits as a new incarnation") {
    auto w = std::make_shared<test::world>();
    auto s = test::memory_store(w);
    auto b = open_shared(s);
    const auto id = s.id();
    REQUIRE(apply(b, chunk_of(id, {add_record(10, 1, 5), add_record(11, 2, 6)})) == errc{});
    CHECK(s.id().value == id.value);
    const auto next = s.id();
    CHECK(next.incarnation > id.incarnation);
    // Which has to be let in like any other.
    CHECK(b.commit([](transaction& tx) { tx.counter("c").add(10); }).error().code == errc::not_a_member);
    REQUIRE(apply(b, letting_in({{id, stranger(1), stranger(2)}, {s.id()}})) == errc{});
    REQUIRE(b.commit([&](transaction& tx) {
        CHECK(tx.id() == transaction_id{s.id(), 1});
        tx.counter("c").add(10);
    }));
    CHECK(count(b) == 16);
    // A second part of the same past is nothing new.
    REQUIRE(apply(b, chunk_of(id, {add_record(12, 3, 7)}, 3, b.progress()[0].head)) == errc{});
    CHECK(s.id() == next);
    CHECK(count(b) == 17);
}

TEST_CASE("copies of one disk do not become the same incarnation") {
    auto w = std::make_shared<test::world>();
    const auto randomness = w->randomness.load();
    std::uint64_t drawn = 100;
    const auto wake_copy = [&](std::optional<replica_id>& before) {
        w->randomness = randomness;  // the same identity again
        auto s = test::memory_store(w);
        w->randomness = drawn += 100;
        auto b = open_shared(s);
        before = s.id();
        REQUIRE(apply(b, chunk_of(s.id(), {add_record(10, 1, 5)})) == errc{});
        return s.id();
    };
    std::optional<replica_id> original;
    const auto one = wake_copy(original);
    const auto other = wake_copy(original);
    ++w->now_ms;
    const auto later = wake_copy(original);
    CHECK(one != other);
    CHECK(std::min(one, other) > *original);
    CHECK(later > std::max(one, other));
}

TEST_CASE("an incarnation is greater than the one before, whatever the clock says") {
    auto w = std::make_shared<test::world>();
    auto s = test::memory_store(w);
    auto b = open_shared(s);
    const auto first = s.id();
    w->now_ms += std::int64_t{1} << 40;
    REQUIRE(apply(b, chunk_of(first, {add_record(10, 1, 5)})) == errc{});
    const auto ahead = s.id();
    CHECK(ahead > first);
    w->now_ms -= std::int64_t{1} << 40;
    REQUIRE(apply(b, letting_in({{first, stranger(1), stranger(2)}, {ahead}})) == errc{});
    REQUIRE(apply(b, chunk_of(ahead, {add_record(11, 1, 5)})) == errc{});
    CHECK(s.id() > ahead);
}

TEST_CASE("reading the log gives what is durable, after a position, below a ceiling, in pieces") {
    auto w = std::make_shared<test::world>();
    auto s = test::memory_store(w);
    auto b = open_shared(s);
    const auto add = [&] {
        ++w->now_ms;
        REQUIRE(b.commit([](transaction& tx) { tx.counter("c").add(1); }));
    };
    for (int i = 0; i < 5; ++i) add();
    CHECK(b.state()->read_log({}, forever, {}).value().empty());
    REQUIRE(s.sync());
    add();
    const auto read = [&](std::uint64_t after, timestamp ceiling, std::size_t bytes) {
        return b.state()->read_log({{founder, 1}, {s.id(), after}}, ceiling, {.record_bytes = bytes}).value();
    };
    CHECK(b.state()->read_log({}, forever, {}).value().entries.size() == 6);
    const auto all = read(0, forever, SIZE_MAX);
    CHECK(all.entries.size() == 5);
    CHECK(oplog::is_sound(all));
    CHECK(read(3, forever, SIZE_MAX).ranges[0].first == 4);
    CHECK(read(5, forever, SIZE_MAX).empty());
    CHECK(read(99, forever, SIZE_MAX).empty());
    CHECK(read(0, oplog::record_time(all.entries[2].body), SIZE_MAX).entries.size() == 2);
    CHECK(read(0, forever, 1).entries.size() == 1);
}
