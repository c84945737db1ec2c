// What the part `retail-reconnect` measures, each in a process of its own.
#pragma once

#include "measure/measurement.hpp"

namespace bench::retail {

/// The workload on this library. Parameters: engine ("memory", "rocksdb"), n, folded, scratch.
rows measure_reconnect(const json::object& parameters);

/// Bare RocksDB, and beside it commits that wait for the disk. Parameters: system (of floor_systems), n, scratch.
rows measure_floor(const json::object& parameters);
std::span<const std::string_view> floor_systems();

}  // namespace bench::retail
