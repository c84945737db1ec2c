// One consumer of a bucket's change feed.
#pragma once

#include <anabranch/feed.hpp>
#include <atomic>
#include <functional>
#include <string>

#include "store/bucket_state.hpp"

namespace anabranch::detail {

/// Used by one thread at a time; woken from any.
class feed_state {
  public:
    feed_state(std::shared_ptr<bucket_state> bucket, std::string below, std::function<void()> wake);
    ~feed_state();
    feed_state(const feed_state&) = delete;
    feed_state& operator=(const feed_state&) = delete;

    /// From now on, or from where a token says. Once, before anything else.
    result<void> begin();
    result<void> begin(std::string_view token);
    result<feed_batch> pull(std::size_t most_changes);
    result<std::string> token() const { return bucket_->feed_token(place_); }

  private:
    static constexpr std::uint64_t no_revision = UINT64_MAX;

    std::shared_ptr<bucket_state> bucket_;
    const std::string below_;  // a path
    const std::function<void()> wake_;
    std::uint64_t subscription_ = 0;
    std::atomic<std::uint64_t> seen_;  // the bucket's revision when it was pulled
    std::atomic<bool> is_armed_ = true;
    bucket_state::tails place_;
};

}  // namespace anabranch::detail
