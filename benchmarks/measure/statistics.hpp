// Medians and percentiles.
#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

namespace bench {

/// By nearest rank: `fraction` 0.5 is the median (the lower one of an even number of values).
inline double percentile(std::vector<double> values, double fraction) {
    if (values.empty()) throw std::invalid_argument("a percentile of nothing");
    std::ranges::sort(values);
    const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(values.size())));
    return values[std::min(std::max<std::size_t>(rank, 1), values.size()) - 1];
}

inline double median(std::vector<double> values) { return percentile(std::move(values), 0.5); }

}  // namespace bench
