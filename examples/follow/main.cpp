// A consumer of the change feed: what happens here, what comes from elsewhere, and what it has missed.
#include <atomic>
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
    }
    return steps;
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
    return 0;
}
