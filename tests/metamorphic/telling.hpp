// Runs a story on stores in memory.
#pragma once

#include <array>
#include <map>
#include <set>

#include "metamorphic/shown.hpp"
#include "metamorphic/story.hpp"

namespace anabranch::test {

/// What may be changed without changing the story.
struct telling {
    bool has_copies = true;  ///< else only the first primary ones
    std::array<unsigned, replica_count> ranks{0, 1, 2};  ///< how the replicas' ids sort
    std::array<std::int64_t, replica_count> skews{};     ///< milliseconds
    bool does_time_pass = true;  ///< else timestamps tie
    program_options programs{};
};

struct outcome {
    shown_state shown;  ///< by every replica, once all have the same; and when all requests are forgotten
    std::set<std::string> tied;  ///< names of registers that two executions wrote at the same timestamp
    std::size_t executions = 0;
    std::size_t repeats = 0;
};

/// Fails the test where the replicas do not agree in the end.
outcome tell(const story& s, const telling& how);

}  // namespace anabranch::test
