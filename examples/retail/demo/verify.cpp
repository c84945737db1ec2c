#include "demo/verify.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "demo/reading.hpp"
#include "demo/traffic.hpp"
#include "json.hpp"

namespace retail {

namespace json = boost::json;

namespace {

template <class T>
std::vector<std::string> names_of(const std::map<std::string, T>& map) {
    std::vector<std::string> names;
    for (const auto& [name, value] : map) names.push_back(name);
    return names;
}

}  // namespace

void verify(const side& checked, const expectation& expected, std::vector<std::string>& differences,
            const std::stop_token& stop) {
    http_client client(checked.http_port());
    const auto report = [&](const std::string& what) { differences.push_back(checked.name() + ": " + what); };

    const auto listed = list_orders(client, "/orders");
    const auto wanted = names_of(expected.orders);
    std::vector<std::string> difference;
    std::set_difference(wanted.begin(), wanted.end(), listed.begin(), listed.end(),
                        std::back_inserter(difference));
    for (const auto& id : difference) report("order " + id + " is missing");
    difference.clear();
    std::set_difference(listed.begin(), listed.end(), wanted.begin(), wanted.end(),
                        std::back_inserter(difference));
    for (const auto& id : difference) report("order " + id + " was never sent, or is listed twice");

    for (const auto& id : listed) {
        if (stop.stop_requested()) throw interrupted();
        const auto found = expected.orders.find(id);
        if (found == expected.orders.end()) continue;
        const json::value stored = read_json(client, "/orders/" + percent_encoded(id));
        if (parse_order(stored.as_object()) != found->second)
            report("order " + id + " is not as it was sent");
    }

    std::map<std::string, std::int64_t> stock;
    for (const auto& item : list_items(client, "/products", "products")) {
        stock.emplace(item.at("sku").as_string(), item.at("stock").as_int64());
    }
    for (const auto& [sku, pieces] : expected.stock) {
        const auto found = stock.find(sku);
        if (found == stock.end()) {
            report("product " + sku + " is missing");
        } else if (found->second != pieces) {
            report("product " + sku + " has a stock of " + std::to_string(found->second) + " instead of " +
                   std::to_string(pieces));
        }
    }
    if (stock.size() > expected.stock.size()) report("there are products that were never sent");

    for (const auto& [customer, ids] : expected.customers) {
        if (stop.stop_requested()) throw interrupted();
        if (list_orders(client, "/customers/" + percent_encoded(customer) + "/orders") != ids) {
            report("customer " + customer + " has other orders than were sent");
        }
    }
}

std::string read_digest(const side& checked) {
    http_client client(checked.http_port(), std::chrono::seconds(60));
    return std::string(read_json(client, "/digest").at("digest").as_string());
}

}  // namespace retail
