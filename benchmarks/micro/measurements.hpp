// Single operations, by Google Benchmark.
#pragma once

#include "measure/measurement.hpp"

namespace bench::micro {

/// Parameters: engine ("memory": everything; "rocksdb": what depends on it), seconds (that each benchmark takes at least),
/// most (elements of the largest object), scratch. May have: filter, a regular expression: only these, for a profiler.
rows measure_operations(const json::object& parameters);

class workshop;

/// The sizes of objects: 10 and its powers up to `most`.
void register_store_operations(workshop& shop, std::int64_t most);
void register_row_operations();
void register_folds();
void register_growth(workshop& shop, std::int64_t most);

}  // namespace bench::micro
