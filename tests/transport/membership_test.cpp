// Joining, reading only, leaving, being retired: over sockets.
#include <algorithm>

#include "support/catch.hpp"
#include "transport/node.hpp"

using namespace anabranch;
using namespace anabranch::test;
using namespace std::chrono_literals;

namespace {

/// A replica of a bucket that it has still to found or to join.
struct instance {
    instance(bool founds, replica_options options, participation as = participation::member)
        : local(store::in_memory().value()),
          shop(founds ? local.create_bucket("shop").value() : local.bucket("shop", as).value()),
          running(local, with_listener(std::move(options))) {
        REQUIRE(running.start());
    }

    static replica_options with_listener(replica_options options) {
        options.listen = "127.0.0.1:0";
        options.backoff_min = 1ms;
        options.backoff_max = 20ms;
        options.session.adverts = 1ms;
        return options;
    }

    std::string endpoint() const { return "127.0.0.1:" + std::to_string(running.port()); }
    result<void> sell() {
        return shop.commit([](transaction& tx) { tx.counter("sold").add(1); });
    }
    std::int64_t sold() const {
        return shop.read([](const map_view& view) { return view.counter("sold").value(); }).value();
    }
    member_status member(const replica_id& id) const {
        const auto all = shop.members();
        const auto found = std::find_if(all.begin(), all.end(), [&](const auto& m) { return m.id == id; });
        return found == all.end() ? member_status{} : *found;
    }
    /// Why the session with its only peer has ended.
    std::optional<errc> failure() const {
        const auto all = running.peers();
        if (all.empty() || !all.front().last_error) return std::nullopt;
        return all.front().last_error->code;
    }

    store local;
    bucket shop;
    replica running;
};

}  // namespace

TEST_CASE("a replica that opens a bucket is let in when it meets a member, and writes from then on") {
    instance cloud(true, {});
    REQUIRE(cloud.sell());
    instance edge(false, peers({cloud.endpoint()}));
    CHECK(eventually([&] { return edge.shop.is_member(); }));
    CHECK(edge.sold() == 1);
    REQUIRE(edge.sell());
    CHECK(eventually([&] { return cloud.sold() == 2; }));
    CHECK(edge.shop.authority() == cloud.local.id());
    CHECK(edge.shop.members().size() == 2);
}

TEST_CASE("before it is let in a replica cannot write") {
    instance edge(false, {});
    const auto refused = edge.sell();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::not_a_member);

    // It is let in by whichever side has called.
    instance cloud(true, peers({edge.endpoint()}));
    CHECK(eventually([&] { return edge.shop.is_member(); }));
    REQUIRE(edge.sell());
    CHECK(eventually([&] { return cloud.sold() == 1; }));
}

TEST_CASE("replicas that wait together are let in one through the other") {
    instance first(false, {});
    instance second(false, peers({first.endpoint()}));
    CHECK(eventually([&] { return second.running.peers()[0].phase == session_phase::live; }));
    instance cloud(true, peers({first.endpoint()}));
    CHECK(eventually([&] { return first.shop.is_member() && second.shop.is_member(); }));
}

TEST_CASE("one sync is enough to be let in") {
    instance cloud(true, {});
    for (int i = 0; i < 20; ++i) {
        instance edge(false, {});
        REQUIRE(edge.running.sync_once(cloud.endpoint()));
        CHECK(edge.shop.is_member());
    }
}

TEST_CASE("a reader that becomes a member while it is connected is let in") {
    instance cloud(true, {});
    instance copy(false, peers({cloud.endpoint()}), participation::reader);
    REQUIRE(cloud.sell());
    CHECK(eventually([&] { return copy.sold() == 1; }));
    REQUIRE(copy.local.bucket("shop"));
    CHECK(eventually([&] { return copy.shop.is_member(); }));
}

TEST_CASE("a reader gets everything, and nobody waits for it") {
    instance cloud(true, {});
    instance copy(false, peers({cloud.endpoint()}), participation::reader);
    REQUIRE(cloud.sell());
    CHECK(eventually([&] { return copy.sold() == 1; }));
    CHECK_FALSE(copy.shop.is_member());
    CHECK(copy.sell().error().code == errc::not_a_member);
    CHECK(cloud.shop.members().size() == 1);
}

TEST_CASE("two buckets of one name do not mix") {
    instance cloud(true, {});
    instance other(true, peers({cloud.endpoint()}));
    REQUIRE(cloud.sell());
    CHECK(eventually([&] { return other.failure() == errc::foreign_bucket; }));
    CHECK(other.sold() == 0);
}

TEST_CASE("members hear what each other has, also through a third one") {
    instance cloud(true, {});
    instance middle(false, peers({cloud.endpoint()}));
    REQUIRE(eventually([&] { return middle.shop.is_member(); }));
    instance edge(false, peers({middle.endpoint()}));
    CHECK(eventually([&] { return edge.shop.is_member(); }));
    REQUIRE(edge.sell());
    CHECK(eventually([&] { return cloud.sold() == 1 && cloud.member(edge.local.id()).lag == 0; }));
    CHECK(cloud.member(edge.local.id()).stage == member_stage::joined);
    edge.running.stop();
    REQUIRE(cloud.sell());
    CHECK(eventually([&] { return middle.sold() == 2 && cloud.member(middle.local.id()).lag == 0; }));
    CHECK(cloud.member(edge.local.id()).lag == 1);
}

TEST_CASE("a member that was retired sets aside what does not count, comes back, and is let in") {
    instance cloud(true, {});
    instance third(false, peers({cloud.endpoint()}));
    instance edge(false, {});
    REQUIRE(edge.running.connect(cloud.endpoint()));
    CHECK(eventually([&] { return edge.shop.is_member() && third.shop.is_member(); }));
    REQUIRE(edge.sell());
    CHECK(eventually([&] { return third.sold() == 1; }));
    edge.running.disconnect(cloud.endpoint());
    CHECK(eventually([&] { return cloud.running.peers().size() == 1; }));
    REQUIRE(edge.sell());

    const auto id = edge.local.id();
    CHECK(third.shop.retire(id).error().code == errc::not_the_authority);
    REQUIRE(cloud.shop.retire(id));
    CHECK(eventually([&] { return cloud.member(id).stage == member_stage::retired; }));
    CHECK(eventually([&] { return third.member(id).stage == member_stage::retired; }));

    REQUIRE(cloud.sell());
    REQUIRE(edge.running.connect(cloud.endpoint()));
    CHECK(eventually([&] { return edge.shop.is_member() && edge.local.id() != id; }));
    CHECK(edge.member(id).stage == member_stage::retired);
    CHECK(edge.sold() == 2);
    CHECK(edge.shop.orphans().value().size() == 1);
    REQUIRE(edge.sell());
    CHECK(eventually([&] { return third.sold() == 3; }));
    CHECK(cloud.sold() == 3);
}

TEST_CASE("who has left writes no more, and comes along no more") {
    instance cloud(true, {});
    instance edge(false, peers({cloud.endpoint()}));
    CHECK(eventually([&] { return edge.shop.is_member(); }));
    REQUIRE(edge.sell());
    REQUIRE(edge.shop.leave());
    CHECK(edge.sell().error().code == errc::not_a_member);
    CHECK(eventually([&] { return cloud.member(edge.local.id()).stage == member_stage::left; }));
    CHECK(cloud.sold() == 1);
    REQUIRE(cloud.sell());
    CHECK(eventually([&] { return edge.sold() == 2; }));
}

TEST_CASE("a holder of a part gets that, and other paths, by one sync each, and what happens in them as it does") {
    instance cloud(true, {});
    const auto set = [&](const std::string& map, const std::string& value) {
        REQUIRE(cloud.shop.commit([&](transaction& tx) { tx.map(map).last_writer<std::string>("l").set(value); }));
    };
    set("stock", "3");
    set("prices", "10");
    const std::vector<field> stock{{"stock", field_type::map}};
    const std::vector<field> prices{{"prices", field_type::map}};
    auto local = store::in_memory().value();
    auto kiosk = local.bucket_part("shop", {prices}).value();
    replica running(local, instance::with_listener({}));
    REQUIRE(running.start());
    const auto shown = [&](const std::string& map) {
        return kiosk.read([&](const map_view& m) { return m.map(map).last_writer<std::string>("l").get(); });
    };
    const auto report = running.sync_once(cloud.endpoint());
    REQUIRE(report);
    CHECK(report->totals.rows_received == 1);
    CHECK(shown("prices").value() == "10");
    CHECK(shown("stock").error().code == errc::not_held);

    REQUIRE(local.bucket_part("shop", {prices, stock}));
    REQUIRE(running.sync_once(cloud.endpoint()));
    CHECK(shown("stock").value() == "3");
    REQUIRE(running.connect(cloud.endpoint()));
    for (const auto* value : {"11", "12", "13"}) {
        set("prices", value);
        CHECK(eventually([&] { return shown("prices").value() == value; }));
    }
    CHECK(eventually([&] { return kiosk.digest(prices).value() == cloud.shop.digest(prices).value(); }));
}
