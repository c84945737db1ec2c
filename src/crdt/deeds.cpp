#include "crdt/deeds.hpp"

#include <algorithm>

namespace anabranch::crdt {
namespace {

/// Without overflow, whatever a peer has written.
std::int64_t sum(std::int64_t a, std::int64_t b) { return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b)); }

/// What is done to one row.
struct row_deeds {
    std::vector<deed>& to;
    const std::string& path;
    const delta& change;
    std::vector<tally> tallies;
    bool is_below_removal;  // of a prefix: then its removal is that one

    void written(std::string value = {}) const {
        deed d{path, deed::kind::written, std::move(value)};
        for (const auto& t : tallies) {
            if (t.is_undone) continue;
            d.amount = sum(d.amount, t.value);
            d.bound = sum(d.bound, t.bound);
        }
        to.push_back(std::move(d));
    }
    void removed() const { to.push_back({path, deed::kind::removed}); }
    void removed_here() const {
        if (!is_below_removal) removed();
    }

    void operator()(const counter_row& r) const {
        // A removal of what is above it stands among the row's changes, too, where there was anything.
        if (change.removes) removed_here();
        if (!r.totals.empty()) written();
    }
    void operator()(const entries_row& r) const { r.entries.empty() ? removed_here() : written(r.entries.front().value); }
    void operator()(const dots_row& r) const { r.adds.empty() ? removed_here() : written(); }
    void operator()(const removals_row& r) const {
        // It wins over additions, which a removal of what is above does not.
        if (!r.removals.empty()) removed();
        if (!r.adds.empty()) written();
    }
    void operator()(const escrow_row&) const {
        if (change.removes) removed_here();
        if (std::ranges::any_of(tallies, [](const tally& t) { return !t.is_undone; })) written();
    }
};

}  // namespace

std::vector<deed> deeds_of(const executed& x) {
    std::vector<deed> all;
    for (const auto& r : x.changed.removals) all.push_back({r.prefix, deed::kind::emptied});
    std::ranges::sort(all, {}, &deed::path);
    for (std::size_t i = 0; i < x.changed.rows.size(); ++i) {
        const auto& r = x.changed.rows[i];
        const bool is_below = std::ranges::any_of(x.changed.removals, [&](const auto& removal) { return r.key.starts_with(removal.prefix); });
        std::visit(row_deeds{all, r.key, r.change, x.tallies_of(i), is_below}, r.change.change);
    }
    return all;
}

bool is_same_content(const executed& a, const executed& b) {
    return a.request.outcome == b.request.outcome && a.request.result == b.request.result && deeds_of(a) == deeds_of(b);
}

}  // namespace anabranch::crdt
