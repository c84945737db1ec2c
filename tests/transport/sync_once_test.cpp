#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "transport/node.hpp"
#include "transport/relay.hpp"

using namespace anabranch;
using namespace anabranch::test;
using namespace std::chrono_literals;

TEST_CASE("sync_once exchanges everything, reports, and leaves no connection") {
    node cloud;
    node edge;
    cloud.add_many("cloud", 300);
    edge.add_many("edge", 200);
    const auto report = edge.replica().sync_once(cloud.endpoint());
    REQUIRE(report);
    CHECK(edge.size() == 500);
    CHECK(cloud.size() == 500);
    CHECK(edge.digest() == cloud.digest());
    CHECK(report->peer == cloud.local().id());
    CHECK(report->totals.transactions_sent == 201);  // one lets edge in
    CHECK(report->totals.transactions_received == 300);
    CHECK(report->totals.transactions_to_send == 0);
    CHECK(report->totals.transactions_to_receive == 0);
    CHECK(report->totals.bytes_sent > 0);
    CHECK(report->totals.bytes_received > 0);
    CHECK(report->round_trips >= 1);
    CHECK(report->elapsed > 0us);
    CHECK(report->held.empty());
    CHECK(eventually([&] { return cloud.replica().peers().empty(); }));
    CHECK(edge.replica().peers().empty());

    const auto again = edge.replica().sync_once(cloud.endpoint(), {}, std::chrono::milliseconds::max());
    REQUIRE(again);
    CHECK(again->totals.transactions_sent == 0);
    CHECK(again->totals.transactions_received == 0);
    CHECK(again->round_trips <= 2);
}

TEST_CASE("sync_once ends when only what is held remains") {
    store_options ahead;
    ahead.env.now = [now = ahead.env.now] { return now() + 24h; };
    node future({}, ahead);
    node edge;
    node late;
    edge.add("now");
    REQUIRE(edge.replica().sync_once(late.endpoint()));
    future.add("tomorrow");
    const auto report = edge.replica().sync_once(future.endpoint());
    REQUIRE(report);
    REQUIRE(report->held.size() == 1);
    CHECK(report->held[0].bucket == "b");
    CHECK(report->held[0].id.origin == future.local().id());
    CHECK(future.has("now"));
    CHECK_FALSE(edge.has("tomorrow"));

    REQUIRE(edge.local().accept_until(report->held[0].at));
    CHECK(edge.replica().sync_once(future.endpoint())->held.empty());
    CHECK(edge.has("tomorrow"));
}

TEST_CASE("sync_once tells of its progress, and of the end") {
    node cloud;
    node edge;
    cloud.add_many("cloud", 3000);
    std::vector<std::uint64_t> received;
    std::vector<std::chrono::steady_clock::time_point> times;
    const auto report = edge.replica().sync_once(cloud.endpoint(), [&](const sync_progress& progress) {
        received.push_back(progress.transactions_received);
        times.push_back(std::chrono::steady_clock::now());
    });
    REQUIRE(report);
    REQUIRE_FALSE(received.empty());
    CHECK(std::is_sorted(received.begin(), received.end()));
    CHECK(received.back() == 3000);
    for (std::size_t i = 1; i + 1 < times.size(); ++i) CHECK(times[i] - times[i - 1] >= 20ms);
}

TEST_CASE("sync_once says why it cannot") {
    node edge;
    std::string dead;
    {
        node gone;
        dead = gone.endpoint();
    }
    const auto refused = edge.replica().sync_once(dead);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::network);
    CHECK(refused.error().message.find(dead) != std::string::npos);

    CHECK(edge.replica().sync_once("nonsense").error().code == errc::invalid_argument);
    CHECK(edge.replica().sync_once("127.0.0.1:0").error().code == errc::invalid_argument);

    const auto unknown = edge.replica().sync_once("no-such-host.invalid:7400");
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().message.find("no-such-host.invalid:7400") != std::string::npos);

    const auto self = edge.replica().sync_once(edge.endpoint());
    REQUIRE_FALSE(self);
    CHECK(self.error().code == errc::self_connection);

    replica unstarted(store::in_memory().value(), {});
    CHECK(unstarted.sync_once(edge.endpoint()).error().code == errc::closed);
}

TEST_CASE("sync_once without progress ends after the timeout") {
    node cloud;
    node edge;
    edge.add("x");
    relay link(cloud.endpoint());
    link.freeze();
    const auto begun = std::chrono::steady_clock::now();
    const auto report = edge.replica().sync_once(link.endpoint(), {}, 200ms);
    REQUIRE_FALSE(report);
    CHECK(report.error().code == errc::timed_out);
    CHECK(report.error().message.find(link.endpoint()) != std::string::npos);
    CHECK(std::chrono::steady_clock::now() - begun >= 200ms);
}

TEST_CASE("sync_once that is cut off says so, and the next one completes it") {
    node cloud;
    node edge;
    cloud.add_many("cloud", 20'000);
    relay link(cloud.endpoint());
    link.cut_after(50'000);
    const auto cut = edge.replica().sync_once(link.endpoint());
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code == errc::network);
    link.cut_after(UINT64_MAX);
    REQUIRE(edge.replica().sync_once(link.endpoint()));
    CHECK(edge.size() == 20'000);
}

TEST_CASE("sync_once works beside the background and other calls") {
    node cloud;
    node edge(peers({cloud.endpoint()}));
    node other;
    CHECK(eventually([&] { return edge.is_live(cloud.endpoint()); }));
    edge.add_many("edge", 100);
    cloud.add_many("cloud", 100);
    std::vector<result<sync_report>> reports(6, fail(errc::closed, "not run"));
    std::vector<std::thread> callers;
    for (std::size_t i = 0; i < reports.size(); ++i)
        callers.emplace_back(
            [&, i] { reports[i] = (i % 2 ? edge : other).replica().sync_once(cloud.endpoint()); });
    for (auto& caller : callers) caller.join();
    for (const auto& report : reports) CHECK(report);
    CHECK(converge({&cloud, &edge}, 200));
    CHECK(other.replica().sync_once(cloud.endpoint()));
    CHECK(other.digest() == cloud.digest());
    CHECK(eventually([&] { return edge.is_live(cloud.endpoint()); }));

    // Also in the direction in which the background's connection was accepted.
    CHECK(cloud.replica().sync_once(edge.endpoint()));
    edge.add("after");
    CHECK(eventually([&] { return cloud.has("after"); }));
}

TEST_CASE("sync_once ends while both sides go on committing") {
    node cloud;
    node edge;
    cloud.add_many("before", 1000);
    std::atomic<bool> done = false;
    std::thread at_cloud([&] {
        for (int i = 0; !done; ++i) cloud.add("cloud" + std::to_string(i));
    });
    std::thread at_edge([&] {
        for (int i = 0; !done; ++i) edge.add("edge" + std::to_string(i));
    });
    CHECK(eventually([&] { return edge.has("edge99") && cloud.has("cloud99"); }));
    const auto report = edge.replica().sync_once(cloud.endpoint());
    done = true;
    at_cloud.join();
    at_edge.join();
    REQUIRE(report);
    CHECK(edge.has("before999"));
    CHECK(edge.has("cloud99"));
    CHECK(cloud.has("edge99"));
}

TEST_CASE("stop() cancels sync_once") {
    node cloud;
    node edge;
    relay link(cloud.endpoint());
    link.freeze();
    auto report = result<sync_report>(fail(errc::closed, "not run"));
    std::thread caller([&] { report = edge.replica().sync_once(link.endpoint()); });
    CHECK(eventually([&] { return link.connections() > 0; }));
    edge.replica().stop();
    caller.join();
    REQUIRE_FALSE(report);
    CHECK(report.error().code == errc::cancelled);
    CHECK(edge.replica().sync_once(cloud.endpoint()).error().code == errc::closed);
}

TEST_CASE("sync_once does not wait for itself") {
    node cloud;
    node edge;
    errc code{};
    REQUIRE(edge.replica().sync_once(cloud.endpoint(), [&](const sync_progress&) {
        code = edge.replica().sync_once(cloud.endpoint()).error().code;
    }));
    CHECK(code == errc::invalid_argument);
}
