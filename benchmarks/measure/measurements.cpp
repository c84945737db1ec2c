#include "measure/measurement.hpp"

#include "absence/measurements.hpp"
#include "convergence/measurements.hpp"
#include "disk/measurements.hpp"
#include "micro/measurements.hpp"
#include "opening/measurements.hpp"
#include "paper/measurements.hpp"
#include "requests/measurements.hpp"
#include "retail_reconnect/measurements.hpp"

namespace bench {

std::span<const measurement> measurements() {
    static constexpr measurement all[] = {
        {"reconnect", retail::measure_reconnect},
        {"floor", retail::measure_floor},
        {"virtual", convergence::measure_virtual},
        {"namespaces", convergence::measure_namespaces},
        {"propagation", convergence::measure_propagation},
        {"disk", disk::measure_disk},
        {"opening", opening::measure_opening},
        {"faults", paper::measure_faults},
        {"large-updates", paper::measure_large_updates},
        {"requests", requests::measure_requests},
        {"absence", absence::measure_absence},
        {"bootstrap", absence::measure_bootstrap},
        {"pending-reads", requests::measure_pending_reads},
        {"micro", micro::measure_operations},
    };
    return all;
}

}  // namespace bench
