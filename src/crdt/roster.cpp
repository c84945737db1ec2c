#include "crdt/roster.hpp"

#include <algorithm>
#include <iterator>

namespace anabranch::crdt {

const roster::member* roster::find(const replica_id& id) const {
    const auto it = members.find(id);
    return it == members.end() ? nullptr : &it->second;
}

const roster::member* roster::find_former(const replica_id& who) const {
    const auto next = members.lower_bound(who);
    if (next == members.begin() || find(who) != nullptr) return nullptr;
    const auto& [id, former] = *std::prev(next);
    return id.value == who.value && counts(id) ? &former : nullptr;
}

bool roster::counts(const replica_id& id) const {
    const auto* m = find(id);
    return m != nullptr && m->at <= stage::retiring;
}

bool roster::is_laggard(const replica_id& id) const {
    const auto* m = find(id);
    return m != nullptr && m->laggard % 2 == 1;
}

void roster::join(const roster& other) {
    if (!founder) seal = other.seal;
    if (!founder) founder = other.founder;
    authority = std::max(authority, other.authority);
    for (const auto& [id, theirs] : other.members) {
        auto& mine = members[id];
        if (mine.at < theirs.at) mine.heir = theirs.heir;
        if (mine.at == theirs.at) mine.heir = std::max(mine.heir, theirs.heir);
        mine.at = std::max(mine.at, theirs.at);
        mine.last = std::max(mine.last, theirs.last);
        mine.fence = std::max(mine.fence, theirs.fence);
        mine.forgotten = std::max(mine.forgotten, theirs.forgotten);
        if (theirs.admitted) mine.admitted = std::min(mine.admitted.value_or(UINT64_MAX), *theirs.admitted);
        mine.laggard = std::max(mine.laggard, theirs.laggard);
        for (const auto& [reporter, told] : theirs.reports) {
            auto& known = mine.reports[reporter];
            known = {std::max(known.to, told.to), std::max(known.last, told.last)};
        }
        // They have served; the last transaction that counts is their maximum.
        if (mine.at >= stage::left) mine.reports.clear();
    }
}

bool is_sound(const roster& r) {
    return std::ranges::all_of(r.members, [](const auto& entry) {
        const auto& m = entry.second;
        return m.at >= roster::stage::joined && m.at <= roster::stage::retired && (!m.heir || m.at >= roster::stage::left);
    });
}

}  // namespace anabranch::crdt
