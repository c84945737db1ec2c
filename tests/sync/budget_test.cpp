#include "sync/budget.hpp"

#include <limits>
#include <random>

#include "support/catch.hpp"

using namespace anabranch;
using sync::budget;
using std::chrono::milliseconds;

namespace {

constexpr auto second = milliseconds{1'000};
constexpr auto day = milliseconds{24 * 60 * 60 * 1'000};

}  // namespace

TEST_CASE("without a rate a budget limits nothing") {
    for (const auto bytes : {std::uint64_t{0}, UINT64_MAX}) {
        budget b({.bytes = bytes, .burst = 1, .left = -1'000}, milliseconds{5});
        b.spend(1'000'000);
        b.advance(milliseconds{6});
        CHECK_FALSE(b.is_limited());
        CHECK(b.left() == INT64_MAX);
        CHECK(b.left(-1) == INT64_MAX);
        CHECK(b.wait(-1, SIZE_MAX).count() == 0);
        CHECK(b.time_for(1'000).count() == 0);
    }
}

TEST_CASE("a budget keeps what is not used up to its burst, and remembers debts") {
    budget b({.bytes = 2'000, .burst = 5'000}, second);
    CHECK(b.left() == 5'000);
    b.advance(10 * second);
    CHECK(b.left() == 5'000);
    b.spend(6'000);
    CHECK(b.left() == -1'000);
    b.advance(10 * second + milliseconds{250});
    CHECK(b.left() == -500);
    b.advance(9 * second);  // back it does not go
    CHECK(b.left() == -500);
    b.advance(11 * second);
    CHECK(b.left() == 1'000);
}

TEST_CASE("a budget says how long there is no room") {
    budget b({.bytes = 2'000, .burst = 50'000, .left = 0}, milliseconds{0});
    CHECK(b.wait(0, SIZE_MAX) == second);  // what a second brings
    CHECK(b.wait(0, 100) == milliseconds{50});
    b.advance(second - milliseconds{1});
    CHECK(b.wait(0, SIZE_MAX) == milliseconds{1});
    b.advance(second);
    CHECK(b.wait(0, SIZE_MAX).count() == 0);
    // At a small rate not less than 1 KiB, unless little fits.
    CHECK(budget({.bytes = 10, .burst = 50'000, .left = 0}, milliseconds{0}).wait(0, SIZE_MAX) == milliseconds{102'400});
    CHECK(budget({.bytes = 10, .burst = 100, .left = 0}, milliseconds{0}).wait(0, SIZE_MAX) == milliseconds{5'000});
}

TEST_CASE("buckets below priority 0 leave the reserve to others") {
    budget b({.bytes = 1'000, .burst = 10'000, .reserve = 6'000}, milliseconds{0});
    CHECK(b.left(0) == 10'000);
    CHECK(b.left(-1) == 4'000);
    b.spend(3'500);
    CHECK(b.wait(1, SIZE_MAX).count() == 0);
    CHECK(b.wait(-1, SIZE_MAX) == milliseconds{524});
    // A reserve of everything still lets them send when it is full.
    CHECK(budget({.bytes = 1'000, .burst = 10'000, .reserve = UINT64_MAX}, milliseconds{0}).wait(-1, SIZE_MAX).count() == 0);
}

TEST_CASE("a quota is a budget with a long period") {
    // 1 MB a month
    budget b({.bytes = 500'000, .period = 30 * day, .burst = 500'000}, milliseconds{0});
    b.spend(500'000);
    b.advance(15 * day);
    CHECK(b.left() == 250'000);
    b.advance(15 * day + milliseconds{5'184});  // which bring one byte
    CHECK(b.left() == 250'001);
    b.advance(400 * day);
    CHECK(b.left() == 500'000);
    // After a restart it goes on with what was left.
    CHECK(budget({.bytes = 500'000, .period = 30 * day, .burst = 500'000, .left = 7}, milliseconds{0}).left() == 7);
}

TEST_CASE("in whatever steps time passes, the same comes in") {
    std::mt19937_64 random(7);
    for (int i = 0; i < 2'000; ++i) {
        const std::uint64_t bytes = 1 + random() % (std::uint64_t{1} << random() % 24);
        const std::uint64_t period = 1 + random() % (std::uint64_t{1} << random() % 35);
        const std::int64_t debt = std::int64_t{1} << 55;
        budget b({.bytes = bytes, .period = milliseconds{static_cast<std::int64_t>(period)}, .left = -debt}, milliseconds{0});
        std::int64_t now = 0;
        for (auto steps = random() % 50; steps > 0; --steps) {
            now += static_cast<std::int64_t>(random() % (std::uint64_t{1} << random() % 20));
            b.advance(milliseconds{now});
        }
        const auto clamped = std::min<std::uint64_t>(period, 366ULL * 24 * 60 * 60 * 1'000);
        const auto expected = static_cast<std::int64_t>(static_cast<std::uint64_t>(now) * bytes / clamped);
        INFO(bytes << " in " << period << " ms, for " << now << " ms");
        REQUIRE(b.left() == expected - debt);
    }
}

TEST_CASE("impossible budgets are made possible ones") {
    const auto times = {milliseconds::min(), milliseconds{-1}, milliseconds{0}, milliseconds{1}, milliseconds::max()};
    for (const auto bytes : {std::uint64_t{1}, UINT64_MAX - 1}) {
        for (const auto period : times) {
            for (const auto burst : {std::uint64_t{0}, UINT64_MAX}) {
                for (const auto left : {INT64_MIN, INT64_MAX}) {
                    budget b({bytes, period, burst, UINT64_MAX, left}, milliseconds{0});
                    REQUIRE(b.is_limited());
                    b.spend(UINT64_MAX);
                    for (int i = 0; i < 3; ++i) {
                        b.spend(UINT64_MAX);
                        CHECK(b.left() < 0);
                        CHECK(b.wait(-1, 0).count() > 0);
                        CHECK(b.wait(0, SIZE_MAX) <= 366 * day);
                    }
                    b.advance(milliseconds::max());
                    CHECK(b.left() >= INT64_MIN / 4);
                    CHECK(b.left() <= INT64_MAX / 4);
                }
            }
        }
    }
    // The least burst is one byte, which lets one transaction after the other go.
    budget b({.bytes = 1'000, .burst = 0}, milliseconds{0});
    CHECK(b.left() == 1);
    CHECK(b.wait(0, SIZE_MAX).count() == 0);
    b.spend(1);
    CHECK(b.wait(0, SIZE_MAX) == milliseconds{1});
}
