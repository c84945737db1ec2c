#include "store/membership.hpp"

#include <anabranch/limits.hpp>
#include <utility>

namespace anabranch::detail {

void membership::note(const replica_id& member, const version_vector& has) {
    // Of replicas that the roster does not name yet too, but not of any number of them.
    if (adverts_.size() >= limits::origins && !adverts_.contains(member)) return;
    auto& a = adverts_[member];
    // A member goes from state to state: of two the one that covers the other is the later one.
    if (a.newest.covers(has)) return;
    a.newest = has;
    if (a.next.empty()) a.next = has;
}

bool membership::advance(const version_vector& have) {
    for (auto& [member, a] : adverts_) {
        if (have.covers(a.newest)) a.next = a.newest;
        if (a.next.empty() || !have.covers(a.next)) continue;
        a.delivered = a.next;
        a.next = a.newest == a.delivered ? version_vector{} : a.newest;
    }
    // What was stable stays so: who has joined since has it from its sponsor.
    auto now = held_by_all(true);
    now.join(stable_);
    return std::exchange(stable_, now) != now;
}

version_vector membership::held_by_all(bool with_laggards) const {
    std::optional<version_vector> all;
    for (const auto& [id, m] : roster_.members) {
        if (!roster_.counts(id) || (!with_laggards && roster_.is_laggard(id))) continue;
        const auto it = adverts_.find(id);
        if (it == adverts_.end()) return {};
        all = all ? all->meet(it->second.delivered) : it->second.delivered;
    }
    return all.value_or(version_vector{});
}

version_vector membership::known(const replica_id& member) const {
    const auto it = adverts_.find(member);
    return it == adverts_.end() ? version_vector{} : it->second.newest;
}

std::map<replica_id, version_vector> membership::known() const {
    std::map<replica_id, version_vector> all;
    for (const auto& [id, a] : adverts_) {
        if (roster_.counts(id)) all.emplace(id, a.newest);
    }
    return all;
}

}  // namespace anabranch::detail
