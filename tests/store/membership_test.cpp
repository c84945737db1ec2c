// What members have told, what is stable by that, and how far back the log reaches: without a store.
#include "store/membership.hpp"

#include <anabranch/limits.hpp>

#include "codec/archive.hpp"
#include "store/log_extent.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using namespace std::chrono_literals;
using detail::log_extent;
using detail::membership;
using stage = crdt::roster::stage;

namespace {

constexpr origin a{0};
constexpr origin b{1};

replica_id replica(std::uint32_t n) { return {{}, n}; }
const replica_id ada = replica(1);
const replica_id bob = replica(2);
const replica_id eve = replica(3);

/// A clock that stands there.
auto at(std::chrono::milliseconds moment) {
    return [moment] { return moment; };
}

version_vector vector_of(std::initializer_list<dot> dots) {
    version_vector v;
    for (const auto& d : dots) v.join(d);
    return v;
}

void join(membership& m, const replica_id& id, stage at = stage::joined, std::uint64_t laggard = 0) {
    crdt::roster change;
    change.members[id] = {at, 0, laggard, {}, {}};
    m.join(change);
}

membership of(std::initializer_list<replica_id> ids) {
    membership m;
    for (const auto& id : ids) join(m, id);
    return m;
}

}  // namespace

TEST_CASE("stable is what every member has told that it has") {
    auto m = of({ada, bob});
    CHECK_FALSE(m.advance({}));
    m.note(ada, vector_of({{a, 5}, {b, 2}}));
    CHECK_FALSE(m.advance(vector_of({{a, 9}, {b, 9}})));  // bob has told nothing
    m.note(bob, vector_of({{a, 3}, {b, 4}}));
    CHECK(m.advance(vector_of({{a, 9}, {b, 9}})));
    CHECK(m.stable() == vector_of({{a, 3}, {b, 2}}));
    CHECK(m.held_by_all(true) == m.stable());
    CHECK_FALSE(m.advance(vector_of({{a, 9}, {b, 9}})));
}

TEST_CASE("an advert counts once all of it has been delivered") {
    auto m = of({ada, bob});
    m.note(ada, vector_of({{a, 9}, {b, 9}}));
    m.note(bob, vector_of({{a, 3}, {b, 4}}));
    // Bob's fourth may be the one that lets somebody in who has nothing.
    CHECK_FALSE(m.advance(vector_of({{a, 9}, {b, 3}})));
    CHECK(m.stable().empty());
    CHECK_FALSE(m.advance(vector_of({{a, 9}, {b, 8}})));  // now ada's is still beyond
    CHECK(m.advance(vector_of({{a, 9}, {b, 9}})));
    CHECK(m.stable() == vector_of({{a, 3}, {b, 4}}));
}

TEST_CASE("an advert that waits is not starved by later ones") {
    auto m = of({ada});
    m.note(ada, vector_of({{a, 1}}));
    m.note(ada, vector_of({{a, 2}}));
    m.note(ada, vector_of({{a, 3}}));
    CHECK(m.known(ada) == vector_of({{a, 3}}));
    CHECK(m.advance(vector_of({{a, 1}})));
    CHECK(m.stable() == vector_of({{a, 1}}));
    CHECK_FALSE(m.advance(vector_of({{a, 2}})));  // the one in between was let go
    CHECK(m.advance(vector_of({{a, 3}})));
    CHECK(m.stable() == vector_of({{a, 3}}));
}

TEST_CASE("an older advert that comes later changes nothing") {
    auto m = of({ada});
    m.note(ada, vector_of({{a, 5}}));
    REQUIRE(m.advance(vector_of({{a, 5}})));
    m.note(ada, vector_of({{a, 2}}));
    CHECK(m.known(ada) == vector_of({{a, 5}}));
    CHECK_FALSE(m.advance(vector_of({{a, 5}})));
    CHECK(m.stable() == vector_of({{a, 5}}));
}

TEST_CASE("a newcomer has nothing at first, and what was stable stays so") {
    auto m = of({ada});
    m.note(ada, vector_of({{a, 5}}));
    REQUIRE(m.advance(vector_of({{a, 5}})));
    join(m, bob);
    CHECK(m.held_by_all(true).empty());
    m.note(ada, vector_of({{a, 7}}));
    CHECK_FALSE(m.advance(vector_of({{a, 7}})));
    CHECK(m.stable() == vector_of({{a, 5}}));
    m.note(bob, vector_of({{a, 2}}));
    CHECK_FALSE(m.advance(vector_of({{a, 7}})));
    CHECK(m.held_by_all(true) == vector_of({{a, 2}}));
    CHECK(m.stable() == vector_of({{a, 5}}));
}

TEST_CASE("nobody waits for who is gone, and only the cut does without who lags") {
    auto m = of({ada, bob, eve});
    m.note(ada, vector_of({{a, 5}}));
    m.note(bob, vector_of({{a, 3}}));
    join(m, eve, stage::joined, 1);
    CHECK_FALSE(m.advance(vector_of({{a, 5}})));
    CHECK(m.held_by_all(false) == vector_of({{a, 3}}));
    CHECK(m.held_by_all(true).empty());
    join(m, eve, stage::joined, 2);  // it is back
    CHECK(m.held_by_all(false).empty());
    join(m, eve, stage::retiring);
    CHECK_FALSE(m.advance(vector_of({{a, 5}})));
    join(m, eve, stage::retired);
    CHECK(m.advance(vector_of({{a, 5}})));
    CHECK(m.stable() == vector_of({{a, 3}}));
    join(m, bob, stage::left);
    CHECK(m.advance(vector_of({{a, 5}})));
    CHECK(m.stable() == vector_of({{a, 5}}));
    CHECK(m.known().size() == 1);  // passed on are those that count
}

TEST_CASE("adverts of replicas that nobody has let in yet are kept, but not of any number of them") {
    membership m;
    for (std::uint32_t n = 0; n < limits::origins + 10; ++n) m.note(replica(n), vector_of({{a, 1}}));
    CHECK(m.known().empty());
    CHECK_FALSE(m.known(replica(0)).empty());
    CHECK(m.known(replica(limits::origins)).empty());
    m.note(replica(0), vector_of({{a, 2}}));  // one that is known goes on
    CHECK(m.known(replica(0)) == vector_of({{a, 2}}));
    join(m, replica(0));
    CHECK(m.advance(vector_of({{a, 2}})));
}

TEST_CASE("membership comes back from its bytes") {
    auto m = of({ada, bob});
    m.note(ada, vector_of({{a, 5}}));
    m.note(bob, vector_of({{a, 5}}));
    REQUIRE(m.advance(vector_of({{a, 5}})));
    m.note(bob, vector_of({{a, 6}}));
    m.note(bob, vector_of({{a, 7}}));
    auto again = codec::decode<membership>(codec::encode(m));
    REQUIRE(again);
    CHECK(codec::encode(*again) == codec::encode(m));
    CHECK(again->stable() == m.stable());
    again->note(ada, vector_of({{a, 7}}));
    CHECK(again->advance(vector_of({{a, 7}})));
    CHECK(again->stable() == vector_of({{a, 7}}));
}

TEST_CASE("a log remembers now and then how long it was") {
    log_extent log(10);
    CHECK(log.bytes() == 0);
    CHECK(log.before_last(0) == nullptr);
    CHECK(log.before(1h) == nullptr);
    log.grow(5, vector_of({{a, 1}}), at(1s));
    log.grow(9, vector_of({{a, 2}}), at(2s));  // too near to be remembered
    log.grow(1, vector_of({{a, 3}}), at(3s));
    log.grow(100, vector_of({{a, 4}}), at(4s));
    CHECK(log.bytes() == 115);
    // At least so many bytes stay behind the place, never fewer.
    CHECK(*log.before_last(0) == vector_of({{a, 4}}));
    CHECK(*log.before_last(1) == vector_of({{a, 3}}));
    CHECK(*log.before_last(100) == vector_of({{a, 3}}));
    CHECK(*log.before_last(101) == vector_of({{a, 1}}));
    CHECK(*log.before_last(110) == vector_of({{a, 1}}));
    CHECK(log.before_last(111) == nullptr);
    // What was there before a moment, not at it.
    CHECK(log.before(1s) == nullptr);
    CHECK(*log.before(2s) == vector_of({{a, 1}}));
    CHECK(*log.before(3s) == vector_of({{a, 1}}));
    CHECK(*log.before(3001ms) == vector_of({{a, 3}}));
}

TEST_CASE("a log that is cut is shorter, to the place that the cut has reached") {
    log_extent log(10);
    for (std::uint64_t n = 1; n <= 5; ++n) log.grow(10, vector_of({{a, n}, {b, n}}), at(std::chrono::seconds{n}));
    CHECK(log.bytes() == 50);
    const auto have = vector_of({{a, 5}, {b, 5}});
    log.cut(vector_of({{a, 3}, {b, 2}}), have);
    CHECK(log.bytes() == 30);
    CHECK(log.before_last(31) == nullptr);
    CHECK(*log.before_last(20) == vector_of({{a, 3}, {b, 3}}));
    log.cut(vector_of({{a, 3}, {b, 2}}), have);
    CHECK(log.bytes() == 30);
    log.cut(have, have);
    CHECK(log.bytes() == 0);
    CHECK(log.before_last(0) == nullptr);
    log.grow(7, vector_of({{a, 6}, {b, 5}}), at(9s));
    CHECK(log.bytes() == 7);
    CHECK(*log.before_last(0) == vector_of({{a, 6}, {b, 5}}));
}
