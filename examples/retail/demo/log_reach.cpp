#include "demo/log_reach.hpp"

#include <algorithm>

#include "demo/local_shop.hpp"

namespace retail {

void log_reach::note(std::size_t orders) {
    const auto now = value_of(bucket_.watch(), "the log");
    places_.push_back({orders, value_of(now.token(), "the log")});
}

std::optional<std::size_t> log_reach::first_in_log() const {
    const auto found =
        std::partition_point(places_.begin(), places_.end(), [&](const place& noted) { return !is_in_log(noted); });
    if (found == places_.end()) return {};
    return found->orders;
}

bool log_reach::is_in_log(const place& noted) const {
    auto from = bucket_.resume(noted.token);
    const auto read = from ? from->pull(1) : anabranch::result<anabranch::feed_batch>(anabranch::fail(from.error()));
    if (!read && read.error().code == anabranch::errc::behind_cut) return false;
    value_of(read, "the log");
    return true;
}

}  // namespace retail
