// Executions of one request at two replicas: what they say alike does not cross the link.
#include <anabranch/store.hpp>
#include <algorithm>

#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/stores.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using namespace anabranch::test;

namespace {

constexpr int orders = 200;

/// Letters that nothing can compress, the same every time.
std::string noise(int order, int line) {
    request r{.tenant = "t", .principal = "noise", .key = std::to_string(order)};
    return r.id(static_cast<std::uint32_t>(line)) + r.id(static_cast<std::uint32_t>(100 + line));
}

struct pair {
    std::shared_ptr<world> w = std::make_shared<world>();
    store edge = memory_store(w);
    store cloud = memory_store(w);
    pair() { share(edge, {&cloud}); }

    void execute(store& at, int order, request_role role, const std::string& more = {}) {
        const request r{.tenant = "t", .principal = "p", .key = std::to_string(order), .issued = std::chrono::milliseconds{w->now_ms.load()}, .role = role};
        const auto done = at.bucket("b").value().commit(r, [&](transaction& tx) -> result<std::string> {
            auto placed = tx.map("orders").map(r.id());
            for (int line = 0; line < 5; ++line) placed.last_writer<std::string>("line " + std::to_string(line)).set(noise(order, line) + more);
            tx.counter("sold").add(5);
            return r.id();
        });
        REQUIRE(done);
    }
    /// At the edge, and mirrored to the cloud.
    void place(int from, int to) {
        for (int order = from; order < to; ++order) {
            execute(cloud, order, request_role::mirror);
            execute(edge, order, request_role::primary);
        }
    }
    ending talk() {
        for (auto* s : {&edge, &cloud}) REQUIRE(s->sync());
        auto ended = test::talk(edge, cloud);
        CHECK_FALSE(ended.one);
        CHECK_FALSE(ended.other);
        CHECK(edge.bucket("b")->digest().value() == cloud.bucket("b")->digest().value());
        return ended;
    }
    std::int64_t sold() {
        return cloud.bucket("b")->read([](const map_view& v) { return v.counter("sold").value(); }).value();
    }
};

// What each order says and cannot be compressed.
constexpr std::uint64_t order_bytes = 5 * 2 * 16;

}  // namespace

TEST_CASE("an hour of mirrored requests costs little, and the ones that the mirror missed what they hold") {
    pair mirrored;
    mirrored.place(0, orders);
    const auto doubled = mirrored.talk().bytes;
    CHECK(mirrored.sold() == orders * 5);

    pair missed;
    for (int order = 0; order < orders; ++order) missed.execute(missed.edge, order, request_role::primary);
    const auto whole = missed.talk().bytes;
    CHECK(missed.sold() == orders * 5);
    CHECK(whole > orders * order_bytes);
    // Both directions of the one, against one direction of the other.
    CAPTURE(doubled, whole);
    CHECK(doubled < whole / 4);

    pair both;
    both.place(0, orders);
    for (int order = orders; order < orders + 20; ++order) both.execute(both.edge, order, request_role::primary);
    const auto some = both.talk().bytes;
    CHECK(some < doubled + whole / 5);
    CHECK(some > doubled + 20 * order_bytes);
    CHECK(both.sold() == (orders + 20) * 5);
}

TEST_CASE("an execution that says something else is sent whole") {
    pair p;
    p.execute(p.cloud, 1, request_role::mirror, "of the mirror");
    p.execute(p.edge, 1, request_role::primary, "of the primary");
    p.talk();
    const auto line = p.cloud.bucket("b")->read([](const map_view& v) {
        const request r{.tenant = "t", .principal = "p", .key = "1"};
        return v.map("orders").map(r.id()).last_writer<std::string>("line 0").get();
    });
    CHECK(line.value() == noise(1, 0) + "of the primary");
}

TEST_CASE("who has executed one itself relays the other one whole") {
    pair p;
    auto third = memory_store(p.w);
    REQUIRE(third.bucket("b"));
    REQUIRE(p.edge.bucket("b")->state()->sponsor(third.id()));
    p.place(0, orders);
    p.talk();
    const auto ended = test::talk(p.cloud, third);
    CHECK_FALSE(ended.one);
    CHECK_FALSE(ended.other);
    CHECK(ended.bytes > orders * order_bytes);
    CHECK(third.bucket("b")->digest().value() == p.edge.bucket("b")->digest().value());
}

TEST_CASE("what executions have in common is put back in as it was") {
    pair p;
    p.place(0, 3);
    REQUIRE(p.edge.sync());
    REQUIRE(p.cloud.sync());
    const auto edge = p.edge.bucket("b")->state();
    const auto cloud = p.cloud.bucket("b")->state();
    auto listed = cloud->list_executions({}).value();
    CHECK(listed.size() == 3);
    std::ranges::sort(listed, {}, &oplog::listed_execution::digest);
    const auto whole = edge->read_log({}, timestamp{UINT64_MAX}, {}).value();
    auto sent = whole;
    REQUIRE(edge->abbreviate(sent, listed, {}));
    CHECK(sent.twins == std::vector{p.cloud.id()});
    CHECK(codec::encode(sent).size() + 3 * order_bytes < codec::encode(whole).size());

    auto received = sent;
    CHECK(cloud->expand(received).value());
    CHECK(received == whole);

    // The others do not have it.
    auto stranger = memory_store(p.w);
    auto elsewhere = sent;
    CHECK_FALSE(stranger.bucket("b")->state()->expand(elsewhere).value());
    auto nobody = sent;
    nobody.twins.clear();
    CHECK(cloud->expand(nobody).error().code == errc::malformed);
    // As it came it is no record.
    CHECK(cloud->apply(sent, timestamp{UINT64_MAX}, p.edge.id()).error().code == errc::malformed);
}

TEST_CASE("little that is sent does not become more than could have been sent") {
    pair p;
    p.execute(p.cloud, 0, request_role::mirror, std::string(1'000'000, 'x'));
    p.execute(p.edge, 0, request_role::primary, std::string(1'000'000, 'x'));
    REQUIRE(p.edge.sync());
    REQUIRE(p.cloud.sync());
    const auto edge = p.edge.bucket("b")->state();
    const auto cloud = p.cloud.bucket("b")->state();
    auto chunk = edge->read_log({}, timestamp{UINT64_MAX}, {}).value();
    REQUIRE(edge->abbreviate(chunk, cloud->list_executions({}).value(), {}));
    REQUIRE(chunk.twins.size() == 1);
    const auto again = chunk.entries.back();
    for (int i = 0; i < 20; ++i) chunk.entries.push_back(again);
    CHECK(cloud->expand(chunk).error().code == errc::malformed);
}
