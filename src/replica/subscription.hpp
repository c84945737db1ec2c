// Being woken when the local store changes.
#pragma once

#include <anabranch/store.hpp>
#include <functional>

namespace anabranch::replication {

/// While it lives, `woken` is called after every commit and every applied chunk, and when progress has become
/// durable: from any thread, outside all locks of the store. It must be cheap and must not call the store.
class subscription {
  public:
    subscription(store local, std::function<void()> woken);
    ~subscription();
    subscription(const subscription&) = delete;
    subscription& operator=(const subscription&) = delete;

  private:
    store local_;
    std::uint64_t number_;
};

}  // namespace anabranch::replication
