#include "measure/cost.hpp"

#include <time.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

namespace bench {

double process_cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double peak_rss_mib() {
    constexpr std::string_view field = "VmHWM:";
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(field)) return std::strtod(line.c_str() + field.size(), nullptr) / 1024;
    }
    throw std::runtime_error("/proc/self/status has no VmHWM");
}

}  // namespace bench
