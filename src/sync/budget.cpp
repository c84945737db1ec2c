#include "sync/budget.hpp"

#include <algorithm>
#include <cmath>

namespace anabranch::sync {
namespace {

constexpr std::int64_t year = std::chrono::milliseconds{std::chrono::hours{24 * 366}}.count();
/// So that nothing below overflows; nobody notices them.
constexpr std::int64_t most_bytes = std::int64_t{1} << 60;
constexpr std::int64_t most_at_once = std::int64_t{1} << 34;  // in a millisecond
constexpr std::int64_t longest_step = std::int64_t{1} << 26;
constexpr std::int64_t longest_absence = 100 * year;

std::int64_t bounded(std::uint64_t bytes) { return static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, most_bytes)); }

}  // namespace

budget::budget(const byte_budget& of, steady_time now) : at_(now) {
    if (of.bytes == 0 || of.bytes == UINT64_MAX) return;
    period_ = std::clamp<std::int64_t>(of.period.count(), 1, year);
    const auto bytes = bounded(of.bytes);
    whole_ = std::min(bytes / period_, most_at_once);
    part_ = bytes % period_;
    rate_ = static_cast<double>(whole_) + static_cast<double>(part_) / static_cast<double>(period_);
    capacity_ = std::max<std::int64_t>(bounded(of.burst), 1);
    // Half of what fits: who waits until it is full loses what comes in meanwhile.
    const auto of_a_second = whole_ * 1000 + part_ * 1000 / period_;
    worthwhile_ = std::clamp<std::int64_t>(of_a_second, 1024, most_bytes);
    worthwhile_ = std::min(worthwhile_, (capacity_ + 1) / 2);
    reserve_ = std::min(bounded(of.reserve), capacity_ - worthwhile_);
    level_ = std::clamp(of.left, -most_bytes, capacity_);
}

void budget::advance(steady_time now) {
    auto elapsed = std::min((now - at_).count(), longest_absence);
    if (!is_limited() || elapsed <= 0) return;
    at_ = now;
    while (elapsed > 0 && level_ < capacity_) {
        const auto step = std::min(elapsed, longest_step);
        elapsed -= step;
        const auto parts = part_ * step + carry_;
        carry_ = parts % period_;
        level_ = std::min(capacity_, level_ + whole_ * step + parts / period_);
    }
    if (level_ == capacity_) carry_ = 0;
}

void budget::spend(std::uint64_t bytes) {
    if (is_limited()) level_ = std::max(level_ - bounded(bytes), -most_bytes);
}

std::int64_t budget::left(std::int32_t priority) const {
    if (!is_limited()) return INT64_MAX;
    return priority < 0 ? level_ - reserve_ : level_;
}

steady_time budget::wait(std::int32_t priority, std::size_t most) const {
    const auto wanted = std::min(worthwhile_, bounded(most));
    const auto there = left(priority);
    return there >= wanted ? steady_time{} : time_for(static_cast<std::uint64_t>(wanted - there));
}

steady_time budget::time_for(std::uint64_t bytes) const {
    if (!is_limited() || bytes == 0) return {};
    const auto milliseconds = std::ceil(static_cast<double>(bytes) / rate_);
    return steady_time{static_cast<std::int64_t>(std::clamp(milliseconds, 1.0, static_cast<double>(year)))};
}

}  // namespace anabranch::sync
