// Reads what an instance holds, over HTTP.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "demo/http_client.hpp"

namespace retail {

// All of these throw no_answer, and std::runtime_error where the answer is not 200.

boost::json::value read_json(http_client& client, const std::string& target);

/// All items of a listing, page by page.
std::vector<boost::json::value> list_items(http_client& client, const std::string& resource,
                                           const std::string& member);

/// Ids of orders: of "/orders", or of a customer.
std::vector<std::string> list_orders(http_client& client, const std::string& resource);

}  // namespace retail
