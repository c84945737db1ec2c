#include "crdt/folding.hpp"

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <functional>
#include <map>

namespace anabranch::crdt {
namespace {

// What a row takes beside its key and values in an encoded fold, about.
constexpr std::size_t row_overhead = 16;

std::size_t size_of(const row_change& r) {
    std::size_t bytes = r.key.size() + row_overhead;
    if (const auto* entries = std::get_if<entries_row>(&r.change.change)) {
        for (const auto& e : entries->entries) bytes += e.value.size();
    }
    return bytes;
}

/// Joins in any order: each takes away what the other covers.
void join(delta& into, delta&& more) {
    if (!into.covers.empty()) cover(more.change, into.covers);
    crdt::join(into.change, more, {});
    into.covers.join(more.covers);
}

template <class Items, class Projection>
void keep(Items& items, std::span<const dot_range> ranges, Projection id) {
    items.erase(std::remove_if(items.begin(), items.end(), [&](const auto& item) { return !holds(ranges, std::invoke(id, item)); }),
                items.end());
}

/// Lets go of what the ranges do not hold. Resets are coverage: they stay.
void restrict_to(row& r, std::span<const dot_range> ranges) {
    struct visitor {
        std::span<const dot_range> ranges;
        void operator()(counter_row& c) const {
            keep(c.totals, ranges, [](const counter_row::total& t) { return dot{t.writer, t.sequence}; });
        }
        void operator()(entries_row& e) const { keep(e.entries, ranges, &entries_row::entry::id); }
        void operator()(dots_row& d) const { keep(d.adds, ranges, std::identity{}); }
        void operator()(removals_row& m) const {
            keep(m.adds, ranges, &removals_row::add::id);
            version_vector kept;
            for (const auto& [writer, sequence] : m.removals) {
                if (holds(ranges, {writer, sequence})) kept.join(dot{writer, sequence});
            }
            m.removals = kept;
        }
    };
    std::visit(visitor{ranges}, r);
}

}  // namespace

bool holds(std::span<const dot_range> ranges, const dot& d) {
    return std::ranges::any_of(ranges, [&](const dot_range& r) { return r.writer == d.writer && r.holds(d.sequence); });
}

struct folding::state {
    boost::unordered_flat_map<std::string, delta> rows;
    std::map<std::string, version_vector> removals;
    roster members;
    std::size_t bytes = 0;
};

folding::folding() : state_(std::make_unique<state>()) {}
folding::~folding() = default;

void folding::add(changes c) {
    for (auto& removal : c.removals) {
        state_->bytes += removal.prefix.size() + row_overhead;
        state_->removals[std::move(removal.prefix)].join(removal.covered);
    }
    for (auto& r : c.rows) {
        const auto bytes = size_of(r);
        const auto [it, is_new] = state_->rows.try_emplace(std::move(r.key), std::move(r.change));
        if (is_new) {
            state_->bytes += bytes;
        } else {
            join(it->second, std::move(r.change));
        }
    }
    state_->members.join(c.members);
}

std::size_t folding::bytes() const { return state_->bytes; }

changes folding::take(std::span<const dot_range> ranges) {
    changes c;
    c.rows.reserve(state_->rows.size());
    for (auto& [key, change] : state_->rows) c.rows.push_back({key, std::move(change)});
    std::ranges::sort(c.rows, {}, &row_change::key);
    for (auto& [prefix, covered] : state_->removals) {
        // What was added since or elsewhere is not covered: so the order of removals and additions does not count.
        for (auto it = std::ranges::lower_bound(c.rows, prefix, {}, &row_change::key);
             it != c.rows.end() && it->key.starts_with(prefix); ++it) {
            cover(it->change.change, covered);
        }
        c.removals.push_back({prefix, std::move(covered)});
    }
    for (auto& r : c.rows) restrict_to(r.change.change, ranges);
    std::erase_if(c.rows, [](const row_change& r) { return r.change.covers.empty() && is_bottom(r.change.change); });
    c.members = std::move(state_->members);
    *state_ = {};
    return c;
}

}  // namespace anabranch::crdt
