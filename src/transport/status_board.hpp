// What replica::peers() shows: written by the connections, read by any thread.
#pragma once

#include <anabranch/replica.hpp>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

namespace anabranch::transport {

/// Thread-safe.
class status_board {
  public:
    using key = std::uint64_t;

    key add(peer_status status) {
        const std::lock_guard lock(mutex_);
        entries_.emplace(++last_key_, std::move(status));
        return last_key_;
    }

    /// `change(peer_status&)`; nothing where it has been removed.
    template <class Change>
    void update(key which, Change&& change) {
        const std::lock_guard lock(mutex_);
        if (const auto entry = entries_.find(which); entry != entries_.end()) change(entry->second);
    }

    void remove(key which) {
        const std::lock_guard lock(mutex_);
        entries_.erase(which);
    }

    /// An accepted connection is over: it is forgotten, unless it is one of the last few that never got as
    /// far as a greeting or broke the protocol. (A peer that is merely lost comes back as a new connection.)
    void retire(key which);

    /// A configured peer that has connected to this side instead shows that connection, once.
    std::vector<peer_status> show() const;

  private:
    mutable std::mutex mutex_;
    std::map<key, peer_status> entries_;  // guarded by mutex_, as is the rest
    std::vector<key> failed_;
    key last_key_ = 0;
};

}  // namespace anabranch::transport
