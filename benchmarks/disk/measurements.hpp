// What the part `disk` measures.
#pragma once

#include "measure/measurement.hpp"

namespace bench::disk {

/// Two members in sync on RocksDB, many operations on few keys: what their directories hold. Parameters: n (operations,
/// of both together), keys, sync_every (operations), scratch.
rows measure_disk(const json::object& parameters);

}  // namespace bench::disk
