// How much a session may send now: a token bucket, on the time that it is told.
#pragma once

#include <anabranch/sync.hpp>
#include <cstddef>
#include <cstdint>

namespace anabranch::sync {

/// A byte_budget at work. What must be sent is sent, and makes debts; what can wait waits until there is room for it. So over any
/// time t not more leaves than burst + bytes * t / period, and the greatest debt.
class budget {
  public:
    /// No limit.
    budget() = default;
    /// Whatever the numbers are: they may be a peer's. byte_budget says how they are bounded.
    budget(const byte_budget& of, steady_time now);

    bool is_limited() const { return rate_ > 0; }
    /// Time goes on; back it never goes.
    void advance(steady_time now);
    void spend(std::uint64_t bytes);

    /// Bytes that may be sent; below 0: debts. INT64_MAX where there is no limit.
    std::int64_t left() const { return is_limited() ? level_ : INT64_MAX; }
    /// The same for buckets of that priority.
    std::int64_t left(std::int32_t priority) const;
    /// Waits for so much room that it pays to send something: what a second brings, and not less than 1 KiB, if that much fits;
    /// less for whoever sends `most` bytes at once. 0: there is room.
    steady_time wait(std::int32_t priority, std::size_t most) const;
    /// In which so many bytes come in, at most a year.
    steady_time time_for(std::uint64_t bytes) const;

  private:
    std::int64_t capacity_ = 0;
    std::int64_t worthwhile_ = 0;
    std::int64_t reserve_ = 0;
    std::int64_t level_ = 0;
    // A millisecond brings whole_ + part_ / period_ bytes; carry_ / period_ of one have come already.
    std::int64_t whole_ = 0;
    std::int64_t part_ = 0;
    std::int64_t period_ = 1;
    std::int64_t carry_ = 0;
    double rate_ = 0;
    steady_time at_{};
};

}  // namespace anabranch::sync
