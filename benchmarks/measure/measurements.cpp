#include "measure/measurement.hpp"
#include "micro/measurements.hpp"
#include "retail_reconnect/measurements.hpp"

namespace bench {

std::span<const measurement> measurements() {
    static constexpr measurement all[] = {
        {"reconnect", retail::measure_reconnect},
        {"floor", retail::measure_floor},
        {"micro", micro::measure_operations},
    };
    return all;
}

}  // namespace bench
