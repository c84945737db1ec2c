#include "uuid.hpp"

#include <cstdint>
#include <cstdio>
#include <random>

namespace retail {

std::string uuid_v7(std::chrono::milliseconds time) {
    std::random_device random;
    const std::uint32_t a = random();
    const std::uint32_t b = random();
    const std::uint32_t c = random();
    const auto milliseconds = static_cast<std::uint64_t>(time.count());
    char text[40];
    std::snprintf(text, sizeof text, "%08x-%04x-7%03x-%04x-%04x%08x",
                  static_cast<unsigned>(milliseconds >> 16 & 0xffffffffU),
                  static_cast<unsigned>(milliseconds & 0xffffU), a & 0xfffU, 0x8000U | (a >> 12 & 0x3fffU),
                  b & 0xffffU, c);
    return text;
}

std::string uuid_v7() {
    return uuid_v7(std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch()));
}

}  // namespace retail
