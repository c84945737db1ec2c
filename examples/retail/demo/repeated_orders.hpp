// As many orders as are asked for, out of those that there are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "demo/orders.hpp"

namespace retail {

/// Orders of one line each: every line of a set, and then as many again as are wanted, with the customers of the same lines
/// and what is ordered drawn from the whole set. What is the same again and again would be compressed to nothing, and no
/// shop sells that.
class repeated_orders {
  public:
    explicit repeated_orders(const order_set& input);

    order at(std::size_t i) const;
    /// Which of lines() the i-th order has.
    std::size_t line_of(std::size_t i) const;
    /// All that the set has.
    const std::vector<order_line>& lines() const { return lines_; }

  private:
    struct invoice {
        std::string id;
        order_head head;
    };
    std::vector<invoice> invoices_;
    std::vector<order_line> lines_;
    std::vector<std::size_t> invoice_of_;  // of each line
};

}  // namespace retail
