// Replicas that hold the same, and one of which wants to be let in; closures that sync.
#include <anabranch/session.hpp>

#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using test::talk;

TEST_CASE("who joins is let in also where there is nothing else to exchange") {
    auto world = std::make_shared<test::world>();
    auto ada = test::memory_store(world);
    auto bob = test::memory_store(world);
    auto a = ada.create_bucket("b").value();
    auto b = bob.bucket("b", participation::reader).value();
    REQUIRE(ada.sync());
    CHECK_FALSE(talk(ada, bob).one);
    REQUIRE(bob.bucket("b"));  // and now as a member
    CHECK_FALSE(talk(ada, bob).one);
    CHECK(b.is_member());
}

TEST_CASE("who joins a bucket whose founding is not on disk yet is let in in the same session") {
    auto world = std::make_shared<test::world>();
    auto ada = test::memory_store(world);
    auto bob = test::memory_store(world);
    REQUIRE(ada.create_bucket("b"));
    auto b = bob.bucket("b").value();
    CHECK_FALSE(talk(ada, bob).one);
    CHECK(b.is_member());
}

TEST_CASE("a sync to disk does not wait for a closure, also where there are duties") {
    auto s = test::memory_store();
    auto a = s.create_bucket("a").value();
    REQUIRE(a.commit([&](transaction& tx) {
        tx.counter("c").add(1);
        CHECK(s.sync());
    }));
}
