// What the part `paper` measures.
#pragma once

#include "measure/measurement.hpp"

namespace bench::paper {

/// A link cut and a reboot under load. Parameters: seconds, cut_seconds, down_seconds, per_second (requests, of both clients
/// together; 0: as fast as they are answered), scratch.
rows measure_faults(const json::object& parameters);

/// Large updates at one service. Parameters: bytes (of a request), seconds, replicated, scratch.
rows measure_large_updates(const json::object& parameters);

}  // namespace bench::paper
