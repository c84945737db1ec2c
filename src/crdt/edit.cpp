#include "crdt/edit.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <tuple>

#include "crdt/requests.hpp"
#include "crdt/sorted.hpp"

namespace anabranch::crdt {
namespace {

const escrow_row::generation* first_live(const escrow_row& r) {
    const auto it = std::ranges::find_if(r.generations, [&](const auto& g) { return is_live(r, g); });
    return it == r.generations.end() ? nullptr : &*it;
}

/// Whatever executions of requests may still come to count.
bool is_removed_for_good(const escrow_row::generation& g) {
    return std::ranges::all_of(g.accounts, [&](const escrow_row::account& a) {
        const auto* seen = find_writer(g.removed, a.writer);
        return a.uses <= (seen == nullptr ? 0 : seen->uses);
    });
}

}  // namespace

row edit::now() const {
    auto now = before_;
    preview(now, change_, execution_by_.value_or(origin{}));
    return now;
}

bool edit::add(const dot& me, std::int64_t amount, std::uint64_t forgotten) {
    auto& mine = as<counter_row>(change_.change);
    const auto& before = as<counter_row>(before_);
    const auto* current = find_writer(mine.totals, me.writer);
    const auto* old = find_writer(before.totals, me.writer);
    const bool is_reset = find_writer(mine.resets, me.writer) != nullptr;
    counter_row::total next{me.writer, 0, me.sequence - 1, me.sequence, 0};
    if (current != nullptr) {
        next = *current;
    } else if (old != nullptr && taken(before, *old) && (!is_reset || execution_by_)) {
        // A request's reset is no end for good, so it is no beginning either.
        next.start = old->start;
        next.sum = old->sum;
        next.adds = old->adds;
    } else if (old == nullptr && !is_reset && find_writer(before.resets, me.writer) == nullptr) {
        // Where nothing of the writer is here, one number for all counters: it costs nothing in a fold.
        next.start = std::min(forgotten, next.start);
    }
    if (__builtin_add_overflow(next.sum, amount, &next.sum)) return false;
    if (execution_by_ && current == nullptr) ++next.adds;
    mine.totals.clear();
    mine.totals.push_back(next);
    return true;
}

void edit::reset() {
    change_.removes = true;
    auto& mine = as<counter_row>(change_.change);
    const auto& before = as<counter_row>(before_);
    mine = {};
    for (const auto& total : before.totals) {
        if (taken(before, total)) mine.resets.push_back({total.writer, total.adds, total.sequence, total.sum});
    }
}

void edit::assign(const dot& me, timestamp at, std::string value) {
    change_.covers = seen_in(as<entries_row>(before_));
    auto& entries = as<entries_row>(change_.change).entries;
    entries.clear();
    entries.push_back({me, at, std::move(value)});
}

void edit::erase() {
    change_.covers = seen_in(as<entries_row>(before_));
    as<entries_row>(change_.change).entries.clear();
}

void edit::insert(const dot& me) {
    // The addition covers those that it has seen: a removal that saw it has seen them, too.
    change_.covers = seen_in(as<dots_row>(before_));
    as<dots_row>(change_.change).adds.assign(1, me);
}

void edit::remove() {
    change_.covers = seen_in(as<dots_row>(before_));
    as<dots_row>(change_.change).adds.clear();
}

void edit::insert_seeing_removals(const dot& me, const version_vector& have) {
    const auto& before = as<removals_row>(before_);
    auto& mine = as<removals_row>(change_.change);
    change_.covers = seen_in(before);
    removals_row::add add{me, have};
    add.seen.join(mine.removals);
    mine.adds.assign(1, add);
}

void edit::remove_for_good(const dot& me) {
    auto& mine = as<removals_row>(change_.change);
    mine.adds.clear();
    mine.removals.join(me);
    // Additions have to have seen it: what the transaction itself inserted, and took away again, has overwritten nothing.
    change_.covers = {};
}

/// Of the writer, in the change. A new one where the row has none.
escrow_row::account& edit::account(const dot& birth, const dot& me) {
    auto& mine = as<escrow_row>(change_.change).generations;
    auto g = std::ranges::lower_bound(mine, birth, {}, &escrow_row::generation::birth);
    if (g == mine.end() || g->birth != birth) g = mine.insert(g, escrow_row::generation{birth, {}, {}});
    if (g->accounts.empty()) {
        auto& a = g->accounts.emplace_back();
        const auto& before = as<escrow_row>(before_).generations;
        const auto old = std::ranges::find(before, birth, &escrow_row::generation::birth);
        if (const auto* known = old == before.end() ? nullptr : old->find(me.writer)) a = *known;
        a.writer = me.writer;
    }
    g->accounts.front().sequence = me.sequence;
    return g->accounts.front();
}

/// Where there is a counter, or a new one.
bool edit::credit(const dot& me, std::int64_t value, std::int64_t bound) {
    const auto before = now();
    const auto* live = first_live(std::get<escrow_row>(before));
    const auto* known = live == nullptr ? nullptr : live->find(me.writer);
    auto next = known == nullptr ? escrow_row::account{} : *known;
    if (__builtin_add_overflow(next.value, value, &next.value) || __builtin_add_overflow(next.bound, bound, &next.bound)) return false;
    auto& mine = account(live == nullptr ? me : live->birth, me);
    mine.value = next.value;
    mine.bound = next.bound;
    touch(mine, me);
    if (const auto gain = std::max<std::int64_t>(value, 0) - std::min<std::int64_t>(bound, 0); execution_by_ && gain > 0) {
        change_.gained.emplace_back(live == nullptr ? me : live->birth, gain);
    }
    return true;
}

/// It has been used: a removal has to have seen that.
void edit::touch(escrow_row::account& mine, const dot& me) {
    if (mine.touched != me.sequence) ++mine.uses;
    mine.touched = me.sequence;
}

bool edit::deposit(const dot& me, std::int64_t amount) { return credit(me, amount, 0); }

/// Takes so many rights from wherever the writer has some. All or nothing.
bool edit::take(const dot& me, std::int64_t amount, const succession& heirs,
                const std::function<bool(escrow_row::account&, std::int64_t)>& from) {
    const auto before = now();
    std::vector<std::pair<dot, std::int64_t>> parts;  // of a generation's rights
    auto missing = amount;
    for (const auto& g : std::get<escrow_row>(before).generations) {
        escrow_row alone;
        alone.generations.push_back(g);
        alone.doubt = std::get<escrow_row>(before).doubt;
        const auto mine = totals(alone, heirs).rights_of(me.writer);
        if (mine == 0 || missing == 0) continue;
        parts.emplace_back(g.birth, std::min(mine, missing));
        missing -= parts.back().second;
    }
    if (missing > 0) return false;
    const auto so_far = change_;
    for (const auto& [birth, rights] : parts) {
        if (from(account(birth, me), rights)) continue;
        change_ = so_far;
        return false;
    }
    return true;
}

bool edit::spend(const dot& me, std::int64_t amount, const succession& heirs) {
    return take(me, amount, heirs, [&](escrow_row::account& mine, std::int64_t rights) {
        touch(mine, me);
        return !__builtin_sub_overflow(mine.value, rights, &mine.value);
    });
}

bool edit::transfer(const dot& me, origin to, std::int64_t amount, const succession& heirs) {
    return take(me, amount, heirs, [&](escrow_row::account& mine, std::int64_t rights) {
        auto t = std::ranges::lower_bound(mine.sent, to, {}, &escrow_row::transfer::to);
        if (t == mine.sent.end() || t->to != to) t = mine.sent.insert(t, escrow_row::transfer{to, 0});
        // Who gives asks for nothing: two that want all there is would send it to and fro for ever.
        mine.wanted = 0;
        return !__builtin_add_overflow(t->amount, rights, &t->amount);
    });
}

bool edit::move_bound(const dot& me, std::int64_t by, const succession& heirs) {
    if (by > 0) {
        return take(me, by, heirs, [&](escrow_row::account& mine, std::int64_t rights) {
            touch(mine, me);
            return !__builtin_add_overflow(mine.bound, rights, &mine.bound);
        });
    }
    return credit(me, 0, by);
}

void edit::want(const dot& me, std::int64_t rights) {
    const auto before = now();
    const auto* live = first_live(std::get<escrow_row>(before));
    if (live == nullptr) return;
    // Its latest word counts, of whatever accounts that stands in.
    for (auto& g : as<escrow_row>(change_.change).generations) {
        for (auto& a : g.accounts) a.wanted = 0;
    }
    account(live->birth, me).wanted = rights;
}

void edit::clear(const version_vector& covered) {
    if (kind_of(before_) == row_kind::counter) return reset();
    change_.removes = true;
    if (kind_of(before_) == row_kind::escrow) {
        // What others had to do with the rights stays on record with them: removed, not undone.
        auto& mine = as<escrow_row>(change_.change).generations;
        const auto is_older = [&](const auto& g) { return covered.covers(g.birth); };
        mine.erase(std::stable_partition(mine.begin(), mine.end(), is_older), mine.end());
        std::erase_if(change_.gained, [&](const auto& g) { return !covered.covers(g.first); });
        const auto seen = now();
        const auto& all = std::get<escrow_row>(seen);
        for (const auto& g : all.generations) {
            if (is_removed_for_good(g)) continue;
            auto it = std::ranges::lower_bound(mine, g.birth, {}, &escrow_row::generation::birth);
            if (it == mine.end() || it->birth != g.birth) it = mine.insert(it, escrow_row::generation{g.birth, {}, {}});
            it->removed.clear();
            for (const auto& a : g.accounts) {
                if (a.touched > 0) it->removed.push_back({a.writer, a.uses, a.touched});
            }
        }
        return;
    }
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
        if (const auto counts = counting(r, total)) sum += *counts;
    }
    if (sum < std::numeric_limits<std::int64_t>::min() || sum > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
    return static_cast<std::int64_t>(sum);
}

std::vector<const entries_row::entry*> latest_first(const entries_row& r, const origin_table& origins) {
    auto entries = shown(r, origins);
    if (entries.size() > 1) {
        std::ranges::sort(entries, std::greater{}, [&](const entries_row::entry* e) {
            return std::tuple(e->at, origins.id(e->id.writer), e->id.sequence);
        });
    }
    return entries;
}

}  // namespace anabranch::crdt
