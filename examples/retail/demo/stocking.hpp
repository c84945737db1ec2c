// What a shop has to hold before orders can be played to it.
#pragma once

#include <string>
#include <vector>

#include "demo/orders.hpp"
#include "demo/traffic.hpp"
#include "shop.hpp"

namespace retail {

/// Describes every product, with the name and price of its first order line.
std::vector<client_request> product_requests(const order_set& input);

/// Bodies of POST /stock that bring these pieces in: a few products a request, each of which is one
/// transaction.
std::vector<std::string> delivery_bodies(const cart& pieces);

}  // namespace retail
