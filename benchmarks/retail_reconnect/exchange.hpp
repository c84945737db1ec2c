// Two stores meet through byte buffers.
#pragma once

#include <anabranch/session.hpp>
#include <cstdint>

namespace bench::retail {

struct traffic {
    std::uint64_t edge_to_cloud = 0;
    std::uint64_t cloud_to_edge = 0;
    unsigned flights = 0;
    std::uint64_t bytes() const { return edge_to_cloud + cloud_to_edge; }
    double round_trips() const { return flights / 2.0; }
};

/// A new session until both sides have the same on disk and say nothing more. In a flight each side says all that it
/// can before it hears the other, so their number is how often the latency of a link would be paid, twice over.
traffic reconnect(const anabranch::store& edge, const anabranch::store& cloud,
                  const anabranch::session_options& options);

}  // namespace bench::retail
