// Single operations, by Google Benchmark.
#pragma once

#include "measure/measurement.hpp"

namespace bench::micro {

/// Parameters: seconds (that each benchmark takes at least), most (elements of the largest object), scratch.
rows measure_operations(const json::object& parameters);

/// The sizes of objects: 10 and its powers up to `most`.
void register_store_operations(std::int64_t most);
void register_row_operations();
void register_growth(std::int64_t most);

}  // namespace bench::micro
