// Compares what a side holds with what was sent to both.
#pragma once

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "demo/side.hpp"
#include "shop.hpp"

namespace retail {

struct expectation {
    std::map<std::string, order> orders;
    std::map<std::string, std::int64_t> stock;  ///< of each product: brought in - sum of quantities
    std::map<std::string, std::vector<std::string>> customers;  ///< ids of each one's orders, sorted
};

/// Everything over HTTP. Adds a sentence to `differences` for each thing that is not as expected.
void verify(const side& checked, const expectation& expected, std::vector<std::string>& differences,
            const std::stop_token& stop);

/// GET /digest.
std::string read_digest(const side& checked);

}  // namespace retail
