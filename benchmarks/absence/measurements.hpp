// What the part `absence` measures.
#pragma once

#include "measure/measurement.hpp"

namespace bench::absence {

/// A replica comes back to a bucket whose log has been cut without it. Parameters: engine ("memory", "rocksdb"), rows, and what
/// has happened meanwhile: changed and removed (rows each), where ("anywhere", "together": among neighbours), scratch.
rows measure_absence(const json::object& parameters);

/// A new replica gets a bucket over loopback, beside copying its rows in batches with RocksDB alone. Parameters: rows, scratch.
rows measure_bootstrap(const json::object& parameters);

}  // namespace bench::absence
