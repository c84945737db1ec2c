#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "transport/disk_syncer.hpp"
#include "transport/node.hpp"

using namespace anabranch;
using namespace anabranch::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

TEST_CASE("requests during a round share the next one") {
    auto local = store::in_memory().value();
    std::atomic<int> rounds = 0;
    transport::disk_syncer syncer(local, [&](transport::disk_syncer::round, result<void> outcome) {
        if (outcome) ++rounds;
    });
    syncer.request();  // before it runs: kept
    syncer.start();
    CHECK(eventually([&] { return rounds == 1; }));
    for (int i = 0; i < 1000; ++i) syncer.request();
    CHECK(rounds == 1);  // that round is not over
    syncer.round_done();
    CHECK(eventually([&] { return rounds == 2; }));
    syncer.round_done();
    CHECK(syncer.latest() == 2);
    syncer.request();
    CHECK(eventually([&] { return rounds == 3; }));
    syncer.stop();
    syncer.round_done();
    syncer.request();
    syncer.stop();
}

TEST_CASE("commits of several threads arrive while they are made") {
    node cloud;
    node edge(peers({cloud.endpoint()}));
    CHECK(eventually([&] { return edge.is_live(cloud.endpoint()); }));
    std::vector<std::thread> writers;
    for (int i = 0; i < 4; ++i)
        writers.emplace_back([&, i] { (i % 2 ? edge : cloud).add_many(std::to_string(i) + "-", 2000); });
    for (auto& writer : writers) writer.join();
    CHECK(converge({&cloud, &edge}, 8000));
    CHECK(edge.status(cloud.endpoint()).sessions == 1);
}

// No assertion: how long it takes depends on the machine. Run with [latency] to see it.
TEST_CASE("from a commit here until it is visible there", "[latency]") {
    const auto directory =
        std::filesystem::temp_directory_path() / ("anabranch-latency-" + std::to_string(getpid()));
    std::filesystem::remove_all(directory);
    {
        auto here = store::open(directory / "here").value();
        auto there = store::open(directory / "there").value();
        auto from = let_in(here);
        const auto to = let_in(there);
        replica_options options;
        options.listen = "127.0.0.1:0";
        replica server(there, options);
        REQUIRE(server.start());
        replica client(here, peers({"127.0.0.1:" + std::to_string(server.port())}));
        REQUIRE(client.start());
        REQUIRE(eventually([&] { return client.peers()[0].phase == session_phase::live; }));

        std::vector<double> milliseconds;
        for (int i = 1; i <= 500; ++i) {
            const auto begun = steady_clock::now();
            REQUIRE(from.commit([](transaction& tx) { tx.counter("n").add(1); }));
            const auto arrived = [&] {
                return to.read([](const map_view& view) { return view.counter("n").value(); }).value();
            };
            while (arrived() != i) {
                if (steady_clock::now() > begun + 30s) FAIL("a commit did not arrive");
                std::this_thread::yield();
            }
            milliseconds.push_back(
                std::chrono::duration<double, std::milli>(steady_clock::now() - begun).count());
        }
        std::sort(milliseconds.begin(), milliseconds.end());
        std::printf("commit to visible there, RocksDB with fsync, loopback: p50 %.3f ms, p99 %.3f ms\n",
                    milliseconds[milliseconds.size() / 2], milliseconds[milliseconds.size() * 99 / 100]);
    }
    std::filesystem::remove_all(directory);
}
