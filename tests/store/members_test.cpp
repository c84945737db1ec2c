// Who may write in a bucket: founding, letting in, leaving, retiring.
#include <anabranch/session.hpp>

#include "store/bucket_state.hpp"
#include "store/stores.hpp"
#include "support/borrowed_engine.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using test::add;
using test::count;
using test::share;
using test::talk;
using test::transfer;

namespace {

member_status status(const bucket& at, const replica_id& who) {
    for (const auto& m : at.members()) {
        if (m.id == who) return m;
    }
    FAIL("not a member");
    return {};
}
errc code(const result<void>& r) { return r ? errc{} : r.error().code; }
std::uint64_t own(const store& s, const bucket& at) {
    for (const auto& entry : at.progress()) {
        if (entry.origin == s.id()) return entry.sequence;
    }
    return 0;
}

struct three_stores {
    std::shared_ptr<test::world> world = std::make_shared<test::world>();
    store ada = test::memory_store(world);
    store bob = test::memory_store(world);
    store eve = test::memory_store(world);
    bucket a = ada.create_bucket("b").value();
    bucket b = bob.bucket("b").value();
    bucket e = eve.bucket("b").value();

    three_stores() { share(ada, {&bob, &eve}); }
};

}  // namespace

TEST_CASE("a bucket is founded once; its creator is first member and authority") {
    auto s = test::memory_store();
    auto b = s.create_bucket("b").value();
    REQUIRE(b.progress().size() == 1);
    CHECK(b.is_member());
    CHECK(b.authority() == s.id());
    const auto progress = b.progress();
    CHECK(s.create_bucket("b").value().state() == b.state());
    CHECK(s.bucket("b").value().state() == b.state());
    CHECK(b.progress() == progress);
    REQUIRE(b.members().size() == 1);
    const auto self = b.members().front();
    CHECK(self.id == s.id());
    CHECK(self.stage == member_stage::joined);
    CHECK(self.is_self);
    CHECK(self.is_authority);
    CHECK_FALSE(self.is_laggard);
    CHECK(self.lag == 0);

    // A bucket of that name that came from elsewhere has its founder already.
    auto other = test::memory_store();
    REQUIRE(other.bucket("b"));
    CHECK_FALSE(other.bucket("b")->authority());
    REQUIRE(s.sync());
    REQUIRE(transfer(b, other.bucket("b").value()));
    CHECK(other.create_bucket("b").value().authority() == s.id());
    CHECK(other.bucket("b")->progress() == progress);
    CHECK_FALSE(other.bucket("b")->is_member());
}

TEST_CASE("who joins reads at once, and commits once a member has let it in and it knows") {
    auto world = std::make_shared<test::world>();
    auto ada = test::memory_store(world);
    auto bob = test::memory_store(world);
    auto a = ada.create_bucket("b").value();
    auto b = bob.bucket("b").value();
    REQUIRE(add(a, 5) == errc{});
    CHECK(add(b) == errc::not_a_member);
    REQUIRE(ada.sync());
    REQUIRE(transfer(a, b));
    CHECK(count(b) == 5);
    const auto refused = b.commit([](transaction& tx) { tx.counter("c").add(1); });
    CHECK(refused.error().code == errc::not_a_member);
    CHECK(refused.error().message.find("\"b\"") != std::string::npos);
    CHECK(refused.error().message.find(to_string(bob.id())) != std::string::npos);
    CHECK(own(bob, b) == 0);
    REQUIRE(a.state()->sponsor(bob.id()));
    CHECK(add(b) == errc::not_a_member);
    REQUIRE(ada.sync());
    REQUIRE(transfer(a, b));
    CHECK(b.is_member());
    CHECK(add(b) == errc{});
    // Letting it in again is nothing.
    const auto progress = a.progress();
    REQUIRE(a.state()->sponsor(bob.id()));
    CHECK(a.progress() == progress);
    // Who is none itself lets nobody in.
    auto eve = test::memory_store(world);
    auto e = eve.bucket("b").value();
    CHECK(code(e.state()->sponsor(bob.id())) == errc::not_a_member);
}

TEST_CASE("transactions of a replica that nobody has let in are refused") {
    auto world = std::make_shared<test::world>();
    auto ada = test::memory_store(world);
    auto bob = test::memory_store(world);
    auto a = ada.create_bucket("b").value();
    auto b = bob.create_bucket("b").value();
    REQUIRE(bob.sync());
    const auto before = a.progress();
    CHECK(transfer(b, a).error().code == errc::malformed);
    CHECK(a.progress() == before);
    CHECK(a.authority() == ada.id());
}

TEST_CASE("a member lets in whom it meets, also one that came by another") {
    auto world = std::make_shared<test::world>();
    auto ada = test::memory_store(world);
    auto bob = test::memory_store(world);
    auto eve = test::memory_store(world);
    auto a = ada.create_bucket("b").value();
    auto b = bob.bucket("b").value();
    auto e = eve.bucket("b").value();
    REQUIRE(add(a, 5) == errc{});
    REQUIRE(ada.sync());
    const auto nobody = talk(bob, eve);  // two that both want to
    CHECK_FALSE(nobody.one);
    CHECK_FALSE(b.is_member());
    CHECK_FALSE(talk(ada, bob).one);
    CHECK(b.is_member());
    CHECK_FALSE(talk(bob, eve).one);
    CHECK(e.is_member());
    CHECK(count(e) == 5);
    CHECK(a.members().size() == 2);
    CHECK(e.members().size() == 3);
    CHECK_FALSE(talk(ada, eve).one);
    CHECK(a.members().size() == 3);
    CHECK(a.digest().value() == e.digest().value());
}

TEST_CASE("a reader gets everything and is never let in, until it wants to be a member") {
    auto world = std::make_shared<test::world>();
    auto ada = test::memory_store(world);
    auto bob = test::memory_store(world);
    auto a = ada.create_bucket("b").value();
    auto b = bob.bucket("b", participation::reader).value();
    REQUIRE(add(a, 5) == errc{});
    for (int i = 0; i < 2; ++i) {
        const auto ended = talk(ada, bob);
        CHECK_FALSE(ended.one);
        CHECK_FALSE(ended.other);
        CHECK(count(b) == 5);
        CHECK_FALSE(b.is_member());
        CHECK(a.members().size() == 1);
        CHECK(add(b) == errc::not_a_member);
    }
    REQUIRE(bob.bucket("b"));
    REQUIRE(add(a, 2) == errc{});
    REQUIRE(ada.sync());
    CHECK_FALSE(talk(ada, bob).one);
    CHECK(b.is_member());
    CHECK(add(b) == errc{});
}

TEST_CASE("that a replica only reads a bucket outlives the process") {
    const std::shared_ptr<storage::engine> disk = test::watched_engine(std::make_shared<test::engine_use>());
    auto world = std::make_shared<test::world>();
    auto ada = test::memory_store(world);
    auto a = ada.create_bucket("b").value();
    REQUIRE(ada.sync());
    {
        auto bob = store::on(std::make_unique<test::borrowed_engine>(disk), test::options(world)).value();
        REQUIRE(bob.bucket("b", participation::reader));
    }
    auto bob = store::on(std::make_unique<test::borrowed_engine>(disk), test::options(world)).value();
    CHECK_FALSE(talk(ada, bob).one);
    CHECK(a.members().size() == 1);
}

TEST_CASE("two buckets of one name are told apart, and nothing of the other is taken") {
    auto world = std::make_shared<test::world>();
    auto ada = test::memory_store(world);
    auto bob = test::memory_store(world);
    auto a = ada.create_bucket("b").value();
    auto b = bob.create_bucket("b").value();
    REQUIRE(add(a, 5) == errc{});
    REQUIRE(add(b, 6) == errc{});
    for (auto* s : {&ada, &bob}) REQUIRE(s->sync());
    const auto ended = talk(ada, bob);
    REQUIRE(ended.one);
    REQUIRE(ended.other);
    CHECK(ended.one->code == errc::foreign_bucket);
    CHECK(ended.other->code == errc::foreign_bucket);
    CHECK(ended.one->message.find(to_string(ada.id())) != std::string::npos);
    CHECK(ended.one->message.find(to_string(bob.id())) != std::string::npos);
    CHECK(count(a) == 5);
    CHECK(count(b) == 6);
}

TEST_CASE("who has left does not write, still reads, and is not let in again") {
    three_stores s;
    REQUIRE(add(s.b, 5) == errc{});
    REQUIRE(s.b.leave());
    CHECK_FALSE(s.b.is_member());
    CHECK(add(s.b) == errc::not_a_member);
    CHECK(code(s.b.leave()) == errc::not_a_member);
    CHECK(code(s.b.retire(s.eve.id())) == errc::not_a_member);
    CHECK(code(s.b.take_authority()) == errc::not_a_member);
    CHECK_FALSE(talk(s.ada, s.bob).one);
    CHECK(status(s.a, s.bob.id()).stage == member_stage::left);
    CHECK(count(s.a) == 5);
    REQUIRE(add(s.a, 2) == errc{});
    CHECK_FALSE(talk(s.ada, s.bob).one);
    CHECK(count(s.b) == 7);
    CHECK_FALSE(s.b.is_member());
    CHECK(status(s.a, s.bob.id()).stage == member_stage::left);
    REQUIRE(s.a.retire(s.bob.id()));  // it is gone already
    CHECK(status(s.a, s.bob.id()).stage == member_stage::left);
}

TEST_CASE("only the authority retires others, and any member can become it") {
    three_stores s;
    const auto refused = s.b.retire(s.eve.id());
    CHECK(code(refused) == errc::not_the_authority);
    CHECK(refused.error().message.find(to_string(s.ada.id())) != std::string::npos);
    CHECK(code(s.a.retire(s.ada.id())) == errc::invalid_argument);
    CHECK(code(s.a.retire(test::memory_store(s.world).id())) == errc::not_a_member);
    const auto before = s.a.progress();
    REQUIRE(s.a.take_authority());  // it is
    CHECK(s.a.progress() == before);

    REQUIRE(s.b.take_authority());
    CHECK(s.b.authority() == s.bob.id());
    CHECK(s.a.authority() == s.ada.id());
    test::exchange(s.ada, s.bob);
    CHECK(s.a.authority() == s.bob.id());
    CHECK(status(s.a, s.bob.id()).is_authority);
    CHECK_FALSE(status(s.a, s.ada.id()).is_authority);
    CHECK(code(s.a.retire(s.eve.id())) == errc::not_the_authority);
    CHECK(s.b.retire(s.eve.id()));
    CHECK(status(s.b, s.eve.id()).stage == member_stage::retiring);
}

TEST_CASE("who takes the authority at the same time as another: one of them has it, everywhere") {
    three_stores s;
    REQUIRE(s.b.take_authority());
    REQUIRE(s.e.take_authority());
    test::meet({&s.ada, &s.bob, &s.eve});
    CHECK(s.a.authority() != s.ada.id());
    CHECK(s.b.authority() == s.a.authority());
    CHECK(s.e.authority() == s.a.authority());
}

TEST_CASE("a member is retired once every other has told what it has of it, and all that counts") {
    three_stores s;
    REQUIRE(add(s.e, 5) == errc{});
    REQUIRE(s.eve.sync());
    REQUIRE(transfer(s.e, s.b));  // and then it dies
    REQUIRE(s.a.retire(s.eve.id()));
    CHECK(status(s.a, s.eve.id()).stage == member_stage::retiring);
    // From itself nothing is taken any more, or what the others have told would not be the last.
    const auto late = transfer(s.e, s.a);
    CHECK(late.error().code == errc::retired);
    CHECK(late.error().message.find(to_string(s.eve.id())) != std::string::npos);
    for (int i = 0; i < 3; ++i) REQUIRE(s.ada.sync());
    CHECK(status(s.a, s.eve.id()).stage == member_stage::retiring);
    CHECK(count(s.a) == 0);

    REQUIRE(transfer(s.a, s.b));
    for (int i = 0; i < 2; ++i) REQUIRE(s.bob.sync());
    CHECK(status(s.b, s.eve.id()).stage == member_stage::retiring);
    REQUIRE(transfer(s.b, s.a));  // what bob has of it, and that this is all
    CHECK(count(s.a) == 5);
    REQUIRE(s.ada.sync());
    CHECK(status(s.a, s.eve.id()).stage == member_stage::retired);
    test::exchange(s.ada, s.bob);
    CHECK(status(s.b, s.eve.id()).stage == member_stage::retired);

    // It comes back. What it did since counts nowhere but there.
    REQUIRE(add(s.e, 7) == errc{});
    REQUIRE(s.eve.sync());
    for (const auto& at : {s.a, s.b}) {
        const auto refused = transfer(s.e, at);
        CHECK(refused.error().code == errc::retired);
        CHECK(refused.error().message.find("after its transaction 1") != std::string::npos);
        CHECK(count(at) == 5);
    }
    REQUIRE(transfer(s.a, s.e));
    CHECK(status(s.e, s.eve.id()).stage == member_stage::retired);
    CHECK_FALSE(s.e.is_member());
    const auto told = s.e.commit([](transaction& tx) { tx.counter("c").add(1); });
    CHECK(told.error().code == errc::retired);
}

TEST_CASE("a replica that lost its disk comes back under a new incarnation, and the old one is retired") {
    auto world = std::make_shared<test::world>();
    auto ada = test::memory_store(world);
    auto a = ada.create_bucket("b").value();
    REQUIRE(ada.sync());
    const auto randomness = world->randomness.load();
    replica_id old;
    {
        auto bob = test::memory_store(world);
        old = bob.id();
        REQUIRE(bob.bucket("b"));
        CHECK_FALSE(talk(ada, bob).one);
        REQUIRE(add(bob.bucket("b").value(), 5) == errc{});
        REQUIRE(bob.sync());
        CHECK_FALSE(talk(ada, bob).one);
    }
    world->randomness = randomness;  // the same identity, on an empty disk
    auto bob = test::memory_store(world);
    REQUIRE(bob.id() == old);
    auto b = bob.bucket("b").value();
    const auto ended = talk(ada, bob);
    REQUIRE(ended.one);
    CHECK(ended.one->code == errc::closed);  // it comes again, under its new name
    CHECK(bob.id().incarnation > old.incarnation);
    CHECK(count(b) == 5);
    REQUIRE(add(a, 2) == errc{});
    REQUIRE(ada.sync());
    for (int i = 0; i < 3; ++i) CHECK_FALSE(talk(ada, bob).one);
    CHECK(b.is_member());
    CHECK(add(b, 1) == errc{});
    CHECK(status(a, bob.id()).stage == member_stage::joined);
    CHECK(status(a, old).stage == member_stage::retired);
}
