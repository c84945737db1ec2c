// Reads all that two instances of the shop hold after a long absence.
#pragma once

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>

#include "demo/local_shop.hpp"
#include "demo/repeated_orders.hpp"

namespace retail {

struct audit_result {
    std::size_t orders = 0;    ///< listed
    std::size_t exact[2]{};    ///< of those taken while apart, by edge and by cloud: there and as they were sent
    std::size_t rows = 0;      ///< of orders, customers' orders and products
    std::map<std::string, std::int64_t> stock;
    std::vector<std::string> differences;
};

/// Which side takes the i-th order: edge every tenth one.
constexpr std::size_t edge_side = 0;
constexpr std::size_t cloud_side = 1;
constexpr std::size_t side_of(std::size_t i) { return i % 10 == 9 ? edge_side : cloud_side; }

/// Compares with the first `count` orders, of which those from `apart` on were taken while the two were apart.
audit_result audit(const local_shop& at, const repeated_orders& orders, std::size_t apart, std::size_t count,
                   const std::stop_token& stop);

}  // namespace retail
