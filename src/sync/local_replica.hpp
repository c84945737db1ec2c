// The port through which a session sees the store.
#pragma once

#include <anabranch/ids.hpp>
#include <anabranch/result.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "oplog/chunk.hpp"

namespace anabranch::sync {

/// Sequences by replica: a version vector that can leave the process, without chain heads.
using positions = std::map<replica_id, std::uint64_t>;

/// Everything that a session is told here is on disk, and what it tells its peer comes from here: so it
/// cannot send or acknowledge what a loss of power could take back.
class local_replica {
  public:
    virtual ~local_replica() = default;

    virtual replica_id id() const = 0;
    /// Sorted.
    virtual std::vector<std::string> buckets() const = 0;
    /// What is durable of a bucket.
    virtual frontier durable(std::string_view bucket) const = 0;
    /// Rises whenever durable() changes.
    virtual std::uint64_t revision(std::string_view bucket) const = 0;
    /// Something has been written that is not durable yet.
    virtual bool has_undurable() const = 0;
    /// Timestamps above this are too far in the future.
    virtual timestamp horizon() const = 0;

    /// errc::diverged where a peer's chain has another head than ours at the same place.
    virtual result<void> compare(std::string_view bucket, const frontier& peer) = 0;
    /// Durable records above `after` and below `ceiling`, in causal order, about `max_bytes` of them.
    virtual result<oplog::chunk> read(std::string_view bucket, const positions& after, timestamp ceiling,
                                      std::size_t max_bytes) = 0;
    /// Applies the chunk up to the first record beyond the horizon, all or nothing.
    virtual result<oplog::applied> apply(std::string_view bucket, const oplog::chunk& chunk) = 0;
};

}  // namespace anabranch::sync
