#include <anabranch/environment.hpp>
#include <random>

namespace anabranch {

environment environment::system() {
    return {
        [] {
            return std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::system_clock::now().time_since_epoch());
        },
        [] {
            // One device a thread: random_device is not thread-safe.
            thread_local std::random_device device;
            return static_cast<std::uint64_t>(device()) << 32 | device();
        },
    };
}

}  // namespace anabranch
