// Priorities and budgets at work: who sends when, and how much.
#include <algorithm>
#include <random>

#include "support/catch.hpp"
#include "sync/metered_link.hpp"

using namespace anabranch;
using namespace anabranch::test;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

/// A frame, what it says of one origin, and the bucket's name: what a chunk is longer than its transactions.
constexpr double overhead = 200;

byte_budget rate(std::uint64_t bytes_per_second, std::uint64_t burst) { return {.bytes = bytes_per_second, .burst = burst}; }

std::string bucket_of(const sync::message& m) {
    if (const auto* r = std::get_if<sync::records>(&m)) return r->bucket;
    if (const auto* p = std::get_if<sync::state_piece>(&m)) return p->bucket;
    return {};
}

/// The buckets of records and pieces that the side has sent, in order.
std::vector<std::string> order_of(const metered_link& link, std::size_t from) {
    std::vector<std::string> order;
    for (const auto& s : link.log()) {
        if (s.from == from && is_bulk(s.what)) order.push_back(bucket_of(s.what));
    }
    return order;
}

template <class Message>
std::size_t count_of(const metered_link& link, std::size_t from) {
    return static_cast<std::size_t>(std::ranges::count_if(link.log(), [&](const auto& s) { return s.from == from && std::holds_alternative<Message>(s.what); }));
}

std::size_t bytes_of(const metered_link& link, std::size_t from) {
    std::size_t bytes = 0;
    for (const auto& s : link.log()) bytes += s.from == from ? s.bytes : 0;
    return bytes;
}

}  // namespace

TEST_CASE("a session keeps to its budget, uses it, and never falls silent") {
    metered_link link;
    link.commit(0, "catalogue", 1'000, 100);
    link.replica(1).open_bucket("catalogue");
    link.connect({.send_budget = rate(2'000, 4'000)}, {});
    const auto start = link.now();
    link.run(10min, true);
    CHECK(link.in_sync());
    CHECK(greatest_burst(link.log(), 0, 2'000) <= 4'000 + overhead);
    // The burst at first, then the rate.
    const auto sent = static_cast<double>(bytes_of(link, 0));
    const auto seconds = static_cast<double>((link.now() - start).count()) / 1'000;
    CHECK(sent >= 100'000);
    CHECK(seconds >= (sent - 4'000 - overhead) / 2'000);
    CHECK(seconds <= (sent - 4'000) / 2'000 + 3);
    CHECK(longest_silence(link.log(), 0, link.now()) <= 2s);
    // The other way there is no limit.
    CHECK(link.session(1).progress().send_budget_left == INT64_MAX);
}

TEST_CASE("the peer keeps to what it is asked for") {
    metered_link link;
    link.commit(1, "catalogue", 1'000, 100);
    link.replica(0).open_bucket("catalogue");
    SECTION("alone") { link.connect({.receive_budget = rate(2'000, 4'000)}, {}); }
    SECTION("where its own budget allows more") { link.connect({.receive_budget = rate(2'000, 4'000)}, {.send_budget = rate(20'000, 8'000)}); }
    SECTION("and to its own where that is stricter") { link.connect({.receive_budget = rate(20'000, 8'000)}, {.send_budget = rate(2'000, 4'000)}); }
    const auto start = link.now();
    link.run(10min, true);
    CHECK(link.in_sync());
    CHECK(greatest_burst(link.log(), 1, 2'000) <= 4'000 + overhead);
    CHECK(link.now() - start <= milliseconds{static_cast<std::int64_t>(bytes_of(link, 1)) / 2 + 3'000});
    // Who asked for it counts along.
    CHECK(link.session(0).progress().receive_budget_left >= -static_cast<std::int64_t>(overhead));
    CHECK(link.session(0).progress().receive_budget_left <= 8'000);
}

TEST_CASE("however small a budget is, sessions live, and everything arrives") {
    const auto heartbeat = session_options{}.heartbeat;
    metered_link link;
    link.commit(0, "catalogue", 30, 300);
    link.commit(0, "stock", 5, 3'000);
    link.commit(1, "orders", 20, 100);
    for (std::size_t side = 0; side < 2; ++side) {
        for (const auto* name : {"catalogue", "stock", "orders"}) link.replica(side).open_bucket(name);
    }
    const session_options options{.send_budget = rate(5, 1)};
    link.connect(options, options);
    const auto start = link.now();
    link.run(24h, true);
    CHECK(link.in_sync());
    CHECK(link.now() - start > 30min);
    for (std::size_t side = 0; side < 2; ++side) CHECK(longest_silence(link.log(), side, link.now()) <= heartbeat);
    // A transaction at a time, however large it is, and debts are paid before the next.
    CHECK(greatest_burst(link.log(), 0, 5) <= 3'000 + 3 * overhead);
    CHECK(count_of<sync::records>(link, 0) == 35);
}

TEST_CASE("what a day brings is less than a heartbeat, and the session lives on them") {
    metered_link link;
    link.commit(0, "catalogue", 3, 100);
    link.replica(1).open_bucket("catalogue");
    link.connect({.send_budget = {.bytes = 1, .period = 24h, .burst = 1}}, {});
    link.run(10min);
    CHECK(count_of<sync::waiting>(link, 0) >= 59);
    CHECK(link.session(1).progress().peer_waits == count_of<sync::waiting>(link, 0));
    CHECK(count_of<sync::records>(link, 0) == 0);
    CHECK(link.session(0).progress().send_budget_left < 0);
    CHECK(link.session(0).progress().budget_wait > 0ms);
    CHECK(link.session(0).progress().transactions_to_send == 3);
}

TEST_CASE("a large burst goes in large chunks") {
    metered_link link;
    link.commit(0, "catalogue", 1'000, 100);
    link.replica(1).open_bucket("catalogue");
    link.connect({.send_budget = {.bytes = 500'000'000, .period = 30 * 24h, .burst = 500'000'000}}, {});
    link.settle();
    CHECK(link.in_sync());
    CHECK(count_of<sync::records>(link, 0) == 1);
}

TEST_CASE("folds are no larger than there is room, either") {
    metered_link link;
    link.commit(0, "catalogue", 1, 100);
    link.replica(1).open_bucket("catalogue");
    const session_options options;
    SECTION("within a budget") {
        link.connect({.send_budget = rate(10, 3'000)}, {});
        link.settle();
        CHECK(link.replica(0).last_portion().record_bytes < 3'000);
        CHECK(link.replica(0).last_portion().fold_bytes < 3'000);
        CHECK(link.replica(0).last_portion().fold_bytes > 2'000);
    }
    SECTION("but as large as ever without one") {
        link.connect(options, options);
        link.settle();
        CHECK(link.replica(0).last_portion().record_bytes == options.chunk_bytes);
        CHECK(link.replica(0).last_portion().fold_bytes == options.fold_bytes);
    }
    CHECK(link.replica(0).last_portion().fold_above == options.fold_above);
}

TEST_CASE("a bucket of higher priority goes first, whatever its name is") {
    const std::vector<bucket_priority> priorities{{"catalogue", -1}, {"stock", 1}};
    metered_link link;
    for (const auto* name : {"catalogue", "orders", "stock"}) {
        link.commit(0, name, 50, 100);
        link.replica(1).open_bucket(name);
    }
    SECTION("as the sender says") { link.connect({.chunk_bytes = 1'000, .priorities = priorities}, {}); }
    SECTION("as the receiver says") { link.connect({.chunk_bytes = 1'000}, {.priorities = priorities}); }
    SECTION("as the receiver says, where they disagree") {
        link.connect({.chunk_bytes = 1'000, .priorities = {{"catalogue", 7}, {"stock", -7}, {"orders", 7}}}, {.priorities = {{"catalogue", -1}, {"orders", 0}, {"stock", 1}}});
    }
    SECTION("as the sender says, where the receiver does not") { link.connect({.chunk_bytes = 1'000, .priorities = {{"catalogue", -2}}}, {.priorities = {{"stock", 7}}}); }
    SECTION("within a budget") { link.connect({.priorities = priorities, .send_budget = rate(1'000, 2'000)}, {}); }
    SECTION("with windows of one chunk") { link.connect({.chunk_bytes = 1'000, .window_bytes = 1, .priorities = priorities}, {}); }
    link.run(10min, true);
    CHECK(link.in_sync());
    const auto order = order_of(link, 0);
    REQUIRE(order.size() >= 15);
    CHECK(std::ranges::is_sorted(order, std::ranges::greater{}));  // stock, orders, catalogue
}

TEST_CASE("what becomes available at a higher priority overtakes a bulk transfer") {
    constexpr std::size_t chunk = 10'000;
    metered_link link;
    link.commit(0, "catalogue", 1'000, 1'000);
    link.replica(0).open_bucket("stock");
    link.replica(1).open_bucket("catalogue");
    link.replica(1).open_bucket("stock");
    link.connect({.chunk_bytes = chunk, .priorities = {{"stock", 1}}}, {});
    for (int i = 0; i < 10; ++i) {
        link.deliver(0);
        link.deliver(1);
    }
    REQUIRE(order_of(link, 0).size() >= 5);
    // A driver writes what it has taken; more is in the session's output.
    const auto before = link.log().size();
    link.commit(0, "stock", 30, 1'000);
    link.poll(0);
    while (order_of(link, 0).back() == "catalogue") link.deliver(0);
    std::size_t ahead = 0;
    std::size_t after = 0;
    for (auto i = before; i < link.log().size(); ++i) (bucket_of(link.log()[i].what) == "stock" ? after : ahead) += link.log()[i].bytes;
    CHECK(ahead <= 2 * chunk);
    CHECK(after > 0);
    // And all of it does.
    for (int i = 0; i < 2; ++i) link.deliver(0);
    const auto order = order_of(link, 0);
    const auto first = std::ranges::find(order, "stock");
    CHECK(std::ranges::count(order, "stock") >= 3);
    CHECK(std::all_of(first, first + 3, [](const auto& bucket) { return bucket == "stock"; }));
}

TEST_CASE("what has gone of a higher priority and is not acknowledged holds back the others once its window is full") {
    metered_link link;
    link.commit(0, "catalogue", 20, 1'000);
    link.commit(0, "stock", 20, 1'000);
    link.replica(1).open_bucket("catalogue");
    link.replica(1).open_bucket("stock");
    link.connect({.chunk_bytes = 1'000, .window_bytes = 5'000, .priorities = {{"stock", 1}}}, {});
    for (int i = 0; i < 30; ++i) {
        link.deliver(0);
        link.deliver(1);
    }
    CHECK(order_of(link, 0) == std::vector<std::string>(5, "stock"));
    link.run(1s, true);
    CHECK(link.in_sync());
}

TEST_CASE("a transfer of low priority leaves the reserve to others") {
    metered_link link;
    link.commit(0, "catalogue", 500, 100);
    link.replica(0).open_bucket("stock");
    link.replica(1).open_bucket("catalogue");
    link.replica(1).open_bucket("stock");
    auto budget = rate(100, 20'000);
    budget.reserve = 10'000;
    link.connect({.priorities = {{"catalogue", -1}}, .send_budget = budget}, {});
    link.run(1min);
    const auto left = link.session(0).progress().send_budget_left;
    CHECK(left >= 10'000 - static_cast<std::int64_t>(overhead));
    CHECK(left <= 12'000);
    link.commit(0, "stock", 90, 100);
    const auto before = link.now();
    link.poll(0);
    link.settle();
    CHECK(link.session(1).progress().transactions_received >= 90);
    CHECK(link.replica(1).written("stock") == link.replica(0).written("stock"));
    CHECK(link.now() == before);
}

TEST_CASE("states keep to the budget, and are not given up because they wait") {
    metered_link link;
    link.commit(0, "catalogue", 10, 400);
    link.commit(0, "stock", 1, 10);
    link.replica(0).cut("catalogue", link.replica(0).id(), 10);
    for (std::size_t side = 0; side < 2; ++side) {
        for (const auto* name : {"catalogue", "stock"}) {
            link.replica(side).open_bucket(name);
            link.replica(side).take_role(name, sync::role::member);
        }
    }
    SECTION("for a budget in which a piece takes longer than the peer waits for one") {
        link.connect({.send_budget = rate(10, 500)}, {});
        link.run(1h, true);
        CHECK(link.in_sync());
        CHECK(greatest_burst(link.log(), 0, 10) <= 500 + 400 + overhead);
        CHECK(count_of<sync::state_piece>(link, 0) == 10);
        CHECK(count_of<sync::waiting>(link, 0) > 0);
        std::vector<steady_time> pieces;
        for (const auto& s : link.log()) {
            if (std::holds_alternative<sync::state_piece>(s.what)) pieces.push_back(s.at);
        }
        CHECK(pieces.back() - pieces.front() > 9 * session_options{}.timeout);
    }
    SECTION("behind a bucket of higher priority that never ends") {
        link.connect({.priorities = {{"stock", 1}}, .send_budget = rate(1'000, 2'000)}, {});
        link.settle();
        const auto pieces = count_of<sync::state_piece>(link, 0);
        CHECK(pieces > 0);
        for (int i = 0; i < 100; ++i) {
            link.commit(0, "stock", 12, 100);
            link.poll(0);
            link.run(1s);
        }
        CHECK(count_of<sync::state_piece>(link, 0) == pieces);
        CHECK(count_of<sync::waiting>(link, 0) > 0);
        CHECK_FALSE(link.session(1).failure());
        link.run(10min, true);
        CHECK(link.in_sync());
        CHECK(count_of<sync::parting>(link, 1) == 0);
    }
}

TEST_CASE("a state is not given up where it waits for what others have to acknowledge first") {
    const auto heartbeat = session_options{}.heartbeat;
    metered_link link;
    link.commit(0, "catalogue", 10, 400);
    link.replica(0).cut("catalogue", link.replica(0).id(), 10);
    link.replica(0).open_bucket("stock");
    for (std::size_t side = 0; side < 2; ++side) {
        for (const auto* name : {"catalogue", "stock"}) {
            link.replica(side).open_bucket(name);
            link.replica(side).take_role(name, sync::role::member);
        }
    }
    link.connect({.chunk_bytes = 500, .window_bytes = 2'000, .priorities = {{"stock", 1}}}, {});
    while (count_of<sync::state_piece>(link, 0) == 0) {
        link.deliver(0);
        link.deliver(1);
    }
    // The peer's disk takes its time: what is sent of the stock is not acknowledged.
    link.commit(0, "stock", 10, 1'000);
    link.poll(0);
    const auto exchange = [&] {
        while (link.deliver(0) + link.deliver(1) > 0) {}
    };
    exchange();
    const auto pieces = count_of<sync::state_piece>(link, 0);
    CHECK(pieces < 10);
    const auto start = link.now();
    link.pass(3s);
    link.replica(0).open_bucket("orders");
    link.poll(0);
    exchange();
    // It has just said something, and is going to say that the state waits all the same.
    CHECK(link.session(0).next_poll() == start + heartbeat);
    while (link.now() < start + 100s) {
        link.pass(std::min(link.session(0).next_poll(), link.session(1).next_poll()) - link.now());
        link.session(0).poll(link.now());
        link.session(1).poll(link.now());
        exchange();
    }
    CHECK(count_of<sync::waiting>(link, 0) == 10);
    CHECK(count_of<sync::state_piece>(link, 0) == pieces);
    CHECK(count_of<sync::parting>(link, 1) == 0);
    link.run(1min, true);
    CHECK(link.in_sync());
    CHECK(link.session(0).next_poll() > link.now());
}

TEST_CASE("a session that hears something knows that time has passed") {
    metered_link link;
    link.commit(0, "catalogue", 50, 100);
    link.replica(1).open_bucket("catalogue");
    link.connect({.send_budget = rate(1'000, 2'000)}, {});
    link.settle();
    const auto sent = count_of<sync::records>(link, 0);
    link.deliver(0);
    CHECK(count_of<sync::records>(link, 0) == sent);
    link.pass(2s);
    link.commit(1, "catalogue", 1, 100);
    link.poll(1);
    link.deliver(1);
    link.deliver(0);
    CHECK(count_of<sync::records>(link, 0) > sent);
}

TEST_CASE("adverts leave room for what they tell of") {
    metered_link link;
    link.commit(0, "catalogue", 30, 100);
    link.replica(1).open_bucket("catalogue");
    link.replica(0).take_role("catalogue", sync::role::member);
    link.connect({.send_budget = rate(60, 500)}, {});
    // Others are heard of all the time: some 130 bytes each.
    const replica_id other{{1}, 1};
    std::uint64_t last = 0;
    for (int i = 0; i < 600 && !link.in_sync(); ++i) {
        link.replica(0).learn("catalogue", other, {{other, ++last}, {link.replica(0).id(), 30}});
        link.run(500ms);
    }
    CHECK(link.replica(1).written("catalogue") == link.replica(0).written("catalogue"));
    CHECK(count_of<sync::adverts>(link, 0) > 5);
}

TEST_CASE("a session tells what waits") {
    metered_link link;
    link.commit(0, "catalogue", 100, 100);
    link.commit(0, "stock", 3, 100);
    link.commit(1, "orders", 2, 100);
    for (std::size_t side = 0; side < 2; ++side) {
        for (const auto* name : {"catalogue", "orders", "stock"}) link.replica(side).open_bucket(name);
    }
    link.connect({.send_budget = rate(1'000, 2'000)}, {.priorities = {{"stock", 4}, {"catalogue", -1}}});
    for (int i = 0; i < 2; ++i) {
        link.deliver(0);
        link.deliver(1);
    }
    const auto waiting = link.session(0).waiting_buckets();
    REQUIRE(waiting.size() == 3);
    CHECK(waiting[0].bucket == "stock");
    CHECK(waiting[0].priority == 4);
    CHECK(waiting[0].transactions_to_send == 3);
    CHECK(waiting[1].bucket == "orders");
    CHECK(waiting[1].priority == 0);
    CHECK(waiting[1].transactions_to_receive == 2);
    CHECK(waiting[2].bucket == "catalogue");
    CHECK(waiting[2].priority == -1);
    CHECK(waiting[2].transactions_to_send == 100);
    link.settle();
    const auto progress = link.session(0).progress();
    CHECK(progress.send_budget_left < 500);
    CHECK(progress.budget_wait > 0ms);
    CHECK(link.session(0).next_poll() == link.now() + progress.budget_wait);
    CHECK(link.session(0).waiting_buckets().back().transactions_to_send == progress.transactions_to_send);
    link.run(1min, true);
    CHECK(link.in_sync());
    CHECK(link.session(0).waiting_buckets().empty());
    CHECK(link.session(0).progress().budget_wait == 0ms);
    // A quota goes on where it was.
    const auto left = link.session(0).progress().send_budget_left;
    auto again = rate(1'000, 2'000);
    again.left = left;
    link.connect({.send_budget = again}, {});
    link.settle();
    CHECK(link.session(0).progress().send_budget_left == left - static_cast<std::int64_t>(bytes_of(link, 0)));
}

TEST_CASE("whatever happens, budgets are kept, nobody of higher priority waits, and all arrives") {
    const std::vector<std::string> names{"a", "b", "c"};
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
        const auto draw_budget = [&] {
            byte_budget b;
            if (below(4) == 0) return b;
            b.bytes = 1 + below(3'000);
            b.burst = below(5'000);
            b.reserve = below(3) == 0 ? below(5'000) : 0;
            return b;
        };
        std::array<session_options, 2> options;
        for (auto& o : options) {
            o.chunk_bytes = 1 + below(3'000);
            o.window_bytes = 1 + below(20'000);
            o.send_budget = draw_budget();
            if (below(2) == 0) o.receive_budget = draw_budget();
            for (const auto& name : names) {
                if (below(3) > 0) o.priorities.push_back({name, static_cast<std::int32_t>(below(4)) - 2});
            }
        }
        const auto priority = [&](std::size_t from, const std::string& name) {
            for (const auto side : {1 - from, from}) {
                const auto it = std::ranges::find(options[side].priorities, name, &bucket_priority::bucket);
                if (it != options[side].priorities.end()) return it->priority;
            }
            return 0;
        };
        metered_link link;
        for (std::size_t side = 0; side < 2; ++side) {
            for (const auto& name : names) link.replica(side).open_bucket(name);
        }
        constexpr std::size_t largest = 400;
        const auto commit_somewhere = [&] { link.commit(below(2), names[below(3)], 1 + below(10), below(largest)); };
        for (int i = 0; i < 5; ++i) commit_somewhere();
        link.connect(options[0], options[1]);
        for (int i = 0; i < 60; ++i) {
            switch (below(5)) {
                case 0: commit_somewhere(); break;
                case 1: link.poll(below(2)); break;
                case 2: link.pass(milliseconds{below(500)}); break;
                default: link.deliver(below(2));
            }
        }
        // From here on by the rules of the link: what is due is sent at once.
        link.settle();
        const auto calm = link.log().size();
        link.run(48h, true);
        REQUIRE(link.in_sync());
        const auto later = std::span(link.log()).subspan(calm);
        for (std::size_t from = 0; from < 2; ++from) {
            std::size_t control = 0;
            for (const auto& s : later) control += s.from == from && !is_bulk(s.what) ? s.bytes : 0;
            for (const auto& b : {options[from].send_budget, options[1 - from].receive_budget}) {
                if (b.bytes == 0) continue;
                const auto bound = static_cast<double>(std::max<std::uint64_t>(b.burst, 1) + largest + control) + overhead;
                REQUIRE(greatest_burst(later, from, static_cast<double>(b.bytes)) <= bound);
            }
            // Nothing was committed any more: of each side's chunks those of higher priority come first.
            std::vector<std::int32_t> order;
            for (const auto& s : later) {
                if (s.from == from && is_bulk(s.what)) order.push_back(priority(from, bucket_of(s.what)));
            }
            REQUIRE(std::ranges::is_sorted(order, std::ranges::greater{}));
        }
    }
}
