// The roster: a join-semilattice, whatever its transactions say and in whatever order they come.
#include "crdt/roster.hpp"

#include "codec/archive.hpp"
#include "support/catch_property.hpp"

using namespace anabranch;
using crdt::roster;
using stage = crdt::roster::stage;

namespace {

replica_id replica(std::uint8_t n) {
    replica_id id;
    id.value[0] = n;
    id.incarnation = 1;
    return id;
}

/// (who, stage, what, how much): any numbers are changes, so that failing ones can be shrunk.
using change = std::tuple<std::uint8_t, std::uint8_t, std::uint8_t, std::uint8_t>;

/// One bucket's, and it has one founder: two of them never meet.
roster roster_of(const std::vector<change>& changes) {
    roster r;
    for (const auto& [who, at, what, amount] : changes) {
        roster one;
        auto& m = one.members[replica(who % 4)];
        m.at = static_cast<stage>(1 + at % 4);
        if (what % 5 == 0) one.founder = replica(0);
        if (what % 5 == 1) one.authority = {1 + amount % 3U, replica(who % 3)};
        if (what % 5 == 2) m.reports[replica(amount % 3)] = {{1 + amount % 2U, replica(amount % 3)}, amount % 7U};
        if (what % 5 == 2 && m.at >= stage::left) m.heir = replica(amount % 4);
        if (what % 5 == 3) m.laggard = amount % 4U;
        if (what % 5 == 4) m.last = amount % 7U;
        r.join(one);
    }
    return r;
}

roster joined(roster a, const roster& b) {
    a.join(b);
    return a;
}

}  // namespace

TEST_CASE("rosters join in any order, grouped in any way, and again without effect") {
    using changes = std::vector<change>;
    test::check_property("roster", [](const changes& one, const changes& two, const changes& three) {
        const auto a = roster_of(one);
        const auto b = roster_of(two);
        const auto c = roster_of(three);
        RC_ASSERT(joined(a, b) == joined(b, a));
        RC_ASSERT(joined(joined(a, b), c) == joined(a, joined(b, c)));
        RC_ASSERT(joined(a, a) == a);
        RC_ASSERT(joined(joined(a, b), b) == joined(a, b));
        RC_ASSERT(joined(a, {}) == a);
        RC_ASSERT(joined({}, a) == a);
        RC_ASSERT(codec::decode<roster>(codec::encode(a)) == a);
    });
}

TEST_CASE("stages, terms and last transactions never go back") {
    using changes = std::vector<change>;
    test::check_property("growth", [](const changes& before, const changes& later) {
        const auto a = roster_of(before);
        const auto b = joined(a, roster_of(later));
        for (const auto& [id, m] : a.members) {
            const auto* now = b.find(id);
            RC_ASSERT(now != nullptr);
            RC_ASSERT(now->at >= m.at);
            RC_ASSERT(now->last >= m.last);
            RC_ASSERT(now->laggard >= m.laggard);
            // Who is gone does not count again.
            RC_ASSERT(a.counts(id) || !b.counts(id));
            if (now->at >= stage::left) continue;
            for (const auto& [reporter, report] : m.reports) {
                RC_ASSERT(now->reports.at(reporter).last >= report.last);
                RC_ASSERT(!(now->reports.at(reporter).to < report.to));
            }
        }
        RC_ASSERT(!(b.authority < a.authority));
        RC_ASSERT(!a.founder || b.founder == a.founder);
    });
}

TEST_CASE("who counts, and who lags") {
    roster r;
    CHECK(r.empty());
    r.members[replica(1)] = {stage::joined, 0, 0, {}, {}};
    r.members[replica(2)] = {stage::retiring, 0, 1, {}, {}};
    r.members[replica(3)] = {stage::left, 0, 2, {}, {}};
    r.members[replica(4)] = {stage::retired, 7, 3, {}, {}};
    CHECK_FALSE(r.empty());
    CHECK(r.counts(replica(1)));
    CHECK(r.counts(replica(2)));  // until the others have told what they have of it
    CHECK_FALSE(r.counts(replica(3)));
    CHECK_FALSE(r.counts(replica(4)));
    CHECK_FALSE(r.counts(replica(5)));
    CHECK_FALSE(r.is_laggard(replica(1)));
    CHECK(r.is_laggard(replica(2)));
    CHECK_FALSE(r.is_laggard(replica(3)));
    CHECK_FALSE(r.is_laggard(replica(5)));
    CHECK(r.find(replica(5)) == nullptr);

    CHECK(is_sound(r));
    r.members[replica(5)].at = stage{0};
    CHECK_FALSE(is_sound(r));
    r.members[replica(5)].at = stage{5};
    CHECK_FALSE(is_sound(r));
    r.members[replica(5)] = {stage::joined, 0, 0, replica(1), {}};  // nobody has the rights of who is there
    CHECK_FALSE(is_sound(r));
}

TEST_CASE("reports have served once their member is gone") {
    roster r;
    r.members[replica(1)] = {stage::retiring, 0, 0, {}, {{replica(2), {{}, 7}}}};
    roster gone;
    gone.members[replica(1)] = {stage::retired, 7, 0, replica(2), {}};
    r.join(gone);
    CHECK(r.find(replica(1))->reports.empty());
    roster late;
    late.members[replica(1)] = {stage::retiring, 0, 0, {}, {{replica(3), {{}, 9}}}};
    r.join(late);
    CHECK(r == joined(gone, {}));
}

TEST_CASE("who is gone has the heir that its last stage names") {
    roster left;
    left.members[replica(1)] = {stage::left, 0, 0, replica(2), {}};
    roster joined_later;
    joined_later.members[replica(1)] = {stage::joined, 0, 5, {}, {}};
    CHECK(joined(left, joined_later).find(replica(1))->heir == replica(2));
    CHECK(joined(joined_later, left).find(replica(1))->heir == replica(2));
}

TEST_CASE("a new incarnation comes from the latest one before it that takes part") {
    roster r;
    const auto later = [](std::uint8_t n, std::uint64_t incarnation) {
        auto id = replica(n);
        id.incarnation = incarnation;
        return id;
    };
    r.members[replica(1)].fence = 1;
    r.members[later(1, 5)].fence = 5;
    r.members[replica(3)].fence = 3;
    CHECK(r.find_former(later(1, 9))->fence == 5);
    CHECK(r.find_former(later(1, 4))->fence == 1);
    CHECK(r.find_former(later(1, 5)) == nullptr);
    CHECK(r.find_former(later(1, 0)) == nullptr);
    CHECK(r.find_former(later(2, 9)) == nullptr);
    r.members[later(1, 5)].at = stage::retired;
    CHECK(r.find_former(later(1, 9)) == nullptr);
}
