#include "crdt/edit.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <tuple>

namespace anabranch::crdt {
namespace {

template <class Items, class Projection>
version_vector dots_of(const Items& items, Projection id) {
    version_vector dots;
    for (const auto& item : items) dots.join(std::invoke(id, item));
    return dots;
}

template <class Items>
auto* find_writer(Items& items, origin writer) {
    const auto it = std::ranges::find(items, writer, [](const auto& item) { return item.writer; });
    return it == items.end() ? nullptr : &*it;
}

}  // namespace

row edit::now() const {
    auto now = before_;
    join(now, change_, {});
    return now;
}

bool edit::add(const dot& me, std::int64_t amount, std::uint64_t forgotten) {
    auto& mine = as<counter_row>(change_.change);
    const auto& before = as<counter_row>(before_);
    const auto* current = find_writer(mine.totals, me.writer);
    const auto* old = find_writer(before.totals, me.writer);
    const bool is_reset = find_writer(mine.resets, me.writer) != nullptr;
    counter_row::total next{me.writer, me.sequence - 1, me.sequence, 0};
    if (current != nullptr) {
        next = *current;
    } else if (old != nullptr && taken(before, *old) && !is_reset) {
        next.start = old->start;
        next.sum = old->sum;
    } else if (old == nullptr && !is_reset && find_writer(before.resets, me.writer) == nullptr) {
        // Where nothing of the writer is here, one number for all counters: it costs nothing in a fold.
        next.start = std::min(forgotten, next.start);
    }
    if (__builtin_add_overflow(next.sum, amount, &next.sum)) return false;
    mine.totals.clear();
    mine.totals.push_back(next);
    return true;
}

void edit::reset() {
    auto& mine = as<counter_row>(change_.change);
    const auto& before = as<counter_row>(before_);
    mine = {};
    for (const auto& total : before.totals) {
        if (taken(before, total)) mine.resets.push_back({total.writer, total.sequence, total.sum});
    }
}

void edit::assign(const dot& me, timestamp at, std::string value) {
    change_.covers = dots_of(as<entries_row>(before_).entries, &entries_row::entry::id);
    auto& entries = as<entries_row>(change_.change).entries;
    entries.clear();
    entries.push_back({me, at, std::move(value)});
}

void edit::erase() {
    change_.covers = dots_of(as<entries_row>(before_).entries, &entries_row::entry::id);
    as<entries_row>(change_.change).entries.clear();
}

void edit::insert(const dot& me) {
    // The addition covers those that it has seen: a removal that saw it has seen them, too.
    change_.covers = dots_of(as<dots_row>(before_).adds, std::identity{});
    as<dots_row>(change_.change).adds.assign(1, me);
}

void edit::remove() {
    change_.covers = dots_of(as<dots_row>(before_).adds, std::identity{});
    as<dots_row>(change_.change).adds.clear();
}

void edit::insert_seeing_removals(const dot& me, const version_vector& have) {
    const auto& before = as<removals_row>(before_);
    auto& mine = as<removals_row>(change_.change);
    change_.covers = dots_of(before.adds, &removals_row::add::id);
    removals_row::add add{me, have};
    add.seen.join(mine.removals);
    mine.adds.assign(1, add);
}

void edit::remove_for_good(const dot& me) {
    auto& mine = as<removals_row>(change_.change);
    mine.adds.clear();
    mine.removals.join(me);
}

void edit::clear(const version_vector& covered) {
    if (kind_of(before_) == row_kind::counter) return reset();
    cover(before_, covered);
    // What the transaction added goes; that it removed something for good stays.
    change_.covers = {};
    if (auto* removals = std::get_if<removals_row>(&change_.change)) {
        removals->adds.clear();
    } else {
        change_.change = bottom(kind_of(before_));
    }
}

std::optional<std::int64_t> counter_value(const counter_row& r) {
    // Wide enough for any number of replicas: whether the sum overflows must not depend on their order.
    __extension__ __int128 sum = 0;
    for (const auto& total : r.totals) {
        if (const auto gone = taken(r, total)) sum += static_cast<decltype(sum)>(total.sum) - *gone;
    }
    if (sum < std::numeric_limits<std::int64_t>::min() || sum > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
    return static_cast<std::int64_t>(sum);
}

std::vector<const entries_row::entry*> latest_first(const entries_row& r, const origin_table& origins) {
    std::vector<const entries_row::entry*> entries;
    for (const auto& e : r.entries) entries.push_back(&e);
    if (entries.size() > 1) {
        std::ranges::sort(entries, std::greater{}, [&](const entries_row::entry* e) {
            return std::tuple(e->at, origins.id(e->id.writer), e->id.sequence);
        });
    }
    return entries;
}

}  // namespace anabranch::crdt
