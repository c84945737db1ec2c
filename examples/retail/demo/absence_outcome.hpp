// What a run of the demo with a long absence found, and how it is told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retail {

struct absence_outcome {
    bool converged = false;  ///< every check has held
    std::size_t orders_before = 0;  ///< at both sides when the link was cut
    std::size_t orders_edge = 0;    ///< taken while they were apart
    std::size_t orders_cloud = 0;
    double seconds_apart = 0;
    std::uint64_t log_limit = 0;  ///< bytes
    std::size_t orders_in_log = 0;  ///< the last of cloud's orders, that its log still holds at the end of the absence
    std::uint64_t log_uncut = 0;    ///< bytes that all of them would take, judged by those; 0: not known
    bool was_left_behind = false;   ///< cloud had named edge a laggard, and cut its log without it
    std::uint64_t bytes_to_edge = 0;  ///< after the link was healed
    std::uint64_t bytes_to_cloud = 0;
    std::uint64_t round_trips = 0;
    double seconds_to_converge = -1;  ///< after the link was healed; negative where they did not
    double cpu_seconds = 0;           ///< meanwhile, of both sides and of the link between them
    std::size_t rows = 0;             ///< in the end, at either side
    std::string digest_edge;
    std::string digest_cloud;
    std::size_t edge_orders_at_cloud = 0;  ///< of those taken while they were apart, the ones that arrived as they were
    std::size_t cloud_orders_at_edge = 0;
    std::size_t products = 0;
    std::size_t products_exact = 0;  ///< have the right stock at both sides
    std::vector<std::string> differences;
};

std::string to_table(const absence_outcome& found);

/// One object with these figures; seconds_to_converge is null where they did not.
std::string to_json_text(const absence_outcome& found);

}  // namespace retail
