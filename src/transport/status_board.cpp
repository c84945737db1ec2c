#include "transport/status_board.hpp"

#include <algorithm>

namespace anabranch::transport {

namespace {
constexpr std::size_t kept_failures = 16;
}

void status_board::retire(key which) {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(which);
    if (entry == entries_.end()) return;
    const auto& status = entry->second;
    if (!status.last_error || (status.id && status.last_error->code == errc::network)) {
        entries_.erase(entry);
        return;
    }
    failed_.push_back(which);
    if (failed_.size() <= kept_failures) return;
    entries_.erase(failed_.front());
    failed_.erase(failed_.begin());
}

std::vector<peer_status> status_board::show() const {
    const std::lock_guard lock(mutex_);
    std::vector<peer_status> shown;
    std::vector<key> merged;
    for (const auto& [number, status] : entries_) {
        if (status.accepted) continue;
        shown.push_back(status);
        if (status.connected || !status.id) continue;
        for (const auto& [other_number, other] : entries_) {
            if (!other.accepted || !other.connected || !other.id || other.id->value != status.id->value)
                continue;
            auto endpoint = std::move(shown.back().endpoint);
            shown.back() = other;
            shown.back().endpoint = std::move(endpoint);
            shown.back().sessions += status.sessions;
            merged.push_back(other_number);
            break;
        }
    }
    for (const auto& [number, status] : entries_) {
        if (status.accepted && std::find(merged.begin(), merged.end(), number) == merged.end())
            shown.push_back(status);
    }
    return shown;
}

}  // namespace anabranch::transport
