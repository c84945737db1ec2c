// A fold in the log: one record of what several transactions do.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "crdt/folding.hpp"
#include "oplog/chunk.hpp"

namespace anabranch::detail {

/// A fold as the log's value: what had been here when it arrived, and itself.
struct fold_value {
    version_vector before;
    oplog::chunk chunk;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(before, chunk);
    }
};

/// What is kept of it in memory.
struct logged_fold {
    std::uint64_t number = 0;  ///< they count in the order in which they arrived
    /// Records that this covers come before the fold where the log is applied again, all others after it.
    version_vector before;
    std::vector<crdt::dot_range> ranges;  ///< without what had been here before
    std::vector<hash128> heads;           ///< after each range
    std::vector<timestamp> ends;          ///< of each range's last
    /// oplog::chunk::fold
    timestamp least;
    timestamp greatest;

    const crdt::dot_range* find(origin writer) const {
        const auto it = std::ranges::find(ranges, writer, &crdt::dot_range::writer);
        return it == ranges.end() ? nullptr : &*it;
    }
    version_vector covers() const {
        version_vector v;
        for (const auto& r : ranges) v.join(dot{r.writer, r.last});
        return v;
    }
};

}  // namespace anabranch::detail
