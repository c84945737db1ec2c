// Who lacks how many transactions, sampled all the time.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "demo/side.hpp"

namespace retail {

/// Transactions that each side lacks of what the other has; nothing for a side that is down.
struct behind_sample {
    double seconds = 0;  ///< since the watcher began
    std::optional<std::uint64_t> edge;
    std::optional<std::uint64_t> cloud;

    bool equal() const { return edge == 0u && cloud == 0u; }
};

struct chart_mark {
    double seconds = 0;
    std::string label;
};

struct watch_history {
    std::vector<behind_sample> samples;
    std::vector<chart_mark> marks;
};

/// Polls GET /status of both on a thread of its own. Thread-safe.
class watcher {
  public:
    watcher(const side& edge, const side& cloud);
    ~watcher();
    watcher(const watcher&) = delete;
    watcher& operator=(const watcher&) = delete;

    /// Notes that something happened now; returns the time.
    double mark(std::string label);
    double now() const;
    behind_sample latest() const;
    /// What each side had at the last look.
    progress edge_progress() const;
    progress cloud_progress() const;
    watch_history history() const;

  private:
    void watch(const std::stop_token& stop);

    const side& edge_;
    const side& cloud_;
    const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    mutable std::mutex mutex_;
    watch_history history_;
    progress edge_progress_;
    progress cloud_progress_;
    std::jthread thread_;
};

}  // namespace retail
