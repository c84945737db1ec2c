// Histories on RocksDB with a kill in the middle.
#pragma once

#include "simulation/world.hpp"

namespace anabranch::simulation {

/// Runs the history of a seed on RocksDB in a child process that is killed (SIGKILL) at some write, follows
/// it in memory up to the same write, opens what the child left, and goes on from there. Throws a violation.
world_outcome run_with_kill(std::uint64_t seed, world_options options);

}  // namespace anabranch::simulation
