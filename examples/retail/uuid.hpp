// Names that nobody else makes up.
#pragma once

#include <chrono>
#include <string>

namespace retail {

/// An RFC 9562 UUID, version 7: `time` since 1970, then random bits.
std::string uuid_v7(std::chrono::milliseconds time);
/// Of this moment.
std::string uuid_v7();

}  // namespace retail
