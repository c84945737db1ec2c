// Bounded counters: who may spend how much.
#pragma once

#include <boost/container/flat_map.hpp>
#include <cstdint>
#include <optional>
#include <vector>

#include "crdt/roster.hpp"
#include "crdt/row.hpp"

namespace anabranch::crdt {

/// Whose rights are whose: a replica that has left, or was retired, has an heir, which has its rights from then on. There is
/// nothing to be written for it, and a right that is still on its way to the dead replica finds the heir, too.
class succession {
  public:
    succession() = default;
    succession(const roster& members, const origin_table& origins);

    /// Who spends the rights of that replica.
    origin owner(origin of) const {
        const auto it = heirs_.find(of);
        return it == heirs_.end() ? of : it->second;
    }

  private:
    boost::container::flat_map<origin, origin> heirs_;  // the last of each line
};

/// What a replica has of a bounded counter.
struct holding {
    origin owner{};
    std::int64_t rights = 0;
    std::int64_t wanted = 0;  ///< how many it would like to have

    bool operator==(const holding&) const = default;
};

/// Sums over replicas are as large as they are: int64 may not hold them.
__extension__ using wide = __int128;

/// The counter that a row shows.
struct escrow_totals {
    bool exists = false;
    wide value = 0;
    wide bound = 0;
    std::vector<holding> holdings;  ///< sorted by owner, one each; rights at most INT64_MAX

    const holding* find(origin owner) const;
    /// What that one may spend.
    std::int64_t rights_of(origin owner) const;
};
escrow_totals totals(const escrow_row& r, const succession& heirs);

/// How many rights `giver` hands to `asker`, who would like to have more of them than it has. All holders together give it
/// what it lacks, each in proportion to what it has; but none gives what it has reserved, or needs itself, `needs` being
/// what it was asked for lately: where there is not enough for both, the two share by what they want.
struct own_use {
    std::int64_t needs = 0;
    std::int64_t reserve = 0;
};
std::int64_t share_to_give(const escrow_totals& all, origin giver, origin asker, const own_use& own, const origin_table& origins);

}  // namespace anabranch::crdt
