// Work in processes of its own: RocksDB's threads do not survive a fork, so whoever forks must never have opened one.
#pragma once

#include <functional>

#include "measure/measurement.hpp"

namespace bench::opening {

/// What the work says. Throws std::runtime_error where it fails.
row run_apart(const std::function<row()>& work);
void run_to_end(const std::function<void()>& work);
/// The work ends with a SIGKILL, everything in it being open.
void run_and_kill(const std::function<void()>& work);

}  // namespace bench::opening
