#include <anabranch/asio.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "transport/node.hpp"
#include "transport/relay.hpp"

using namespace anabranch;
using namespace anabranch::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

bool has(store& in, const std::string& element) {
    return in.bucket("b")
        .value()
        .read([&](const map_view& view) { return view.add_wins_set("elements").contains(element); })
        .value();
}

void add(store& to, const std::string& element) {
    REQUIRE(
        to.bucket("b").value().commit([&](transaction& tx) { tx.add_wins_set("elements").add(element); }));
}

/// A store in memory that is a member of the bucket.
store make_member() {
    auto local = store::in_memory().value();
    let_in(local);
    return local;
}

void stop_and_wait(replica& running) {
    std::promise<void> over;
    async_stop(running, [&] { over.set_value(); });
    over.get_future().wait();
}

/// An io_context with two threads, as a service has.
class service {
  public:
    service() {
        for (auto& thread : threads_) thread = std::thread([this] { context_.run(); });
    }
    ~service() {
        work_.reset();
        for (auto& thread : threads_) thread.join();
    }
    asio::any_io_executor executor() { return context_.get_executor(); }

  private:
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
    std::array<std::thread, 2> threads_;
};

}  // namespace

TEST_CASE("a replica runs on the user's executor") {
    node cloud;
    auto local = make_member();
    add(local, "from the service");
    service here;
    auto options = peers({cloud.endpoint()});
    options.listen = "127.0.0.1:0";
    auto edge = make_replica(here.executor(), local, options);
    REQUIRE(edge.start());
    CHECK(edge.port() != 0);
    CHECK(eventually([&] { return cloud.has("from the service"); }));
    cloud.add("from the cloud");
    CHECK(eventually([&] { return has(local, "from the cloud"); }));

    node third;
    third.add("from a third");
    CHECK(edge.sync_once(third.endpoint()));
    CHECK(has(local, "from a third"));
    CHECK(third.replica().sync_once("127.0.0.1:" + std::to_string(edge.port())));
}

TEST_CASE("a replica runs on a pool of threads, many connections at once") {
    asio::thread_pool pool(4);
    auto local = make_member();
    replica_options options;
    options.listen = "127.0.0.1:0";
    auto centre = make_replica(pool.get_executor(), local, options);
    REQUIRE(centre.start());
    const auto endpoint = "127.0.0.1:" + std::to_string(centre.port());
    std::vector<std::unique_ptr<node>> leaves;
    for (int i = 0; i < 8; ++i) leaves.push_back(std::make_unique<node>(peers({endpoint})));
    std::vector<std::thread> writers;
    for (auto& leaf : leaves)
        writers.emplace_back(
            [&leaf, name = std::to_string(writers.size()) + "-"] { leaf->add_many(name, 20); });
    for (auto& writer : writers) writer.join();
    for (auto& leaf : leaves) CHECK(converge({leaves.front().get(), leaf.get()}, 160));
    stop_and_wait(centre);
    pool.join();
}

TEST_CASE("a coroutine on the executor's only thread syncs once and stops") {
    node cloud;
    cloud.add_many("cloud", 100);
    auto local = make_member();
    add(local, "x");
    asio::io_context context;
    auto edge = make_replica(context.get_executor(), local, {});
    REQUIRE(edge.start());

    result<sync_report> report = fail(errc::closed, "not run");
    result<sync_report> malformed = fail(errc::closed, "not run");
    result<sync_report> after = fail(errc::network, "not run");
    bool watched = false;
    const auto work = [&]() -> asio::awaitable<void> {
        report = co_await async_sync_once(
            edge, cloud.endpoint(), [&](const sync_progress&) { watched = true; }, 30s, asio::use_awaitable);
        malformed = co_await async_sync_once(edge, "nonsense", {}, 30s, asio::use_awaitable);
        co_await async_stop(edge, asio::use_awaitable);
        after = co_await async_sync_once(edge, cloud.endpoint(), {}, 30s, asio::use_awaitable);
    };
    asio::co_spawn(context, work, [](const std::exception_ptr& thrown) { CHECK_FALSE(thrown); });
    context.run();
    REQUIRE(report);
    CHECK(report->totals.transactions_received == 100);
    CHECK(watched);
    CHECK(malformed.error().code == errc::invalid_argument);
    CHECK(after.error().code == errc::closed);
    CHECK(cloud.has("x"));
}

TEST_CASE("stop() ends an asynchronous sync_once") {
    node cloud;
    relay link(cloud.endpoint());
    link.freeze();
    service here;
    auto edge = make_replica(here.executor(), store::in_memory().value(), {});
    REQUIRE(edge.start());
    std::promise<result<sync_report>> report;
    async_sync_once(edge, link.endpoint(), {}, 60s,
                    [&](result<sync_report> outcome) { report.set_value(std::move(outcome)); });
    CHECK(eventually([&] { return link.connections() > 0; }));
    stop_and_wait(edge);
    CHECK(report.get_future().get().error().code == errc::cancelled);
}

TEST_CASE("an executor that stops running first does no harm") {
    node cloud;
    auto local = make_member();
    auto context = std::make_unique<asio::io_context>();
    {
        auto edge = make_replica(context->get_executor(), local, peers({cloud.endpoint()}));
        REQUIRE(edge.start());
        add(local, "x");
        CHECK(eventually([&] {
            context->poll();
            return cloud.has("x");
        }));
    }
    context.reset();  // with what the connections left behind
    CHECK(has(local, "x"));
}

TEST_CASE("asynchronous operations work on a replica with its own thread") {
    node cloud;
    node edge;
    edge.add("x");
    std::promise<result<sync_report>> report;
    async_sync_once(edge.replica(), cloud.endpoint(), {}, 30s,
                    [&](result<sync_report> outcome) { report.set_value(std::move(outcome)); });
    CHECK(report.get_future().get());
    CHECK(cloud.has("x"));
    stop_and_wait(edge.replica());
}
