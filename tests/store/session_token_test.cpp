// Session tokens: what is in them, what they tell elsewhere, waiting.
#include <thread>

#include "store/bucket_state.hpp"
#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using test::exchange;
using test::memory_store;
using test::share;

namespace {

transaction_id write(store& s) {
    return s.bucket("b")
        ->commit([](transaction& tx) {
            tx.counter("c").add(1);
            return result<transaction_id>(tx.id());
        })
        .value();
}

struct shop {
    std::shared_ptr<test::world> world = std::make_shared<test::world>();
    store cloud = memory_store(world);
    store edge = memory_store(world);

    shop() { share(cloud, {&edge}); }
};

}  // namespace

TEST_CASE("a token tells elsewhere how much of what its session has seen is missing") {
    shop s;
    session_token session;
    CHECK(session.empty());
    CHECK(s.cloud.bucket("b")->missing(session) == 0);
    for (int i = 0; i < 3; ++i) session.add(write(s.edge));
    CHECK(s.edge.bucket("b")->missing(session) == 0);
    const auto text = s.edge.bucket("b")->seal(session).value();
    CHECK(text.size() <= 28);  // fits any header
    const auto read = s.cloud.bucket("b")->unseal(text).value();
    CHECK(read == session);
    CHECK(s.cloud.bucket("b")->missing(read) == 3);
    write(s.edge);  // is not the session's
    exchange(s.cloud, s.edge);
    CHECK(s.cloud.bucket("b")->missing(read) == 0);
}

TEST_CASE("a token of all that an instance has covers what others did there, too") {
    shop s;
    write(s.edge);
    exchange(s.cloud, s.edge);
    write(s.cloud);
    session_token session;
    session.add(s.cloud.bucket("b")->progress());
    CHECK(s.edge.bucket("b")->missing(session) == 1);
    session_token both;
    both.add(write(s.edge));
    both.add(session);
    CHECK(s.edge.bucket("b")->missing(both) == 1);
    CHECK(s.cloud.bucket("b")->missing(both) == 1);
}

TEST_CASE("session tokens that are damaged, forged or of another bucket are refused") {
    shop s;
    REQUIRE(s.cloud.create_bucket("other"));
    session_token session;
    session.add(write(s.cloud));
    const auto b = s.cloud.bucket("b").value();
    const auto text = b.seal(session).value();
    const auto refused = [&](const bucket& where, std::string_view token) {
        const auto read = where.unseal(token);
        return !read && read.error().code == errc::invalid_token;
    };
    for (std::size_t n = 0; n < text.size(); ++n) CHECK(refused(b, text.substr(0, n)));
    for (std::size_t n = 0; n < text.size(); ++n) {
        auto forged = text;
        forged[n] = forged[n] == 'A' ? 'B' : 'A';
        CHECK(refused(b, forged));
    }
    CHECK(refused(b, text + "AAAA"));
    CHECK(refused(b, ""));
    CHECK(refused(b, b.watch()->token().value()));
    CHECK(refused(s.cloud.bucket("other").value(), text));
    auto stranger = memory_store(s.world);
    CHECK(stranger.bucket("b")->unseal(text).error().code == errc::not_a_member);
    CHECK(stranger.bucket("b")->missing(session) == session.seen().begin()->second);
}

TEST_CASE("what a retired replica did and does not count will never be there") {
    shop s;
    session_token counted;
    counted.add(write(s.edge));
    exchange(s.cloud, s.edge);
    session_token lost;
    lost.add(write(s.edge));
    REQUIRE(s.cloud.bucket("b")->retire(s.edge.id()));
    for (int i = 0; i < 3; ++i) REQUIRE(s.cloud.sync());
    CHECK(s.cloud.bucket("b")->missing(counted) == 0);
    const auto never = s.cloud.bucket("b")->missing(lost);
    REQUIRE_FALSE(never);
    CHECK(never.error().code == errc::retired);
    CHECK(s.cloud.bucket("b")->wait_for(lost, std::chrono::hours{1}).error().code == errc::retired);
}

TEST_CASE("waiting ends when the time is up or all is there") {
    shop s;
    session_token session;
    session.add(write(s.edge));
    const auto b = s.cloud.bucket("b").value();
    CHECK(b.wait_for({}, std::chrono::hours{1}) == 0);
    CHECK(b.wait_for(session, std::chrono::milliseconds{0}) == 1);
    CHECK(b.wait_for(session, std::chrono::milliseconds{1}) == 1);
    REQUIRE(s.edge.sync());
    const auto from = s.edge.bucket("b").value();
    // Without the checks of the others: those are for one thread.
    std::thread arriving([&] { (void)test::transfer(from, b); });
    const auto left = b.wait_for(session, std::chrono::milliseconds::max());
    arriving.join();
    CHECK(left == 0);
}

TEST_CASE("from inside a closure of the bucket a token is neither made nor looked at") {
    shop s;
    const auto b = s.cloud.bucket("b").value();
    REQUIRE(b.read([&](const map_view&) {
        CHECK(b.seal({}).error().code == errc::nested_transaction);
        CHECK(b.missing({}).error().code == errc::nested_transaction);
    }));
}
