// The requests of one bucket of which a reader of the log has to know all executions, whether they are open or forgotten.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "causality/version_vector.hpp"
#include "storage/engine.hpp"
#include "store/keys.hpp"

namespace anabranch::detail {

/// Their executions, under each of them; as long as the log has those. In the engine, but for what has come since it was last
/// written: that follows from the log, as rows do.
///
/// The owner's lock: members that are not const need it exclusively. find() and visit() need none, and find all groups of
/// what the owner has joined.
class rival_table {
  public:
    using group = std::vector<dot>;  // sorted
    using visitor = std::function<result<void>(const dot& at, const group& all)>;

    rival_table(storage::engine& engine, store_keys::bucket_number bucket) : engine_(engine), bucket_(bucket) {}

    /// The group that the execution is in; empty where there is none.
    result<group> find(const dot& execution) const;
    /// All of them, under each of their executions.
    result<void> visit(const visitor& each) const;
    /// Those with executions of that origin after `after` and up to `last`.
    result<void> visit(origin writer, std::uint64_t after, std::uint64_t last, const visitor& each) const;
    void put(group all);

    /// What has changed, to be written with the rows; then it has been.
    void add_changed(storage::batch& to) const;
    void changes_written() const {
        const std::lock_guard lock(mutex_);
        changed_.clear();
    }
    /// The origin's records from `floor` up to `last` go, and with them what else is in their groups and below `floor`:
    /// `goes(execution)` for each of those. What has changed has been written.
    result<void> cut(storage::batch& to, origin writer, std::uint64_t last, const version_vector& floor,
                     const std::function<void(const dot&)>& goes) const;

  private:
    result<void> visit(const dot& first, const dot& last, const visitor& each) const;

    storage::engine& engine_;
    store_keys::bucket_number bucket_;
    mutable std::mutex mutex_;  // of what follows, which const members empty
    mutable std::map<dot, group> changed_;
};

}  // namespace anabranch::detail
