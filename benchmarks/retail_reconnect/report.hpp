// The tables and plots of the part `retail-reconnect`.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "driver/driver.hpp"

namespace bench::retail {

inline constexpr std::string_view part_name = "retail-reconnect";

std::string report(const std::vector<row>& kept, std::uint64_t n, unsigned runs);

/// With their names.
std::vector<std::pair<std::string, plot>> plots(const std::vector<row>& kept);

}  // namespace bench::retail
