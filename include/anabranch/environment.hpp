// What the library takes from outside itself: time and randomness. Tests hand in their own.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace anabranch {

/// Time and randomness. Both functions are called from any thread that uses the store or a replica.
struct environment {
    /// Wall clock: milliseconds since 1970-01-01 UTC. May jump; nothing relies on it being monotone.
    std::function<std::chrono::milliseconds()> now;
    /// 64 uniformly random bits.
    std::function<std::uint64_t()> random;

    /// The system's clock and its entropy source.
    static environment system();
};

}  // namespace anabranch
