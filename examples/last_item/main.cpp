// Two tills, one last item, no connection: one sells it, the other one knows at once that it may not.
#include <iostream>

#include "../two_replicas.hpp"

using anabranch::bucket;
using anabranch::transaction;

namespace {

/// What may still be sold there afterwards; or why nothing was sold, and who could.
anabranch::granted<std::int64_t> sell(bucket& till, std::int64_t pieces) {
    anabranch::granted<std::int64_t> left;
    const auto done = till.commit([&](transaction& tx) -> anabranch::result<void> {
        left = tx.map("lamp").bounded_counter("stock").spend(pieces);
        if (!left) return fail(left.error());  // nothing else of this transaction counts, either
        return {};
    });
    if (!done && left) return tl::unexpected(anabranch::refusal{done.error(), pieces, 0, {}});  // a full disk
    return left;
}

bool deliver(bucket& till, std::int64_t pieces) {
    return till.commit([&](transaction& tx) { tx.map("lamp").bounded_counter("stock").add(pieces); })
        .has_value();
}

bool is_stock(std::int64_t expected, const bucket& till) {
    return till.read([](const auto& shop) { return shop.map("lamp").bounded_counter("stock").value(); }) ==
           expected;
}

int give_up(const char* what) {
    std::cerr << "last_item: " << what << '\n';
    return 1;
}

}  // namespace

int main() {
    two_replicas both_sides;
    if (!both_sides.start()) return give_up("no network");
    auto& at_cloud = both_sides.at_cloud;
    auto& at_edge = both_sides.at_edge;
    const auto meet = [&] {  // more than once: what one asks for, the other one sends the next time
        for (int i = 0; i < 3; ++i) both_sides.meet();
    };

    // Who adds to the stock has the right to sell it.
    if (!deliver(at_edge, 1)) return give_up("the lamp did not come in");
    meet();
    if (!is_stock(1, at_cloud)) return give_up("cloud does not see the lamp");
    std::cout << "one lamp, at edge; cloud sees it, too\n";

    // From here on they do not reach each other, and both have a customer.
    const auto refused = sell(at_cloud, 1);
    if (refused || !refused.error().is_elsewhere()) return give_up("cloud was not refused edge's lamp");
    std::cout << "cloud refuses: " << refused.error().message << '\n';
    const auto sold = sell(at_edge, 1);
    if (!sold) return give_up("edge did not sell it");
    std::cout << "edge sells it, and has " << *sold << " left\n";

    meet();
    if (!is_stock(0, at_cloud) || !is_stock(0, at_edge)) return give_up("the stock is not 0");
    std::cout << "they meet: a stock of 0 at both, and no order that has to be taken back\n";

    // Ten more come in. Cloud is refused two of them, and has asked for them by that.
    if (!deliver(at_edge, 10)) return give_up("no lamps came in");
    meet();
    if (sell(at_cloud, 2)) return give_up("cloud sold what edge may sell");
    meet();
    const auto later = sell(at_cloud, 2);
    if (!later) return give_up("no rights were sent");
    std::cout << "ten more at edge; cloud refuses two, they meet, and cloud sells two\n";
    meet();
    if (!is_stock(8, at_cloud) || !is_stock(8, at_edge)) return give_up("the stock is not 8");
    std::cout << "a stock of 8 at both\n";
    return 0;
}
