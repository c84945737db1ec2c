#include "driver/part.hpp"

namespace bench {

std::span<const part> parts() {
    static constexpr part all[] = {
        {"retail-reconnect", "two replicas that were apart, beside the peers and bare RocksDB", retail::run_part, true},
        {"convergence", "time to converge against conditions, and live propagation", convergence::run_part},
        {"paper", "two services through a link cut and a reboot, and large updates", paper::run_part},
        {"disk", "what a store's directory holds beside its live state", disk::run_part, true},
        {"opening", "how long a store with many rows takes to open", opening::run_part},
        {"requests", "what identities cost, and what mirrored requests send once more", requests::run_part, true},
        {"absence", "coming back behind the cut of the log, and beginning with nothing", absence::run_part},
        {"micro", "single operations, and how their cost grows", micro::run_part},
    };
    return all;
}

}  // namespace bench
