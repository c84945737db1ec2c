#include "support/catch.hpp"
#include "transport/node.hpp"

using namespace anabranch;
using namespace anabranch::test;

TEST_CASE("two replicas exchange what each has, then push what is committed") {
    node cloud;
    cloud.add_many("cloud", 500);
    node edge(peers({cloud.endpoint()}));
    edge.add_many("edge", 500);
    CHECK(converge({&cloud, &edge}, 1000));
    CHECK(eventually([&] { return edge.is_live(cloud.endpoint()); }));

    edge.add("from edge");
    CHECK(eventually([&] { return cloud.has("from edge"); }));
    cloud.add("from cloud");
    CHECK(eventually([&] { return edge.has("from cloud"); }));

    const auto status = edge.status(cloud.endpoint());
    CHECK_FALSE(status.accepted);
    CHECK(status.id == cloud.local().id());
    CHECK(status.sessions == 1);
    CHECK_FALSE(status.last_error);
    const auto accepted = cloud.replica().peers();
    REQUIRE(accepted.size() == 1);
    CHECK(accepted[0].accepted);
    CHECK(accepted[0].connected);
    CHECK(accepted[0].id == edge.local().id());
}

TEST_CASE("a commit crosses a chain") {
    node first;
    node second(peers({first.endpoint()}));
    node third(peers({second.endpoint()}));
    node fourth(peers({third.endpoint()}));
    first.add_many("first", 50);
    fourth.add_many("fourth", 50);
    CHECK(converge({&first, &second, &third, &fourth}, 100));
}

TEST_CASE("a star converges through its centre") {
    node centre;
    node a(peers({centre.endpoint()}));
    node b(peers({centre.endpoint()}));
    node c(peers({centre.endpoint()}));
    a.add_many("a", 50);
    b.add_many("b", 50);
    c.add_many("c", 50);
    CHECK(converge({&centre, &a, &b, &c}, 150));
}

TEST_CASE("a mesh converges") {
    node a;
    node b(peers({a.endpoint()}));
    node c(peers({a.endpoint(), b.endpoint()}));
    node d(peers({a.endpoint(), b.endpoint(), c.endpoint()}));
    for (int i = 0; i < 50; ++i) {
        const auto number = std::to_string(i);
        a.add("a" + number);
        b.add("b" + number);
        c.add("c" + number);
        d.add("d" + number);
    }
    CHECK(converge({&a, &b, &c, &d}, 200));
}

TEST_CASE("two replicas that connect to each other keep one connection") {
    node a;
    node b(peers({a.endpoint()}));
    REQUIRE(a.replica().connect(b.endpoint()));

    // Each shows the other once, whichever side's connection stays.
    const auto settled = [](node& here, node& there) {
        const auto shown = here.replica().peers();
        return shown.size() == 1 && shown[0].endpoint == there.endpoint() && shown[0].connected &&
               shown[0].phase == session_phase::live && shown[0].id == there.local().id();
    };
    CHECK(eventually([&] { return settled(a, b) && settled(b, a); }));
    // Of the connection that stays, one end has been accepted and the other not.
    CHECK(eventually([&] {
        return a.status(b.endpoint()).accepted != b.status(a.endpoint()).accepted && settled(a, b) &&
               settled(b, a);
    }));

    // Whoever restarts, they find each other again.
    a.restart();
    a.add("after a's restart");
    CHECK(eventually([&] { return b.has("after a's restart"); }));
    b.restart();
    b.add("after b's restart");
    CHECK(eventually([&] { return a.has("after b's restart"); }));
}

TEST_CASE("two endpoints of one replica share one connection") {
    node a;
    const auto alias = "localhost:" + std::to_string(a.replica().port());
    node b(peers({a.endpoint(), alias}));
    CHECK(eventually([&] { return b.is_live(a.endpoint()) != b.is_live(alias); }));
    a.add("x");
    CHECK(eventually([&] { return b.has("x"); }));
}

TEST_CASE("a replica that is told to connect to itself says so") {
    node alone;
    REQUIRE(alone.replica().connect(alone.endpoint()));
    CHECK(eventually([&] {
        const auto status = alone.status(alone.endpoint());
        return status.last_error && status.last_error->code == errc::self_connection;
    }));
}

TEST_CASE("peers come and go while it runs") {
    node a;
    node b;
    a.add("1");
    REQUIRE(b.replica().connect(a.endpoint()));
    REQUIRE(b.replica().connect(a.endpoint()));
    CHECK(b.replica().peers().size() == 1);
    CHECK(eventually([&] { return b.has("1"); }));

    b.replica().disconnect(a.endpoint());
    CHECK(b.replica().peers().empty());
    CHECK(eventually([&] { return a.replica().peers().empty(); }));
    a.add("2");
    REQUIRE(b.replica().connect(a.endpoint()));
    CHECK(eventually([&] { return b.has("2"); }));
    b.replica().disconnect("nobody:1");
}

TEST_CASE("a peer that restarts is found again, on the same port") {
    node cloud;
    node edge(peers({cloud.endpoint()}));
    edge.add("before");
    CHECK(eventually([&] { return cloud.has("before"); }));
    for (int i = 0; i < 3; ++i) {
        cloud.stop();
        edge.add("meanwhile" + std::to_string(i));
        CHECK(eventually([&] { return edge.status(cloud.endpoint()).last_error.has_value(); }));
        cloud.restart();
        CHECK(eventually([&] { return cloud.has("meanwhile" + std::to_string(i)); }));
    }
    CHECK(eventually([&] { return edge.is_live(cloud.endpoint()); }));
    CHECK_FALSE(edge.status(cloud.endpoint()).last_error);
    CHECK(edge.status(cloud.endpoint()).sessions >= 4);
}
