// The run: orders through the gateway, while one fault after the other happens.
#pragma once

#include <stop_token>

#include "demo/orders.hpp"
#include "mesh.hpp"
#include "report.hpp"

namespace retail {

struct story_options {
    std::size_t orders = 0;  ///< of the input; shared among the faults
    double per_second = 15;
    bool has_identity = true;
    unsigned gateway_per_second = 0;  ///< requests that the gateway lets through
};

/// Fills `told` as far as it gets; what goes wrong on the way is a difference. Throws interrupted, and
/// std::runtime_error where it did not get through the first fault.
void tell_story(const story_options& options, mesh& played, network& net, const order_set& input,
                const std::stop_token& stop, report& told);

}  // namespace retail
