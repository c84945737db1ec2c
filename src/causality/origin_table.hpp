// The numbers by which one store knows replicas.
#pragma once

#include <anabranch/ids.hpp>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "causality/version_vector.hpp"

namespace anabranch {

/// Grows only, so a number stays valid and id() hands out references that stay. Thread-safe. The store
/// writes a new number to disk in the same batch as the first record that uses it.
class origin_table {
  public:
    /// The number of that replica; a new one, the next, where it had none.
    origin intern(const replica_id& id);
    std::optional<origin> find(const replica_id& id) const;
    const replica_id& id(origin o) const;
    std::size_t size() const;

  private:
    mutable std::shared_mutex mutex_;
    std::deque<replica_id> ids_;
    std::map<replica_id, origin> numbers_;
};

}  // namespace anabranch
