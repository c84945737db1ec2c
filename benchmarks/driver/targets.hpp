// The table "Where it must get to" of the issue that asked for the suite.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "measure/measurement.hpp"

namespace bench {

struct target {
    std::string figure;
    std::string goal;                  // as the issue has it
    std::optional<double> measured{};  // nothing: not part of this run
    std::optional<double> bound{};     // nothing: there was no peer to compare with
    bool is_at_most = true;
};

/// All of them. What depends on a size is told for N = 100,000 a side, or the largest that was run.
std::vector<target> all_targets(const std::vector<row>& kept);

/// The size that those of the reconnect are for; nothing where it was not run.
std::optional<std::uint64_t> target_size(const std::vector<row>& kept);

}  // namespace bench
