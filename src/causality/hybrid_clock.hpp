// The hybrid logical clock (Kulkarni et al., OPODIS 2014).
#pragma once

#include <anabranch/ids.hpp>
#include <algorithm>
#include <atomic>
#include <functional>

namespace anabranch {

/// Hands out timestamps greater than every one handed out or observed before. Thread-safe.
///
/// The high-water mark is restored on open from the log's newest records and the watermark, so a wall
/// clock that was set back does not let a later transaction sort before one that it has seen.
class hybrid_clock {
  public:
    explicit hybrid_clock(std::function<std::chrono::milliseconds()> wall) : wall_(std::move(wall)) {}

    /// The next timestamp. Where the wall clock stands still or goes back the counter counts on, and
    /// carries into the milliseconds when it is full: the 64 bits are one number.
    timestamp next() {
        const auto wall = timestamp::from(std::max(wall_(), std::chrono::milliseconds{0})).value;
        auto last = last_.load(std::memory_order_relaxed);
        std::uint64_t next = 0;
        do {
            next = std::max(wall, last + 1);
        } while (!last_.compare_exchange_weak(last, next, std::memory_order_relaxed));
        return {next};
    }
    /// Everything handed out from now on is greater than `seen`.
    void observe(timestamp seen) {
        auto last = last_.load(std::memory_order_relaxed);
        while (last < seen.value && !last_.compare_exchange_weak(last, seen.value, std::memory_order_relaxed)) {
        }
    }
    timestamp last() const { return {last_.load(std::memory_order_relaxed)}; }

  private:
    std::function<std::chrono::milliseconds()> wall_;
    std::atomic<std::uint64_t> last_{0};
};

}  // namespace anabranch
