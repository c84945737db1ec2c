// What the part `opening` measures.
#pragma once

#include "measure/measurement.hpp"

namespace bench::opening {

/// A store on RocksDB with that many rows in one bucket: from the call that opens it until its first read has answered, each
/// time in a process of its own. Before, another has opened it, written the watermark, committed so many operations, and
/// closed it (the last number), or was killed by SIGKILL (each). Parameters: rows, commits (a list, ascending), times (that
/// each is opened), scratch.
rows measure_opening(const json::object& parameters);

}  // namespace bench::opening
