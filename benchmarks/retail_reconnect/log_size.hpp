// How long the log records of the workload's commits are.
#pragma once

#include <cstddef>

namespace bench::retail {

/// Bytes of key and value that one commit adds to the log, on average.
std::size_t log_bytes_per_commit();

}  // namespace bench::retail
