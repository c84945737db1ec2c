// A mesh sends each order to edge and mirrors it to the cloud, which do not reach each other: each order counts once.
#include <chrono>
#include <iostream>
#include <string>

#include "../two_replicas.hpp"

// The closure runs at most once at each replica. What the client was told stands, wherever else it ran.
anabranch::result<anabranch::receipt> place(anabranch::bucket& at, const anabranch::request& asked, std::int64_t pieces) {
    return at.commit(asked, [&](anabranch::transaction& tx) -> anabranch::result<std::string> {
        if (!tx.map("tea").bounded_counter("stock").spend(pieces)) return tx.refuse("out of stock");
        tx.map("order").map(asked.id()).counter("pieces").add(pieces);
        return asked.id();  // the answer, stored: also for the client's next try
    });
}

namespace {

using anabranch::bucket;
using anabranch::request;
using anabranch::request_outcome;

/// As an HTTP service has it from headers (docs/http.md): the customer's key, and when she made it up.
request request_of(const std::string& key, anabranch::request_role role = anabranch::request_role::primary) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return {.tenant = "shop", .principal = "Ada", .key = key, .issued = std::chrono::duration_cast<std::chrono::milliseconds>(now), .role = role};
}

request copy_of(const std::string& key) { return request_of(key, anabranch::request_role::mirror); }

bool deliver(bucket& at, std::int64_t pieces) {
    return at.commit([&](anabranch::transaction& tx) { tx.map("tea").bounded_counter("stock").add(pieces); }).has_value();
}

bool holds(const bucket& at, std::int64_t stock, std::size_t orders) {
    return at.read([](const auto& shop) { return shop.map("tea").bounded_counter("stock").value(); }) == stock &&
           at.read([](const auto& shop) { return shop.map("order").fields(); }).value().size() == orders;
}

int give_up(const char* what) {
    std::cerr << "mirrored: " << what << '\n';
    return 1;
}

}  // namespace

int main() {
    two_replicas both_sides;
    if (!both_sides.start()) return give_up("no network");
    auto& at_cloud = both_sides.at_cloud;
    auto& at_edge = both_sides.at_edge;
    if (!deliver(at_edge, 10) || !deliver(at_cloud, 20)) return give_up("no tea came in");
    both_sides.meet();

    // From here on they do not reach each other. Both run the first order.
    const auto told = place(at_edge, request_of("first"), 2);
    if (!told || told->outcome != request_outcome::committed) return give_up("edge did not sell");
    if (!place(at_cloud, copy_of("first"), 2) || !holds(at_cloud, 28, 1)) return give_up("cloud did not run the copy");
    // Edge may sell ten pieces and refuses the second one. Cloud may sell twenty.
    const auto refused = place(at_edge, request_of("second"), 12);
    if (!refused || refused->outcome != request_outcome::refused) return give_up("edge did not refuse");
    if (!place(at_cloud, copy_of("second"), 12) || !holds(at_cloud, 16, 2)) return give_up("cloud did not run the other copy");
    std::cout << "apart: edge has sold 2 and refused 12, cloud has sold 2 and 12\n";

    both_sides.meet();
    for (const auto& shop : {at_edge, at_cloud}) {
        if (!holds(shop, 28, 1)) return give_up("it did not count once");
    }
    std::cout << "they meet: one order of 2, a stock of 28 at both\n";

    // Her answer was lost. She tries again, and the mesh fails over to the cloud.
    const auto again = place(at_cloud, request_of("first"), 2);
    if (!again || !again->is_repeat || again->result != told->result || !holds(at_cloud, 28, 1)) return give_up("the repeat was not the first one");
    std::cout << "the same again, at the cloud: the answer of edge, " << again->result << '\n';
    return 0;
}
