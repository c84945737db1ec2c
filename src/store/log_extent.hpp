// How many bytes a bucket's log holds, and how much of it a number of bytes or a moment reaches back.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

#include "causality/version_vector.hpp"

namespace anabranch::detail {

/// Remembers, now and then, what the log held and how long it was. Not thread-safe.
class log_extent {
  public:
    /// From one remembered place to the next: bytes, or time, whichever comes first; no time where it is zero.
    explicit log_extent(std::uint64_t step, std::chrono::milliseconds time = {}) : step_(step), time_(time) {}

    std::uint64_t bytes() const { return written_ - cut_; }

    /// `bytes` more, after which the log reaches up to `have`. `clock()` tells the time; it is asked only where that counts,
    /// as every commit comes by here.
    template <class Clock>
    void grow(std::uint64_t bytes, const version_vector& have, const Clock& clock) {
        written_ += bytes;
        const bool is_near = !places_.empty() && written_ - places_.back().written < step_;
        if (is_near && time_.count() == 0) return;
        const std::chrono::milliseconds now = clock();
        if (is_near && now - places_.back().at < time_) return;
        places_.push_back({have, written_, now});
    }
    /// The latest remembered place with at least `bytes` behind it; nothing where the log is not that long.
    const version_vector* before_last(std::uint64_t bytes) const {
        const place* found = nullptr;
        for (const auto& p : places_) {
            if (written_ - p.written < bytes) break;
            found = &p;
        }
        return found == nullptr ? nullptr : &found->upto;
    }
    /// The latest place that was reached before a moment.
    const version_vector* before(std::chrono::milliseconds moment) const {
        const place* found = nullptr;
        for (const auto& p : places_) {
            if (p.at >= moment) break;
            found = &p;
        }
        return found == nullptr ? nullptr : &found->upto;
    }
    /// It has been cut up to `floor`, and reaches up to `have`. What lies between two places counts until the second one is
    /// reached.
    void cut(const version_vector& floor, const version_vector& have) {
        if (floor.covers(have)) {
            cut_ = written_;
            places_.clear();
        }
        while (!places_.empty() && floor.covers(places_.front().upto)) {
            cut_ = places_.front().written;
            places_.pop_front();
        }
    }

  private:
    struct place {
        version_vector upto;
        std::uint64_t written;
        std::chrono::milliseconds at;
    };
    std::uint64_t step_;
    std::chrono::milliseconds time_;
    std::uint64_t written_ = 0;
    std::uint64_t cut_ = 0;
    std::deque<place> places_;
};

}  // namespace anabranch::detail
