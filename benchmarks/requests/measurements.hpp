// What the part `requests` measures.
#pragma once

#include "measure/measurement.hpp"

namespace bench::requests {

/// The operations of one side of `retail-reconnect`, each a client's request that the edge executes and the mesh mirrors to the
/// cloud, while the two cannot reach each other; then they meet. Parameters: engine ("memory", "rocksdb"), n, mirrored (of a
/// hundred; the others the mirror misses), scratch.
rows measure_requests(const json::object& parameters);

/// Reads of a counter with that many pending additions by requests, beside one without: parameter pending.
rows measure_pending_reads(const json::object& parameters);

}  // namespace bench::requests
