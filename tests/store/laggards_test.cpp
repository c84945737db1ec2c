// Members that lag: who names them, for how long, and what they may not do.
#include <anabranch/session.hpp>

#include "store/bucket_state.hpp"
#include "store/store_state.hpp"
#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using namespace std::chrono_literals;
using test::advertise;
using test::log_keys;
using test::meet;
using test::share;
using test::transfer;

namespace {

/// A transaction of about 150 bytes.
void write(bucket at, int n) {
    REQUIRE(at.commit([&](transaction& tx) {
        tx.last_writer<std::string>("l" + std::to_string(n % 10)).set(std::string(100, 'x'));
    }));
}
member_status status(const bucket& at, const store& who) {
    for (const auto& m : at.members()) {
        if (m.id == who.id()) return m;
    }
    FAIL("not a member");
    return {};
}
store_options retaining(const std::shared_ptr<test::world>& w, std::uint64_t bytes) {
    auto o = test::options(w);
    o.log_retain_bytes = bytes;
    return o;
}
store_options limited(const std::shared_ptr<test::world>& w, std::uint64_t bytes, std::chrono::milliseconds age = {}) {
    auto o = retaining(w, 0);
    o.log_limit_bytes = bytes;
    o.log_limit_age = age;
    return o;
}

/// Ada is the authority; the log of each is cut as its options say.
struct three_stores {
    explicit three_stores(const store_options& a_options, const store_options& b_options, const store_options& e_options)
        : ada(store::in_memory(a_options).value()),
          bob(store::in_memory(b_options).value()),
          eve(store::in_memory(e_options).value()) {
        share(ada, {&bob, &eve});
    }

    store ada;
    store bob;
    store eve;
    bucket a = ada.create_bucket("b").value();
    bucket b = bob.bucket("b").value();
    bucket e = eve.bucket("b").value();

    /// So many transactions, and bob keeps up.
    void grow(const bucket& at, int transactions) {
        for (int i = 0; i < transactions; ++i) {
            write(at, i);
            if (i % 5 == 4) meet({&ada, &bob});
        }
    }
};

}  // namespace

TEST_CASE("who lags is named once, and stays so until it has what was cut") {
    auto world = std::make_shared<test::world>();
    three_stores s(limited(world, 4'000), retaining(world, 0), retaining(world, 0));
    for (int rounds = 0; !status(s.a, s.eve).is_laggard; ++rounds) {
        REQUIRE(rounds < 10);
        CHECK(log_keys(s.ada) == log_keys(s.bob));  // nothing is cut yet
        s.grow(s.a, 5);
    }
    CHECK_FALSE(status(s.a, s.bob).is_laggard);
    CHECK_FALSE(status(s.a, s.ada).is_laggard);
    CHECK(status(s.b, s.eve).is_laggard);
    CHECK(log_keys(s.ada) < log_keys(s.bob));  // bob has room
    const auto progress = s.a.progress();
    for (int i = 0; i < 3; ++i) meet({&s.ada, &s.bob});
    CHECK(s.a.progress() == progress);
    CHECK(status(s.a, s.eve).is_laggard);
    // Then bob gives it everything, and ada hears of it.
    meet({&s.bob, &s.eve});
    meet({&s.ada, &s.bob, &s.eve});
    CHECK_FALSE(status(s.a, s.eve).is_laggard);
}

TEST_CASE("a laggard cuts nothing early itself") {
    auto world = std::make_shared<test::world>();
    three_stores s(limited(world, 2'000), retaining(world, 0), limited(world, 2'000));
    s.grow(s.a, 30);
    REQUIRE(status(s.b, s.eve).is_laggard);
    // From bob, who still has everything, it gets that; ada and bob have told it what they have.
    REQUIRE(transfer(s.b, s.e));
    REQUIRE(status(s.e, s.eve).is_laggard);
    for (int i = 0; i < 40; ++i) write(s.e, i);
    advertise(s.ada, s.eve);
    for (int i = 0; i < 3; ++i) REQUIRE(s.eve.sync());
    // bob has told nothing: ada and eve alone would not be enough to cut anything.
    std::size_t all = 0;
    for (const auto& entry : s.e.progress()) all += entry.sequence;
    CHECK(log_keys(s.eve) == all);
}
