// Random bytes from the environment.
#pragma once

#include <anabranch/environment.hpp>
#include <array>
#include <cstdint>

namespace anabranch {

inline std::array<std::uint8_t, 16> random_bytes(const environment& env) {
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
        auto bits = env.random();
        for (std::size_t k = 0; k < 8; ++k, bits >>= 8) bytes[i + k] = static_cast<std::uint8_t>(bits);
    }
    return bytes;
}

}  // namespace anabranch
