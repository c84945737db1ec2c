// Version vectors by replica, as sessions compare them.
#pragma once

#include <algorithm>

#include "sync/local_replica.hpp"

namespace anabranch::sync {

inline std::uint64_t at(const positions& p, const replica_id& id) {
    const auto it = p.find(id);
    return it == p.end() ? 0 : it->second;
}

inline void raise(positions& p, const replica_id& id, std::uint64_t sequence) {
    auto& current = p[id];
    current = std::max(current, sequence);
}

inline bool covers(const positions& p, const positions& other) {
    return std::ranges::all_of(other, [&](const auto& e) { return e.second <= at(p, e.first); });
}

inline std::uint64_t missing(const positions& have, const positions& wanted) {
    std::uint64_t n = 0;
    for (const auto& [id, sequence] : wanted) n += sequence - std::min(sequence, at(have, id));
    return n;
}

}  // namespace anabranch::sync
