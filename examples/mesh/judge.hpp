// Compares what the replicas hold with what the clients were told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "purchase.hpp"
#include "shop.hpp"

namespace retail {

struct holdings {
    std::string name;
    std::vector<order> orders;
    std::map<std::string, std::int64_t> stock;
    std::string digest;
};

/// Counts of orders, or of products; one that is wrong at several replicas counts once.
struct findings {
    std::size_t acknowledged = 0;
    std::size_t missing = 0;               ///< acknowledged, and not there
    std::size_t doubled = 0;               ///< there more than once
    std::size_t refused_but_present = 0;   ///< by the gateway or by the shop
    std::size_t stock_wrong = 0;           ///< products
    std::vector<std::string> differences;  ///< each of these, and everything else that is not as it has to be
};

/// `delivered`: pieces of each product that were brought in, in all. An order whose client was told nothing
/// may be there, once, and then has taken its pieces; at one replica or at none it would have to be the same.
findings judge(const std::vector<purchase>& purchases, const cart& delivered,
               const std::vector<holdings>& replicas);

}  // namespace retail
