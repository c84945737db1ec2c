// What the part `opening` measures.
#pragma once

#include "measure/measurement.hpp"

namespace bench::opening {

/// A store on RocksDB with that many rows in one bucket: from the call that opens it until its first read has answered, each
/// time in a process of its own. After it was closed, and after it was killed (SIGKILL) having committed so many
/// operations since the last watermark. Parameters: rows, commits (a list), times (that each is opened), scratch.
rows measure_opening(const json::object& parameters);

}  // namespace bench::opening
