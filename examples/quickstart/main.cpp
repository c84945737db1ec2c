#include <anabranch/cereal.hpp>
#include <anabranch/replica.hpp>
#include <anabranch/store.hpp>
#include <cereal/types/string.hpp>
#include <iostream>

struct order {
    std::string customer;
    std::uint32_t quantity = 0;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(customer, quantity);
    }
};

// One atomic transaction: it counts as a whole, here and on every replica.
anabranch::result<void> place(anabranch::bucket& shop, const std::string& id, const order& placed) {
    return shop.commit([&](anabranch::transaction& tx) {
        auto tea = tx.map("product").map("tea");
        tea.counter("sold").add(placed.quantity);
        tea.add_wins_set("orders").add(id);
        tx.map("order").map(id).last_writer<order>("head").set(placed);
    });
}

int main() {
    // store::open("/var/lib/shop") keeps it on disk. One creates the bucket, all others open it.
    auto cloud = anabranch::store::in_memory().value();
    auto edge = anabranch::store::in_memory().value();
    auto at_cloud = cloud.create_bucket("shop").value();
    auto at_edge = edge.bucket("shop").value();

    anabranch::replica listening(cloud, {.listen = "127.0.0.1:0"});
    anabranch::replica calling(edge, {});
    if (!listening.start() || !calling.start()) return 1;
    const auto address = "127.0.0.1:" + std::to_string(listening.port());

    // Once they have met edge is a member, and writes whether it reaches cloud or not.
    while (!at_edge.is_member()) calling.sync_once(address).value();

    // Both take orders, and know nothing of each other's.
    if (!place(at_edge, "e1", {"Ada", 2}) || !place(at_cloud, "c1", {"Grace", 5})) return 1;

    // Then they meet again. With replica_options::peers they would stay connected.
    auto report = calling.sync_once(address).value();
    std::cout << report.totals.transactions_sent << " sent, " << report.totals.transactions_received << " received\n";

    // Now both hold both: sold 7, orders c1 (Grace, 5) e1 (Ada, 2).
    for (const auto& shop : {at_edge, at_cloud}) {
        auto now = shop.snapshot().value();
        auto tea = now.map("product").map("tea");
        auto ids = tea.add_wins_set("orders").elements().value();
        std::cout << "sold " << tea.counter("sold").value().value() << ", orders";
        for (const auto& id : ids) {
            auto head = now.map("order").map(id).last_writer<order>("head").get().value().value();
            std::cout << ' ' << id << " (" << head.customer << ", " << head.quantity << ')';
        }
        std::cout << '\n';
    }
    return at_edge.digest().value() == at_cloud.digest().value() ? 0 : 1;
}
