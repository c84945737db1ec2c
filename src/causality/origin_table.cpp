#include "causality/origin_table.hpp"

namespace anabranch {

origin origin_table::intern(const replica_id& id) {
    if (const auto known = find(id)) return *known;
    const std::unique_lock lock(mutex_);
    const auto [it, inserted] = numbers_.try_emplace(id, origin{static_cast<std::uint32_t>(ids_.size())});
    if (inserted) ids_.push_back(id);
    return it->second;
}

std::optional<origin> origin_table::find(const replica_id& id) const {
    const std::shared_lock lock(mutex_);
    const auto it = numbers_.find(id);
    if (it == numbers_.end()) return std::nullopt;
    return it->second;
}

const replica_id& origin_table::id(origin o) const {
    const std::shared_lock lock(mutex_);
    return ids_[static_cast<std::size_t>(o)];
}

std::size_t origin_table::size() const {
    const std::shared_lock lock(mutex_);
    return ids_.size();
}

}  // namespace anabranch
