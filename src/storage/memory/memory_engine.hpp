// The storage engine that keeps everything in memory.
#pragma once

#include "storage/engine.hpp"

namespace anabranch::storage {

std::unique_ptr<engine> open_memory();

}  // namespace anabranch::storage
