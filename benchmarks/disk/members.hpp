// Two stores on RocksDB, members of one bucket, that are kept in sync.
#pragma once

#include <filesystem>
#include <optional>

#include "disk/workload.hpp"
#include "retail_reconnect/exchange.hpp"

namespace bench::disk {

/// No record stays in the log once both members have it, and what waits for a member that lags is at most this.
inline constexpr std::uint64_t log_limit = 16 * 1024 * 1024;

class members {
  public:
    /// In directories of their own below `directory`.
    explicit members(const std::filesystem::path& directory);

    anabranch::bucket& edge() { return *at_edge_; }
    anabranch::bucket& cloud() { return *at_cloud_; }
    void meet() { connection_->exchange(); }
    /// Until both know of each other that they have everything, and nothing is left to be cut or forgotten.
    void settle();
    /// In order; nothing else may be called then.
    void close();

  private:
    std::optional<anabranch::store> edge_;
    std::optional<anabranch::store> cloud_;
    std::optional<anabranch::bucket> at_edge_;
    std::optional<anabranch::bucket> at_cloud_;
    std::optional<retail::connection> connection_;
};

}  // namespace bench::disk
