// What the part `convergence` measures.
#pragma once

#include "measure/measurement.hpp"

namespace bench::convergence {

/// Virtual time. Parameters: replicas, topology ("star", "chain", "mesh"), seconds (apart), per_second (operations of each
/// replica), rtt_ms, mbit_per_s, folded.
rows measure_virtual(const json::object& parameters);

/// Two processes in network namespaces of their own, between them a shaped link. Parameters: operations (of each),
/// rtt_ms, mbit_per_s, scratch. One row; where the machine does not allow it, its `skipped` says why; where the kernel can
/// limit a rate but not delay, its rtt_ms is null.
rows measure_namespaces(const json::object& parameters);

/// From the commit at one replica until it is seen at another, over loopback TCP. Parameters: engine, samples, scratch.
rows measure_propagation(const json::object& parameters);

}  // namespace bench::convergence
