#include "store/rebalancing.hpp"

#include <algorithm>
#include <limits>

namespace anabranch::detail {
namespace {

std::int64_t saturated_sum(std::int64_t a, std::int64_t b) {
    std::int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

}  // namespace

/// The wall clock may jump: what is not of this window or the one before is not recent.
void rebalancing::roll(record& r, std::chrono::milliseconds now) const {
    const auto age = now - r.begin;
    if (age >= std::chrono::milliseconds{0} && age < window_) return;
    const bool is_next = age >= window_ && age - window_ < window_;
    r.previous = is_next ? r.present : amounts{};
    r.present = {};
    r.begin = now;
}

bool rebalancing::is_old(const record& r, std::chrono::milliseconds now) const {
    const auto age = now - r.begin;
    return r.reserve == 0 && (age < std::chrono::milliseconds{0} || age / 2 >= window_);
}

std::int64_t rebalancing::lately(std::string_view path, std::chrono::milliseconds now) const {
    const auto it = records_.find(path);
    if (it == records_.end()) return 0;
    auto r = it->second;
    roll(r, now);
    return saturated_sum(saturated_sum(r.present.spent, r.previous.spent), std::max(r.present.refused, r.previous.refused));
}

std::int64_t rebalancing::reserve(std::string_view path) const {
    const auto it = records_.find(path);
    return it == records_.end() ? 0 : it->second.reserve;
}

rebalancing::record* rebalancing::find_or_make(std::string_view path, std::chrono::milliseconds now) {
    if (!is_automatic()) return nullptr;
    auto it = records_.find(path);
    if (it == records_.end()) {
        // Not with each of the many that come when it is full.
        const bool is_due = now - swept_ >= window_ || now < swept_;
        if (records_.size() >= most_counters && is_due) {
            std::erase_if(records_, [&](const auto& entry) { return is_old(entry.second, now); });
            swept_ = now;
        }
        if (records_.size() >= most_counters) return nullptr;
        it = records_.try_emplace(std::string(path)).first;
        it->second.begin = now;
    }
    roll(it->second, now);
    return &it->second;
}

rebalancing::errand* rebalancing::find_or_make_errand(std::string_view path) {
    if (!is_automatic() || (errands_.size() >= most_counters && !errands_.contains(path))) return nullptr;
    return &errands_[std::string(path)];
}

void rebalancing::spent(std::string_view path, std::int64_t amount, std::chrono::milliseconds now) {
    auto* r = find_or_make(path, now);
    if (r == nullptr) return;
    r->present.spent = saturated_sum(r->present.spent, amount);
    r->reserve -= std::min(r->reserve, amount);
}

void rebalancing::refused(std::string_view path, std::int64_t amount, std::chrono::milliseconds now) {
    if (auto* r = find_or_make(path, now)) {
        // Whoever tries again and again does not ask for more by that, nor more often than now and then.
        const bool is_new = amount > r->present.refused;
        r->present.refused = std::max(r->present.refused, amount);
        if (!is_new && now - r->asked >= std::chrono::milliseconds{0} && now - r->asked < window_ / 20) return;
        r->asked = now;
    }
    if (auto* e = find_or_make_errand(path)) e->asks_for = std::max(e->asks_for, amount);
}

void rebalancing::reserved(std::string_view path, std::int64_t rights, std::chrono::milliseconds now) {
    if (auto* r = find_or_make(path, now)) r->reserve = rights;
}

void rebalancing::heard(std::string_view path, origin from) {
    if (auto* e = find_or_make_errand(path)) e->asked_by.insert(from);
}

}  // namespace anabranch::detail
