#include "demo/stocking.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

namespace retail {

std::vector<client_request> product_requests(const order_set& input) {
    std::vector<client_request> requests;
    std::set<std::string> described;
    for (const auto& placed : input.orders) {
        for (const auto& line : placed.lines) {
            if (!described.insert(line.sku).second) continue;
            const boost::json::object body{{"name", line.description}, {"price", to_string(line.price)}};
            requests.push_back(
                {"PUT", "/products/" + percent_encoded(line.sku), boost::json::serialize(body)});
        }
    }
    return requests;
}

std::vector<std::string> delivery_bodies(const cart& pieces) {
    std::vector<std::string> bodies;
    boost::json::array items;
    const auto finish = [&] {
        if (items.empty()) return;
        bodies.push_back(boost::json::serialize(boost::json::object{{"items", items}}));
        items.clear();
    };
    for (const auto& [sku, count] : pieces) {
        for (auto left = count; left > 0; left -= max_quantity) {
            items.push_back({{"sku", sku}, {"add", std::min(left, max_quantity)}});
            if (items.size() == max_deliveries) finish();
        }
    }
    finish();
    return bodies;
}

}  // namespace retail
