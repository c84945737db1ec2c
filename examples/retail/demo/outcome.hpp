// What a run of the demo found, and how it is told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retail {

/// A product of one piece, sold at two tills that do not reach each other.
struct last_item {
    std::size_t sold = 0;
    std::size_t refused = 0;        ///< at the till, at once
    std::size_t refused_later = 0;  ///< sold, and gone when the two had met
    std::int64_t stock = -1;        ///< in the end, at both; -1: not known, or not the same

    bool operator==(const last_item&) const = default;
};

struct outcome {
    bool converged = false;  ///< both sides hold the same, and exactly what was sent
    std::size_t orders = 0;
    std::size_t lines = 0;
    std::int64_t quantity = 0;
    std::size_t skipped = 0;
    std::size_t products = 0;
    std::string digest_edge;
    std::string digest_cloud;
    std::uint64_t edge_behind = 0;  ///< when the link was healed
    std::uint64_t cloud_behind = 0;
    std::uint64_t transactions = 0;  ///< that crossed the link after it was healed
    std::uint64_t transactions_in_all = 0;
    std::uint64_t bytes = 0;  ///< that crossed the link after it was healed, both ways
    std::uint64_t bytes_in_all = 0;
    double seconds_to_converge = 0;  ///< after the link was healed; negative where they did not
    double requests_per_second = 0;  ///< while nothing held them back
    std::size_t unanswered = 0;      ///< requests in flight when edge was killed
    std::size_t found_done = 0;      ///< of these, those that had been committed
    last_item last;
    std::vector<std::string> differences;
};

std::string to_table(const outcome& found);

/// One object: converged, orders, lines, quantity, skipped, digest_edge, digest_cloud, transactions, bytes
/// (the two of these after the link was healed), seconds_to_converge (null where they did not) and last_item.
std::string to_json_text(const outcome& found);

}  // namespace retail
