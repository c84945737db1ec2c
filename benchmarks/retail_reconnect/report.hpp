// The tables and pictures of the part `retail-reconnect`.
#pragma once

#include <string>
#include <vector>

#include "driver/driver.hpp"

namespace bench::retail {

inline constexpr std::string_view part_name = "retail-reconnect";

std::string report(const std::vector<row>& kept, std::uint64_t n, unsigned runs);

struct picture {
    std::string name;
    std::string drawn;
};
std::vector<picture> pictures(const std::vector<row>& kept, const std::vector<std::uint64_t>& sizes);

/// Nothing where the row has none.
std::optional<double> larger_direction(const row* of);

}  // namespace bench::retail
