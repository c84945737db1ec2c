// A consumer of the change feed: what happens here, what comes from elsewhere, what it has missed, and which answers to
// requests do not hold.
#include <atomic>
#include <chrono>
#include <iostream>
#include <vector>

#include "../two_replicas.hpp"

using anabranch::change_cause;
using anabranch::feed_step;

namespace {

bool sell(anabranch::bucket& till, const std::string& product) {
    return till.commit([&](auto& tx) { tx.map("product").map(product).counter("sold").add(1); }).has_value();
}

/// What has happened since the last time, which it prints.
std::vector<feed_step> pull(anabranch::feed& changes) {
    std::vector<feed_step> steps;
    for (bool more = true; more;) {
        auto batch = changes.pull().value();  // errc::behind_cut: it comes too late, read the bucket anew
        more = batch.more;
        for (auto& step : batch.steps) steps.push_back(std::move(step));
    }
    for (const auto& step : steps) {
        std::uint64_t transactions = step.ranges.empty() ? 1 : 0;
        for (const auto& range : step.ranges) transactions += range.last - range.first + 1;
        std::cout << (step.cause == change_cause::local    ? "  local,    "
                      : step.cause == change_cause::remote ? "  remote,   "
                                                           : "  catch-up, ")
                  << transactions << " transaction(s):";
        for (const auto& change : step.changes) {
            for (std::size_t i = 0; i < change.path.size(); ++i)
                std::cout << (i > 0 ? '/' : ' ') << change.path[i].name;
        }
        std::cout << '\n';
        for (const auto& event : step.superseded) {
            std::cout << "    was answered with \"" << event.loser.result << "\", and \"" << event.winner.result
                      << "\" stands\n";
        }
    }
    return steps;
}

/// The mesh runs one order at both sides. Each decides for itself, as they cannot reach each other.
bool place(anabranch::bucket& till, anabranch::request order, anabranch::request_role role, std::int64_t amount) {
    order.role = role;
    const auto sell = [&](anabranch::transaction& tx) -> anabranch::result<std::string> {
        tx.map("product").map("tea").counter("sold").add(amount);
        return std::to_string(amount) + " of tea";
    };
    return till.commit(order, sell).has_value();
}

int give_up(const char* what) {
    std::cerr << "follow: " << what << '\n';
    return 1;
}

}  // namespace

int main() {
    two_replicas both_sides;
    if (!both_sides.start()) return give_up("no network");
    auto& edge = both_sides.edge;
    auto& at_cloud = both_sides.at_cloud;
    auto& at_edge = both_sides.at_edge;
    const auto meet = [&] { both_sides.meet(); };

    const std::vector<anabranch::field> products{{"product", anabranch::field_type::map}};
    std::string token;
    {
        std::atomic<int> wakes = 0;  // a real consumer waits for it: see examples/retail/shop.cpp
        auto changes = at_cloud.watch(products, [&] { ++wakes; }).value();
        std::cout << "cloud sells tea\n";
        if (!sell(at_cloud, "tea")) return give_up("cloud did not sell");
        if (wakes != 1) return give_up("the feed does not wake");
        const auto own = pull(changes);
        if (own.size() != 1 || own[0].cause != change_cause::local) return give_up("not one local step");

        std::cout << "edge sells milk, and they meet\n";
        if (!sell(at_edge, "milk")) return give_up("edge did not sell");
        meet();
        const auto others = pull(changes);
        if (others.size() != 1 || others[0].cause != change_cause::remote ||
            others[0].transaction.origin != edge.id()) {
            return give_up("not one step of edge");
        }
        token = changes.token().value();
    }
    std::cout << "the consumer stops, and keeps its token; edge sells 100 times, cloud once, and they meet\n";
    for (int i = 0; i < 100; ++i) {
        if (!sell(at_edge, i % 2 == 0 ? "tea" : "milk")) return give_up("edge did not sell");
    }
    meet();
    if (!sell(at_cloud, "tea")) return give_up("cloud did not sell");

    // So many at once cross the network as what they come to: that is one step.
    std::cout << "the consumer goes on from its token\n";
    auto resumed = at_cloud.resume(token, products).value();
    const auto missed = pull(resumed);
    if (missed.size() != 2 || missed[0].cause != change_cause::catch_up) return give_up("no catch-up");
    if (missed[0].ranges != std::vector<feed_step::range>{{edge.id(), 2, 101}}) return give_up("not of 100");
    if (missed[1].cause != change_cause::local || !pull(resumed).empty()) return give_up("not each once");
    std::cout << "everything once, and nothing twice\n";

    std::cout << "cloud runs the mirrored copy of an order, edge the order itself, and they meet\n";
    anabranch::request order{.tenant = "shop", .principal = "17850", .key = "order 1"};
    order.issued = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    if (!place(at_cloud, order, anabranch::request_role::mirror, 2)) return give_up("cloud did not place it");
    const auto mirrored = pull(resumed);
    if (mirrored.size() != 1 || !mirrored[0].executions.at(0).is_unconfirmed) return give_up("not unconfirmed");
    if (!place(at_edge, order, anabranch::request_role::primary, 1)) return give_up("edge did not place it");
    meet();
    const auto told = pull(resumed);
    if (told.size() != 1 || told[0].superseded.size() != 1) return give_up("nobody is told what does not hold");
    if (told[0].superseded != at_cloud.superseded().value()) return give_up("who asks is told something else");
    return 0;
}
