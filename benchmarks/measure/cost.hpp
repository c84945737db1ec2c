// What a stretch of work costs: wall-clock and CPU seconds, and the memory of the process.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

namespace bench {

struct cost {
    double wall = 0;
    double cpu = 0;  // of the whole process, so that threads in the background count

    cost& operator+=(const cost& other) {
        wall += other.wall;
        cpu += other.cpu;
        return *this;
    }
    friend cost operator+(cost a, const cost& b) { return a += b; }
};

double process_cpu_seconds();
/// VmHWM: the most memory that the process has had resident so far.
double peak_rss_mib();

class stopwatch {
  public:
    cost elapsed() const {
        const auto wall = std::chrono::steady_clock::now() - begin_;
        return {std::chrono::duration<double>(wall).count(), process_cpu_seconds() - cpu_};
    }

  private:
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    double cpu_ = process_cpu_seconds();
};

template <class Work>
cost time_of(Work&& work) {
    const stopwatch watch;
    std::forward<Work>(work)();
    return watch.elapsed();
}

/// A clock that never goes back, as sessions want it.
inline std::chrono::milliseconds steady_now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace bench
