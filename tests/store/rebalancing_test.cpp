#include "store/rebalancing.hpp"

#include <limits>

#include "support/catch.hpp"

using namespace anabranch;
using detail::rebalancing;
using std::chrono::milliseconds;

TEST_CASE("demand is what was wanted in this window and the one before") {
    rebalancing r(milliseconds{100});
    CHECK(r.lately("a", milliseconds{0}) == 0);
    r.spent("a", 5, milliseconds{0});
    r.spent("a", 2, milliseconds{99});
    CHECK(r.lately("a", milliseconds{99}) == 7);
    CHECK(r.lately("b", milliseconds{99}) == 0);
    r.spent("a", 1, milliseconds{150});
    CHECK(r.lately("a", milliseconds{150}) == 8);
    CHECK(r.lately("a", milliseconds{249}) == 8);
    CHECK(r.lately("a", milliseconds{250}) == 1);
    CHECK(r.lately("a", milliseconds{350}) == 0);
    // The clock may be put back.
    CHECK(r.lately("a", milliseconds{-1000}) == 0);
    r.spent("a", std::numeric_limits<std::int64_t>::max(), milliseconds{300});
    CHECK(r.lately("a", milliseconds{300}) == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("of what was refused the greatest counts, and is asked for now and then") {
    rebalancing r(milliseconds{100});
    CHECK_FALSE(r.has_errands());
    r.refused("a", 5, milliseconds{0});
    CHECK(r.take_errands().at("a").asks_for == 5);
    r.refused("a", 5, milliseconds{4});
    CHECK_FALSE(r.has_errands());
    r.refused("a", 6, milliseconds{4});
    CHECK(r.has_errands());
    r.take_errands();
    r.refused("a", 5, milliseconds{9});
    CHECK(r.take_errands().at("a").asks_for == 5);
    CHECK(r.lately("a", milliseconds{9}) == 6);
}

TEST_CASE("it remembers a bounded number of counters, and none without a window") {
    rebalancing none(milliseconds{0});
    none.refused("a", 5, milliseconds{0});
    none.heard("a", origin{1});
    CHECK_FALSE(none.has_errands());
    CHECK(none.lately("a", milliseconds{0}) == 0);

    rebalancing r(milliseconds{100});
    for (int i = 0; i < 10'000; ++i) {
        r.spent(std::to_string(i), 1, milliseconds{0});
        r.heard(std::to_string(i), origin{1});
    }
    CHECK(r.take_errands().size() == 4096);
    CHECK(r.lately("9999", milliseconds{0}) == 0);
    // What is old makes room.
    r.spent("9999", 1, milliseconds{200});
    CHECK(r.lately("9999", milliseconds{200}) == 1);
}

TEST_CASE("whoever is one too many asks all the same") {
    rebalancing r(milliseconds{100});
    for (int i = 0; i < 4096; ++i) r.spent(std::to_string(i), 1, milliseconds{50'000});
    r.refused("more", 7, milliseconds{50'001});
    CHECK(r.take_errands().at("more").asks_for == 7);
    // After the clock was put back none of them is recent.
    r.refused("more", 7, milliseconds{10'000});
    CHECK(r.lately("more", milliseconds{10'000}) == 7);
    CHECK(r.lately("0", milliseconds{10'000}) == 0);
}

TEST_CASE("what is reserved is wanted until it is sold, or is not reserved any more") {
    rebalancing r(milliseconds{100});
    r.reserved("a", 50, milliseconds{0});
    CHECK(r.reserve("a") == 50);
    r.spent("a", 20, milliseconds{1000});
    CHECK(r.reserve("a") == 30);
    CHECK(r.lately("a", milliseconds{1000}) == 20);
    r.spent("a", 40, milliseconds{1000});
    CHECK(r.reserve("a") == 0);
    CHECK(r.lately("a", milliseconds{1000}) == 60);
    r.reserved("a", 50, milliseconds{1001});
    r.reserved("a", 0, milliseconds{1001});
    CHECK(r.reserve("a") == 0);
}
