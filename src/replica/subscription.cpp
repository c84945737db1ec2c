#include "replica/subscription.hpp"

#include "store/store_state.hpp"

namespace anabranch::replication {

subscription::subscription(store local, std::function<void()> woken)
    : local_(std::move(local)), number_(local_.state()->subscribe(std::move(woken))) {}

subscription::~subscription() { local_.state()->unsubscribe(number_); }

}  // namespace anabranch::replication
