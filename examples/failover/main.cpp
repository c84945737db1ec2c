// A client that moves to another instance is not answered from before what it has done.
#include <iostream>
#include <string>

#include "../two_replicas.hpp"

using anabranch::bucket;
using anabranch::session_token;
using anabranch::transaction;

namespace {

/// Writes at an instance; returns the token for the next request, which holds what the old one held.
anabranch::result<std::string> add_to_cart(bucket& at, const char* product, const std::string& old) {
    auto session = old.empty() ? session_token{} : at.unseal(old).value();
    auto done = at.commit([&](transaction& tx) {
        tx.map("cart").counter(product).add(1);
        return anabranch::result<anabranch::transaction_id>(tx.id());
    });
    if (!done) return fail(done.error());
    session.add(*done);
    return at.seal(session);
}

std::size_t cart_size(const bucket& at) {
    return at.read([](const auto& shop) { return shop.map("cart").fields(); }).value().size();
}

int give_up(const char* what) {
    std::cerr << "failover: " << what << '\n';
    return 1;
}

}  // namespace

int main() {
    two_replicas both_sides;
    if (!both_sides.start()) return give_up("no network");
    auto& at_cloud = both_sides.at_cloud;
    auto& at_edge = both_sides.at_edge;
    const auto meet = [&] { both_sides.meet(); };

    std::string token;
    for (const char* product : {"tea", "milk", "sugar"}) {
        auto next = add_to_cart(at_edge, product, token);
        if (!next) return give_up("edge did not write");
        token = *next;
        std::cout << "edge:  " << product << " is in the cart; the client's token is " << token << '\n';
    }

    // Edge is gone, and the client asks the cloud.
    auto session = at_cloud.unseal(token);
    if (!session) return give_up("cloud cannot read the token");
    const auto behind = at_cloud.wait_for(*session, std::chrono::milliseconds{50});
    if (!behind || *behind != 3 || cart_size(at_cloud) != 0) return give_up("cloud is not behind by 3");
    std::cout << "cloud: behind by " << *behind << " transactions, and does not show an empty cart\n";

    meet();
    const auto left = at_cloud.wait_for(*session, std::chrono::milliseconds{50});
    if (!left || *left != 0 || cart_size(at_cloud) != 3) return give_up("cloud has not caught up");
    std::cout << "cloud: caught up, " << cart_size(at_cloud) << " products in the cart\n";

    // What it does here joins what it did there.
    auto next = add_to_cart(at_cloud, "bread", token);
    if (!next) return give_up("cloud did not write");
    const auto missing = at_edge.missing(at_edge.unseal(*next).value());
    if (!missing || *missing != 1) return give_up("edge is not behind by 1");
    std::cout << "cloud: bread is in the cart; now edge is behind by " << *missing << '\n';

    auto forged = *next;
    forged.back() = forged.back() == 'A' ? 'B' : 'A';
    const auto refused = at_cloud.unseal(forged);
    if (refused) return give_up("a forged token counts");
    std::cout << "cloud: " << refused.error().message << '\n';
    return 0;
}
