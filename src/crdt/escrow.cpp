#include "crdt/escrow.hpp"

#include <algorithm>
#include <limits>

namespace anabranch::crdt {
namespace {

std::int64_t clamp(wide v) {
    constexpr wide least = std::numeric_limits<std::int64_t>::min();
    constexpr wide most = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(std::clamp(v, least, most));
}

}  // namespace

succession::succession(const roster& members, const origin_table& origins) {
    for (const auto& [id, m] : members.members) {
        const auto first = origins.find(id);
        const auto* last = &m;
        std::optional<origin> heir;
        // A line is no longer than there are members, unless somebody has made up a circle.
        for (std::size_t steps = members.members.size(); last != nullptr && last->heir && steps > 0; --steps) {
            heir = origins.find(*last->heir);
            last = members.find(*last->heir);
        }
        if (first && heir && heir != first) heirs_.emplace(*first, *heir);
    }
}

const holding* escrow_totals::find(origin owner) const {
    const auto it = std::ranges::lower_bound(holdings, owner, {}, &holding::owner);
    return it != holdings.end() && it->owner == owner ? &*it : nullptr;
}

escrow_totals totals(const escrow_row& r, const succession& heirs) {
    escrow_totals all;
    struct sums {
        wide rights = 0;
        wide wanted = 0;
    };
    boost::container::flat_map<origin, sums> by_owner;
    for (const auto& g : r.generations) {
        if (!g.is_live()) continue;
        all.exists = true;
        for (const auto& a : g.accounts) {
            const auto owner = heirs.owner(a.writer);
            all.value += a.value;
            all.bound += a.bound;
            by_owner[owner].rights += static_cast<wide>(a.value) - a.bound;
            if (owner == a.writer) by_owner[owner].wanted += a.wanted;
            for (const auto& t : a.sent) {
                by_owner[owner].rights -= t.amount;
                by_owner[heirs.owner(t.to)].rights += t.amount;
            }
        }
    }
    for (const auto& [owner, sum] : by_owner) all.holdings.push_back({owner, clamp(sum.rights), clamp(sum.wanted)});
    return all;
}

std::int64_t share_to_give(const escrow_totals& all, origin giver, origin asker, std::int64_t needs, const origin_table& origins) {
    const auto* asks = all.find(asker);
    const auto* has = all.find(giver);
    if (asks == nullptr || has == nullptr || giver == asker || has->rights <= 0) return 0;
    const wide there = std::max<std::int64_t>(asks->rights, 0);
    const wide lacks = asks->wanted - there;
    if (lacks <= 0) return 0;
    // The holders stand in a row, the same everywhere, and each gives the part of what is lacking that lies beside what it
    // has: no rounding is lost, and nothing is given twice.
    const auto most = std::numeric_limits<std::int64_t>::max() / static_cast<std::int64_t>(all.holdings.size());
    wide before = 0;
    wide everywhere = 0;
    for (const auto& h : all.holdings) {
        if (h.owner == asker || h.rights <= 0) continue;
        if (origins.id(h.owner) < origins.id(giver)) before += std::min(h.rights, most);
        everywhere += std::min(h.rights, most);
    }
    const wide mine = std::min(has->rights, most);
    const auto part_up_to = [&](wide end) { return std::min(lacks, everywhere) * end / everywhere; };
    const auto asked = part_up_to(before + mine) - part_up_to(before);
    // Rounded up: the last one stays.
    const wide wishes = static_cast<wide>(needs) + asks->wanted;
    const auto fair = ((there + mine) * needs + wishes - 1) / wishes;
    return clamp(std::min(asked, mine - std::min({wide{needs}, fair, mine})));
}

}  // namespace anabranch::crdt
