// The demo's story of a long absence: an edge that comes back when the log has long been cut without it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <stop_token>

#include "demo/absence_outcome.hpp"
#include "demo/orders.hpp"

namespace retail {

struct absence_options {
    std::filesystem::path directory;  ///< where both sides keep their stores
    std::size_t orders = 300'000;     ///< that both take while they are apart
    std::uint64_t log_limit = 4 * 1024 * 1024;   ///< bytes
    std::chrono::duration<double> deadline{60};  ///< to converge after the heal
};

/// Two instances of the shop in this process, with nothing between them but TCP: what is measured is the library, and not
/// HTTP. Orders come without a key, as in the shorter story: what came with one stays beside the log that is cut until nobody
/// may bring it again, and crosses, too. Prints what it does.
/// Fills `found` as far as it gets; throws interrupted where `stop` asks for it, and std::runtime_error where something cannot
/// go on.
void run_absence(const absence_options& options, const order_set& input, const std::stop_token& stop,
                 absence_outcome& found);

}  // namespace retail
