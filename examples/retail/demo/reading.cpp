#include "demo/reading.hpp"

#include <boost/json.hpp>

namespace retail {

namespace json = boost::json;

json::value read_json(http_client& client, const std::string& target) {
    const auto answer = client.get(target);
    if (answer.status != 200) {
        throw std::runtime_error("GET " + target + " was answered with " + std::to_string(answer.status) +
                                 ": " + answer.body);
    }
    return json::parse(answer.body);
}

std::vector<json::value> list_items(http_client& client, const std::string& resource,
                                    const std::string& member) {
    std::vector<json::value> items;
    for (std::string after;;) {
        const json::value page = read_json(client, resource + "?limit=1000" + after);
        const json::array& found = page.at(member).as_array();
        items.insert(items.end(), found.begin(), found.end());
        if (page.at("next").is_null()) return items;
        after = "&after=" + percent_encoded(std::string(page.at("next").as_string()));
    }
}

std::vector<std::string> list_orders(http_client& client, const std::string& resource) {
    std::vector<std::string> names;
    for (const auto& item : list_items(client, resource, "orders")) names.emplace_back(item.as_string());
    return names;
}

}  // namespace retail
