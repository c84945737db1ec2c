#include "crdt/escrow.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "crdt/requests.hpp"

namespace anabranch::crdt {
namespace {

std::int64_t clamp(wide v) {
    constexpr wide least = std::numeric_limits<std::int64_t>::min();
    constexpr wide most = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(std::clamp(v, least, most));
}

}  // namespace

succession::succession(const roster& members, const origin_table& origins) {
    std::map<replica_id, replica_id> ends;  // of the lines that have been followed
    for (const auto& entry : members.members) {
        std::set<replica_id> line;
        auto last = entry.first;
        while (line.insert(last).second) {
            const auto* m = members.find(last);
            const auto known = ends.find(last);
            if (known != ends.end()) {
                last = known->second;
            } else if (m != nullptr && m->heir) {
                last = *m->heir;
            }
        }
        // A circle, which somebody has made up, ends somewhere in it.
        for (const auto& id : line) ends.emplace(id, last);
        const auto first = origins.find(entry.first);
        const auto heir = origins.find(last);
        if (first && heir && heir != first) heirs_.emplace(*first, *heir);
    }
}

const holding* escrow_totals::find(origin owner) const {
    const auto it = std::ranges::lower_bound(holdings, owner, {}, &holding::owner);
    return it != holdings.end() && it->owner == owner ? &*it : nullptr;
}

std::int64_t escrow_totals::rights_of(origin owner) const {
    const auto* h = find(owner);
    return h == nullptr ? 0 : std::max<std::int64_t>(h->rights, 0);
}

escrow_totals totals(const escrow_row& r, const succession& heirs) {
    escrow_totals all;
    struct sums {
        wide rights = 0;
        wide wanted = 0;
        std::uint64_t said = 0;  // in which transaction
    };
    boost::container::flat_map<origin, sums> by_owner;
    for (const auto& g : r.generations) {
        if (!is_live(r, g)) continue;
        all.exists = true;
        for (const auto& a : g.accounts) {
            const auto owner = heirs.owner(a.writer);
            const auto doubt = doubt_of(r, g.birth, a.writer);
            const auto value = static_cast<wide>(a.value) - doubt.off.value;
            const auto bound = static_cast<wide>(a.bound) - doubt.off.bound;
            all.value += value;
            all.bound += bound;
            by_owner[owner].rights += value - bound - doubt.locked;
            if (owner == a.writer) {
                // Its latest word, which may stand in accounts of several generations.
                auto& mine = by_owner[owner];
                if (a.sequence > mine.said) mine.wanted = 0;
                if (a.sequence >= mine.said) mine.wanted += a.wanted;
                mine.said = std::max(mine.said, a.sequence);
            }
            for (const auto& t : a.sent) {
                by_owner[owner].rights -= t.amount;
                by_owner[heirs.owner(t.to)].rights += t.amount;
            }
        }
    }
    for (const auto& [owner, sum] : by_owner) all.holdings.push_back({owner, clamp(sum.rights), clamp(sum.wanted)});
    return all;
}

std::int64_t share_to_give(const escrow_totals& all, origin giver, origin asker, const own_use& own, const origin_table& origins) {
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
    const wide wishes = static_cast<wide>(own.needs) + asks->wanted;
    const auto fair = ((there + mine) * own.needs + wishes - 1) / wishes;
    const auto kept = std::max(std::min<wide>(own.needs, fair), wide{own.reserve});
    return clamp(std::min(asked, mine - std::min(kept, mine)));
}

}  // namespace anabranch::crdt
