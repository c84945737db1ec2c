#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <thread>

#include "support/catch.hpp"
#include "transport/authority.hpp"
#include "transport/node.hpp"
#include "transport/relay.hpp"

using namespace anabranch;
using namespace anabranch::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

TEST_CASE("a replica may never be started, be started twice, and be stopped twice") {
    replica unstarted(store::in_memory().value(), {});
    CHECK(unstarted.port() == 0);
    CHECK(unstarted.peers().empty());

    node twice;
    CHECK(twice.replica().start());
    CHECK(twice.replica().port() != 0);
    twice.replica().stop();
    twice.replica().stop();
    CHECK(twice.replica().port() == 0);
    CHECK(twice.replica().start().error().code == errc::closed);
    CHECK(twice.replica().connect("127.0.0.1:1").error().code == errc::closed);
    twice.replica().disconnect("127.0.0.1:1");
}

TEST_CASE("start() says what stands in its way, and can be tried again") {
    auto taken = std::make_unique<node>();
    replica_options options;
    options.listen = taken->endpoint();
    replica second(store::in_memory().value(), options);
    const auto in_use = second.start();
    REQUIRE_FALSE(in_use);
    CHECK(in_use.error().code == errc::network);
    CHECK(in_use.error().message.find(taken->endpoint()) != std::string::npos);
    taken.reset();
    CHECK(second.start());
    CHECK(second.port() != 0);

    options.listen = "nonsense";
    CHECK(replica(store::in_memory().value(), options).start().error().code == errc::invalid_argument);
    options.listen = "192.0.2.1:0";  // TEST-NET-1: not ours
    CHECK(replica(store::in_memory().value(), options).start().error().code == errc::network);
    CHECK(replica(store::in_memory().value(), peers({"cloud.example"})).start().error().code ==
          errc::invalid_argument);
}

TEST_CASE("peers can be named before start()") {
    node cloud;
    cloud.add("x");
    auto local = store::in_memory().value();
    replica edge(local, {});
    CHECK(edge.connect("cloud.example").error().code == errc::invalid_argument);
    CHECK(edge.connect("127.0.0.1:1"));
    CHECK(edge.connect(cloud.endpoint()));
    edge.disconnect("127.0.0.1:1");
    CHECK(edge.start());
    REQUIRE(edge.peers().size() == 1);
    CHECK(edge.peers()[0].endpoint == cloud.endpoint());
}

TEST_CASE("stop() while connecting to what does not answer") {
    // A full backlog: the kernel does not answer further connections.
    asio::io_context context;
    tcp::acceptor silent(context, {asio::ip::make_address("127.0.0.1"), 0});
    silent.listen(0);
    const auto endpoint = "127.0.0.1:" + std::to_string(silent.local_endpoint().port());
    std::vector<tcp::socket> filling;
    for (int i = 0; i < 3; ++i) {
        filling.emplace_back(context);
        filling.back().async_connect(silent.local_endpoint(), [](const boost::system::error_code&) {});
    }
    context.poll();
    auto options = peers({endpoint});
    options.connect_timeout = 200ms;
    node edge(options);
    CHECK(eventually([&] {
        const auto status = edge.status(endpoint);
        return status.last_error && status.last_error->code == errc::timed_out;
    }));
    edge.replica().stop();
    options.connect_timeout = 60s;
    node another(options);
    another.replica().stop();
}

TEST_CASE("stop() while a name is looked up") {
    node edge(peers({"no-such-host.invalid:7400"}));
    edge.replica().stop();
    node another(peers({"no-such-host.invalid:7400"}));
    CHECK(eventually([&] { return another.status("no-such-host.invalid:7400").last_error.has_value(); }));
}

TEST_CASE("stop() while handshaking") {
    authority ca;
    asio::io_context context;
    tcp::acceptor silent(context, {asio::ip::make_address("127.0.0.1"), 0});
    auto options = peers({"127.0.0.1:" + std::to_string(silent.local_endpoint().port())});
    options.tls = ca.issue();
    node edge(options);
    auto accepted = silent.accept();
    tcp::socket halfway(context);
    halfway.connect({asio::ip::make_address("127.0.0.1"), edge.replica().port()});
    CHECK(eventually([&] { return edge.replica().peers().size() == 2; }));
    edge.replica().stop();
}

TEST_CASE("stop() while waiting for a greeting") {
    asio::io_context context;
    tcp::acceptor silent(context, {asio::ip::make_address("127.0.0.1"), 0});
    const auto endpoint = "127.0.0.1:" + std::to_string(silent.local_endpoint().port());
    node edge(peers({endpoint}));
    auto accepted = silent.accept();
    CHECK(eventually([&] { return edge.status(endpoint).connected; }));
    edge.replica().stop();
    CHECK_FALSE(edge.status(endpoint).connected);
}

TEST_CASE("stop() in the middle of a catch-up, from both sides, again and again") {
    node cloud;
    cloud.add_many("cloud", 3000);
    node edge;
    for (int i = 0; i < 20; ++i) {
        REQUIRE(edge.replica().connect(cloud.endpoint()));
        std::this_thread::sleep_for(std::chrono::microseconds(150 * i));  // stops at another point each time
        edge.restart();
        if (i % 5 == 4) cloud.restart();
    }
    REQUIRE(edge.replica().connect(cloud.endpoint()));
    CHECK(converge({&cloud, &edge}, 3000));
}

TEST_CASE("stop() while other threads commit, look, and come and go") {
    node cloud;
    for (int round = 0; round < 5; ++round) {
        node edge(peers({cloud.endpoint()}));
        std::atomic<bool> done = false;
        std::vector<std::thread> threads;
        threads.emplace_back([&] {
            for (int i = 0; !done; ++i) edge.add("e" + std::to_string(i));
        });
        threads.emplace_back([&] {
            while (!done) (void)edge.replica().peers();
        });
        threads.emplace_back([&] {
            while (!done) {
                (void)edge.replica().connect("127.0.0.1:1");
                edge.replica().disconnect("127.0.0.1:1");
                std::this_thread::sleep_for(1ms);  // not faster than they can be tried
            }
        });
        threads.emplace_back([&] {
            while (!done) (void)edge.replica().sync_once(cloud.endpoint());
        });
        CHECK(eventually([&] { return cloud.has("e" + std::to_string(10)); }));
        std::thread other([&] { edge.replica().stop(); });
        edge.replica().stop();
        other.join();
        done = true;
        for (auto& thread : threads) thread.join();
    }
}

TEST_CASE("stop() from the replica's own thread ends it, and the destructor waits") {
    node cloud;
    cloud.add("x");
    node edge;
    const auto report =
        edge.replica().sync_once(cloud.endpoint(), [&](const sync_progress&) { edge.replica().stop(); });
    CHECK((report || report.error().code == errc::cancelled));
}

TEST_CASE("a store outlives its replica, and another one takes over") {
    node cloud;
    node edge(peers({cloud.endpoint()}));
    edge.add("1");
    CHECK(eventually([&] { return cloud.has("1"); }));
    edge.stop();
    edge.add("2");
    CHECK_FALSE(cloud.has("2"));
    edge.restart();
    CHECK(eventually([&] { return cloud.has("2"); }));
}
