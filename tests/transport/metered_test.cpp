// Budgets over a real link: that they are kept, that nothing stalls, and that they outlive a session.
#include "support/catch.hpp"
#include "transport/node.hpp"

using namespace anabranch;
using namespace anabranch::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t overhead = 2'000;  // of the messages that do not wait

/// Names that do not compress.
std::string noise(std::size_t size) {
    static std::uint64_t state = 1;
    std::string bytes;
    while (bytes.size() < size) {
        state = state * 6364136223846793005 + 1442695040888963407;
        bytes += static_cast<char>(state >> 33);
    }
    return bytes;
}

}  // namespace

TEST_CASE("a budget is kept and used up, by nothing but time") {
    constexpr std::uint64_t rate = 50'000;
    constexpr std::uint64_t burst = 5'000;
    const auto begun = std::chrono::steady_clock::now();
    node cloud;
    // Only the budget says when to go on: nothing else happens meanwhile.
    replica_options metered = peers({cloud.endpoint()});
    metered.session.heartbeat = metered.session.timeout = 1h;
    metered.session.send_budget = {.bytes = rate, .burst = burst};
    node edge(metered);
    for (int i = 0; i < 60; ++i) edge.add(noise(1'000));
    REQUIRE(converge({&edge, &cloud}, 60));
    const auto status = edge.status(cloud.endpoint());
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
    CHECK(status.totals.bytes_sent >= 60'000);
    CHECK(seconds.count() * static_cast<double>(rate) >= static_cast<double>(status.totals.bytes_sent - burst - overhead));
    CHECK(status.totals.send_budget_left <= static_cast<std::int64_t>(burst));
    CHECK(status.totals.asked_budget_left == INT64_MAX);
}

TEST_CASE("a quota is for all sessions with a peer") {
    constexpr std::int64_t quota = 10'000'000;
    node cloud;
    cloud.add(noise(1'000));
    replica_options metered = peers({cloud.endpoint()});
    metered.session.send_budget = {.bytes = 1, .period = 1h, .burst = quota};
    metered.session.receive_budget = metered.session.send_budget;
    node edge(metered);
    edge.add(noise(1'000));
    REQUIRE(converge({&edge, &cloud}, 2));
    CHECK(edge.status(cloud.endpoint()).totals.send_budget_left < quota - 1'000);
    cloud.stop();
    REQUIRE(eventually([&] { return !edge.status(cloud.endpoint()).connected; }));
    cloud.restart();
    edge.add("more");
    REQUIRE(converge({&edge, &cloud}, 3));
    const auto status = edge.status(cloud.endpoint());
    CHECK(status.sessions == 2);
    CHECK(status.totals.bytes_sent < 1'000);
    CHECK(status.totals.send_budget_left < quota - 1'000);
    CHECK(status.totals.receive_budget_left < quota - 1'000);
}

TEST_CASE("sync_once does not take waiting for a budget for a lack of progress") {
    node cloud;
    replica_options metered;
    // The other side says each 50 ms that it waits, and waits for a second between two transactions.
    metered.session.heartbeat = 50ms;
    metered.session.send_budget = {.bytes = 1'000, .burst = 1};
    node edge(metered);
    for (int i = 0; i < 3; ++i) edge.add(noise(1'000));
    SECTION("its own") { CHECK(edge.replica().sync_once(cloud.endpoint(), {}, 500ms)); }
    SECTION("the peer's") { CHECK(cloud.replica().sync_once(edge.endpoint(), {}, 500ms)); }
    CHECK(cloud.size() == 3);
}

TEST_CASE("what waits of each bucket is shown") {
    node cloud;
    replica_options metered = peers({cloud.endpoint()});
    metered.session.priorities = {{"b", 3}};
    metered.session.send_budget = {.bytes = 1, .period = 24h, .burst = 1};
    node edge(metered);
    edge.add("first");
    edge.add("second");
    REQUIRE(eventually([&] { return !edge.status(cloud.endpoint()).waiting.empty(); }));
    REQUIRE(eventually([&] { return edge.status(cloud.endpoint()).totals.budget_wait > 0ms; }));
    const auto status = edge.status(cloud.endpoint());
    REQUIRE(status.waiting.size() == 1);
    CHECK(status.waiting[0].bucket == "b");
    CHECK(status.waiting[0].priority == 3);
    CHECK(status.waiting[0].transactions_to_send >= 2);
    CHECK(status.totals.send_budget_left < 0);
    CHECK(cloud.size() == 0);
}
