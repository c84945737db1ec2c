#include <thread>

#include "causality/hybrid_clock.hpp"
#include "causality/origin_table.hpp"
#include "causality/version_vector.hpp"
#include "codec/archive.hpp"
#include "support/catch_property.hpp"

using namespace anabranch;
using namespace std::chrono_literals;

namespace {

constexpr origin a{0};
constexpr origin b{1};
constexpr origin c{2};

version_vector vector_of(const std::vector<std::pair<std::uint8_t, std::uint8_t>>& dots) {
    version_vector v;
    for (const auto& [writer, sequence] : dots) v.join(dot{origin{writer % 5U}, sequence});
    return v;
}

}  // namespace

TEST_CASE("what two vectors both cover, and what one covers beyond the other") {
    using dots = std::vector<std::pair<std::uint8_t, std::uint8_t>>;
    test::check_property("meet and beyond", [](const dots& one, const dots& two) {
        const auto x = vector_of(one);
        const auto y = vector_of(two);
        const auto both = x.meet(y);
        const auto rest = x.beyond(y);
        RC_ASSERT(both == y.meet(x));
        RC_ASSERT(codec::decode<version_vector>(codec::encode(both)) == both);  // no zeros in it
        for (std::uint32_t writer = 0; writer < 5; ++writer) {
            const origin o{writer};
            RC_ASSERT(both.at(o) == std::min(x.at(o), y.at(o)));
            RC_ASSERT(rest.at(o) == (x.at(o) > y.at(o) ? x.at(o) : 0U));
        }
        auto all = both;
        all.join(rest);
        RC_ASSERT(all == x);
        RC_ASSERT(rest.empty() == y.covers(x));
    });
}

TEST_CASE("a version vector knows all transactions up to a sequence") {
    version_vector v;
    CHECK(v.empty());
    CHECK(v.at(a) == 0);
    v.join(dot{b, 3});
    v.join(dot{a, 1});
    v.join(dot{b, 2});
    v.join(dot{c, 0});
    CHECK(v.size() == 2);
    CHECK(v.at(a) == 1);
    CHECK(v.at(b) == 3);
    CHECK(v.covers(dot{b, 3}));
    CHECK_FALSE(v.covers(dot{b, 4}));
    CHECK_FALSE(v.covers(dot{c, 1}));
    CHECK(v.begin()->first == a);
}

TEST_CASE("joining version vectors gives the least that covers both") {
    using dots = std::vector<std::pair<std::uint8_t, std::uint8_t>>;
    test::check_property("semilattice", [](const dots& x, const dots& y, const dots& z) {
        const auto vx = vector_of(x);
        const auto vy = vector_of(y);
        const auto vz = vector_of(z);
        auto xy = vx;
        xy.join(vy);
        auto yx = vy;
        yx.join(vx);
        RC_ASSERT(xy == yx);
        RC_ASSERT(xy.covers(vx) && xy.covers(vy));
        auto xy_z = xy;
        xy_z.join(vz);
        auto yz = vy;
        yz.join(vz);
        auto x_yz = vx;
        x_yz.join(yz);
        RC_ASSERT(xy_z == x_yz);
        auto twice = xy;
        twice.join(xy);
        RC_ASSERT(twice == xy);
        if (vz.covers(vx) && vz.covers(vy)) RC_ASSERT(vz.covers(xy));
        RC_ASSERT((vx.covers(vy) && vy.covers(vx)) == (vx == vy));
        RC_ASSERT(codec::decode<version_vector>(codec::encode(xy)) == xy);
    });
}

TEST_CASE("a version vector with a zero in it is malformed") {
    const auto decoded = [](std::string_view bytes) { return codec::decode<version_vector>(bytes); };
    CHECK(decoded(std::string_view("\x01\x00\x01", 3)));
    CHECK_FALSE(decoded(std::string_view("\x01\x00\x00", 3)));
    CHECK_FALSE(decoded(std::string_view("\x02\x00\x01", 3)));
    CHECK(decoded(std::string_view("\x02\x01\x05\x00\x07", 5)) == vector_of({{0, 7}, {1, 5}}));
}

TEST_CASE("replicas get numbers in the order in which they are met") {
    origin_table table;
    replica_id one;
    replica_id two;
    two.incarnation = 1;
    CHECK(table.size() == 0);
    CHECK_FALSE(table.find(one));
    CHECK(table.intern(two) == a);
    CHECK(table.intern(one) == b);
    CHECK(table.intern(two) == a);
    CHECK(table.find(one) == b);
    const auto& kept = table.id(a);
    for (std::uint32_t i = 2; i < 1000; ++i) {
        replica_id other;
        other.incarnation = i;
        table.intern(other);
    }
    CHECK(kept == two);  // references stay
    CHECK(&kept == &table.id(a));
    CHECK(table.size() == 1000);
}

TEST_CASE("timestamps only go up, whatever the wall clock does") {
    auto wall = 1'000ms;
    hybrid_clock clock([&] { return wall; });
    const auto first = clock.next();
    CHECK(first == timestamp::from(1'000ms));
    CHECK(clock.next() == timestamp::from(1'000ms, 1));
    wall = 400ms;  // set back
    CHECK(clock.next() == timestamp::from(1'000ms, 2));
    wall = 2'000ms;
    CHECK(clock.next() == timestamp::from(2'000ms));
    CHECK(clock.last() == timestamp::from(2'000ms));
}

TEST_CASE("a full counter carries into the milliseconds") {
    hybrid_clock clock([] { return 1'000ms; });
    clock.observe(timestamp::from(1'000ms, UINT16_MAX));
    CHECK(clock.next() == timestamp::from(1'001ms, 0));
    CHECK(clock.next() == timestamp::from(1'001ms, 1));
}

TEST_CASE("what was observed is in the past") {
    hybrid_clock clock([] { return 1'000ms; });
    clock.observe(timestamp::from(9'000ms, 3));
    clock.observe(timestamp::from(8'000ms));
    CHECK(clock.next() == timestamp::from(9'000ms, 4));
}

TEST_CASE("no two threads get the same timestamp") {
    hybrid_clock clock([] { return 1'000ms; });
    std::vector<std::vector<timestamp>> got(4);
    {
        std::vector<std::jthread> threads;
        for (auto& mine : got) {
            threads.emplace_back([&] {
                for (int i = 0; i < 5'000; ++i) mine.push_back(clock.next());
            });
        }
    }
    std::vector<timestamp> all;
    for (const auto& mine : got) {
        CHECK(std::ranges::is_sorted(mine));
        all.insert(all.end(), mine.begin(), mine.end());
    }
    std::ranges::sort(all);
    CHECK(std::ranges::adjacent_find(all) == all.end());
}
