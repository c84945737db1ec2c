// Bounded counters on rows: who may spend what, who inherits, who gives how much.
#include "crdt/escrow.hpp"

#include <limits>

#include "crdt/edit.hpp"
#include "support/catch.hpp"
#include "support/catch_property.hpp"

using namespace anabranch;
using namespace anabranch::crdt;

namespace {

constexpr origin ada{0}, bob{1}, eve{2};
constexpr auto most = std::numeric_limits<std::int64_t>::max();

replica_id replica(std::uint32_t n) {
    replica_id id;
    id.value[0] = static_cast<std::uint8_t>(100 - n);  // another order than the numbers
    id.incarnation = 1;
    return id;
}

struct replicas {
    origin_table table;
    explicit replicas(std::uint32_t n = 3) {
        for (std::uint32_t i = 0; i < n; ++i) table.intern(replica(i));
    }
};

struct account {
    origin writer;
    std::uint64_t sequence, touched;
    std::int64_t value, bound, wanted;
    std::vector<escrow_row::transfer> sent;
    operator escrow_row::account() const { return {writer, touched > 0 ? 1U : 0U, sequence, touched, value, bound, wanted, sent}; }
};
escrow_row with(std::initializer_list<account> accounts) { return {{{{ada, 1}, {accounts.begin(), accounts.end()}, {}}}}; }

std::int64_t rights(const escrow_row& r, origin who, const succession& heirs = {}) {
    const auto all = totals(r, heirs);
    const auto* h = all.find(who);
    return h == nullptr ? 0 : h->rights;
}

roster gone(std::initializer_list<std::pair<std::uint32_t, std::uint32_t>> heirs) {
    roster r;
    for (const auto& [who, heir] : heirs) r.members[replica(who)] = {roster::stage::retired, 0, 0, replica(heir), {}, 0};
    return r;
}

}  // namespace

TEST_CASE("rights are what was added, less what was spent, the bound and gifts") {
    const auto r = with({{ada, 3, 3, 10, 2, 0, {{bob, 3}, {eve, 1}}}, {bob, 5, 5, -1, 0, 4, {{ada, 1}}}});
    const auto all = totals(r, {});
    CHECK(all.exists);
    CHECK(all.value == 9);
    CHECK(all.bound == 2);
    CHECK(all.holdings == std::vector<holding>{{ada, 5, 0}, {bob, 1, 4}, {eve, 1, 0}});
    CHECK_FALSE(totals(escrow_row{}, {}).exists);
}

TEST_CASE("what a removal has seen all of is not there") {
    row state = with({{ada, 3, 2, 10, 0, 0, {{bob, 3}}}});
    edit e(state);
    e.clear(vector_of({ada, 3}));
    CHECK_FALSE(totals(std::get<escrow_row>(e.now()), {}).exists);
    join(state, e.change(), {});
    CHECK_FALSE(totals(std::get<escrow_row>(state), {}).exists);
    // Somebody has used it without having seen the removal.
    join(state, {{}, with({{bob, 1, 1, -1, 0, 0, {}}})}, {});
    CHECK(totals(std::get<escrow_row>(state), {}).value == 9);
}

TEST_CASE("heirs have what the dead had, down the line, and a circle inherits nothing") {
    const replicas all(4);
    const auto r = with({{ada, 3, 3, 10, 0, 0, {}}, {bob, 5, 5, -4, 0, 7, {}}});
    CHECK(rights(r, ada, succession(gone({{1, 0}}), all.table)) == 6);
    CHECK(rights(r, eve, succession(gone({{0, 1}, {1, 2}}), all.table)) == 6);
    CHECK(totals(r, succession(gone({{1, 0}}), all.table)).holdings == std::vector<holding>{{ada, 6, 0}});  // the dead want nothing
    CHECK(rights(r, origin{3}, succession(gone({{0, 9}}), all.table)) == 0);  // an heir that nobody has heard of
    const succession circle(gone({{0, 1}, {1, 0}}), all.table);
    CHECK(rights(r, ada, circle) + rights(r, bob, circle) == 6);
}

TEST_CASE("who spends takes from wherever it has rights, all or nothing") {
    escrow_row two;
    two.generations.push_back({{ada, 1}, {{ada, 1, 1, 1, 2, 0, 0, {}}}, {}});
    two.generations.push_back({{bob, 1}, {{ada, 1, 2, 2, 3, 0, 0, {}}, {bob, 1, 1, 1, 5, 0, 0, {}}}, {}});
    edit e{row(two)};
    CHECK_FALSE(e.spend({ada, 3}, 6, {}));
    CHECK(e.change().empty());
    CHECK(e.spend({ada, 3}, 4, {}));
    const auto left = std::get<escrow_row>(e.now());
    CHECK(rights(left, ada) == 1);
    CHECK(rights(left, bob) == 5);
    CHECK(totals(left, {}).value == 6);
}

TEST_CASE("an operation that would leave int64 is refused and changes nothing") {
    edit e{row(with({{ada, 1, 1, most, 0, 0, {}}}))};
    CHECK_FALSE(e.deposit({ada, 2}, 1));
    CHECK(e.move_bound({ada, 2}, std::numeric_limits<std::int64_t>::min(), {}));
    CHECK_FALSE(e.move_bound({ada, 2}, -1, {}));
    edit gift{row(with({{ada, 1, 1, most, 0, 0, {{bob, most}}}, {bob, 1, 1, 0, 0, 0, {{ada, most}}}}))};
    CHECK_FALSE(gift.transfer({ada, 2}, bob, 1, {}));
    CHECK(gift.change().empty());
}

TEST_CASE("who asks for more gets what it lacks, and nobody gives what it needs") {
    const replicas all;
    const auto share = [&](std::vector<holding> holdings, std::int64_t needs, std::int64_t reserve = 0) {
        escrow_totals t;
        t.holdings = std::move(holdings);
        return share_to_give(t, ada, bob, {needs, reserve}, all.table);
    };
    CHECK(share({{ada, 10, 0}, {bob, 1, 4}}, 0) == 3);
    CHECK(share({{ada, 10, 0}, {bob, 4, 4}}, 0) == 0);
    CHECK(share({{ada, 10, 0}, {bob, -3, 4}}, 0) == 4);   // what it owes is not what it lacks
    CHECK(share({{ada, 10, 0}, {bob, 1, 4}}, 8) == 2);
    CHECK(share({{ada, 2, 0}, {bob, 0, 4}}, 4) == 1);     // not enough for both: half each
    CHECK(share({{ada, 1, 0}, {bob, 0, 1}}, 1) == 0);     // the last one stays
    CHECK(share({{ada, 1, 0}, {bob, 0, 1}}, 0) == 1);
    CHECK(share({{ada, 10, 0}, {bob, 0, 100}}, 0, 7) == 3);  // what is reserved is not shared
    CHECK(share({{ada, 10, 0}, {bob, 0, 100}}, 0, 70) == 0);
    CHECK(share({{ada, 0, 0}, {bob, 0, 1}}, 0) == 0);
    CHECK(share({{ada, 9, 0}}, 0) == 0);
    CHECK(share({{bob, 0, 4}}, 0) == 0);
    CHECK(share({{ada, most, 0}, {bob, 0, most}, {eve, most, 0}}, most) >= 0);
}

TEST_CASE("all holders together give what is lacking, and none more than it has") {
    const replicas table(8);
    test::check_property("shares", [&](std::vector<std::uint16_t> amounts, std::uint16_t wanted) {
        escrow_totals t;
        std::int64_t everywhere = 0;
        t.holdings.push_back({origin{0}, 0, wanted});
        for (std::size_t i = 0; i < std::min<std::size_t>(amounts.size(), 7); ++i) {
            t.holdings.push_back({origin{static_cast<std::uint32_t>(i + 1)}, amounts[i], 0});
            everywhere += amounts[i];
        }
        std::int64_t given = 0;
        for (const auto& h : t.holdings) {
            const auto gift = share_to_give(t, h.owner, origin{0}, {}, table.table);
            RC_ASSERT(gift >= 0);
            RC_ASSERT(gift <= h.rights || h.owner == origin{0});
            given += gift;
        }
        RC_ASSERT(given == std::min<std::int64_t>(wanted, everywhere));
    });
}
