#include "measure/measurement.hpp"
#include "retail_reconnect/measurements.hpp"

namespace bench {

std::span<const measurement> measurements() {
    static constexpr measurement all[] = {
        {"reconnect", retail::measure_reconnect},
        {"floor", retail::measure_floor},
    };
    return all;
}

}  // namespace bench
