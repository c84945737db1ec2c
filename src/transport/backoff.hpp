// How long to wait before a lost peer is tried again.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

namespace anabranch::transport {

/// Exponential back-off with full jitter: a uniformly random time from 0 to a bound that doubles with every
/// failure, so that a fleet that lost the same peer does not come back at one instant (Brooker, "Exponential
/// Backoff And Jitter", AWS Architecture Blog, 2015). Not thread-safe.
class backoff {
  public:
    /// Bounds below 1 ms count as 1 ms; a `max` below `min` as `min`.
    backoff(std::chrono::milliseconds min, std::chrono::milliseconds max,
            std::function<std::uint64_t()> random)
        : min_(std::max(min, std::chrono::milliseconds{1})),
          max_(std::max(max, min_)),
          bound_(min_),
          random_(std::move(random)) {}

    /// The time to wait now; the next one is drawn from up to twice as far.
    std::chrono::milliseconds next() {
        const auto values = static_cast<std::uint64_t>(bound_.count()) + 1;
        bound_ = bound_ > max_ / 2 ? max_ : bound_ * 2;
        return std::chrono::milliseconds{static_cast<std::int64_t>(random_() % values)};
    }

    /// After a success: begins again at the smallest bound.
    void reset() { bound_ = min_; }

  private:
    std::chrono::milliseconds min_;
    std::chrono::milliseconds max_;
    std::chrono::milliseconds bound_;
    std::function<std::uint64_t()> random_;
};

}  // namespace anabranch::transport
