// Orders for the demo: read from a file of order lines, or made up.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "demo/csv.hpp"
#include "shop.hpp"

namespace retail {

struct order_set {
    std::vector<order> orders;  ///< in the order of their first lines
    std::size_t lines = 0;
    std::int64_t quantity = 0;
    std::vector<bad_line> skipped;
};

/// Order lines with the header
/// InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country.
/// An invoice's lines need not stand together; its date is that of the first. Throws std::runtime_error
/// where the header is another.
order_set parse_orders(std::string_view text);

/// The same of a file. Throws std::runtime_error where it cannot be read.
order_set read_orders(const std::filesystem::path& file);

/// Always the same ones, with cancellations and with products that stand twice in an order.
order_set generate_orders(std::size_t count);

}  // namespace retail
