#include "crdt/folding.hpp"

#include <algorithm>
#include <boost/unordered/unordered_flat_set.hpp>
#include <deque>
#include <functional>
#include <map>

namespace anabranch::crdt {
namespace {

// What a row takes beside its key and values in an encoded fold, about.
constexpr std::size_t row_overhead = 16;

std::size_t size_of(const delta& d) {
    std::size_t bytes = row_overhead;
    if (const auto* entries = std::get_if<entries_row>(&d.change)) {
        for (const auto& e : entries->entries) bytes += e.value.size();
    }
    if (const auto* escrow = std::get_if<escrow_row>(&d.change)) {
        constexpr std::size_t account = 24;
        constexpr std::size_t entry = 8;
        for (const auto& g : escrow->generations) {
            bytes += account + g.removed.size() * entry;
            for (const auto& a : g.accounts) bytes += account + a.sent.size() * entry;
        }
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
        void operator()(escrow_row& e) const {
            for (auto& g : e.generations) {
                keep(g.accounts, ranges, [](const escrow_row::account& a) { return dot{a.writer, a.sequence}; });
            }
            const auto says_something = [](const auto& g) { return !g.accounts.empty() || !g.removed.empty(); };
            e.generations.erase(std::stable_partition(e.generations.begin(), e.generations.end(), says_something), e.generations.end());
        }
    };
    std::visit(visitor{ranges}, r);
}

std::string_view key_of(std::string_view key) { return key; }
std::string_view key_of(const row_change* r) { return r->key; }
struct hash_of_key {
    using is_transparent = void;
    std::size_t operator()(const auto& r) const { return std::hash<std::string_view>{}(key_of(r)); }
};
struct equal_key {
    using is_transparent = void;
    bool operator()(const auto& a, const auto& b) const { return key_of(a) == key_of(b); }
};

}  // namespace

bool holds(std::span<const dot_range> ranges, const dot& d) {
    return std::ranges::any_of(ranges, [&](const dot_range& r) { return r.writer == d.writer && r.holds(d.sequence); });
}

struct folding::state {
    std::deque<row_change> rows;  // they stay where they are
    boost::unordered_flat_set<row_change*, hash_of_key, equal_key> by_key;
    std::map<std::string, version_vector, std::less<>> removals;
    roster members;
    std::vector<carried_fold> carried;
    std::uint64_t unknown = 0;
    std::size_t bytes = 0;

    void add(std::string_view key, delta&& change) {
        const auto it = by_key.find(key);
        if (it != by_key.end()) {
            auto& known = (*it)->change;
            // Others hardly grow, as what is later takes the place of what is earlier.
            const bool may_grow = std::holds_alternative<escrow_row>(known.change);
            const auto before = may_grow ? size_of(known) : 0;
            join(known, std::move(change));
            if (may_grow) bytes += size_of(known) - before;
            return;
        }
        bytes += key.size() + size_of(change);
        by_key.insert(&rows.emplace_back(row_change{std::string(key), std::move(change)}));
    }
    void add(prefix_removal&& removal) {
        bytes += removal.prefix.size() + row_overhead;
        removals[std::move(removal.prefix)].join(removal.covered);
    }
    std::vector<row_change*> sorted();
    std::vector<row_change*> settle(std::span<const dot_range> ranges);
    std::vector<prefix_removal> take_removals();
};

/// By key. Keys have much in common at their beginning: what comes after that as a number decides most comparisons.
std::vector<row_change*> folding::state::sorted() {
    std::string_view shared = rows.empty() ? std::string_view() : rows.front().key;
    for (const auto& r : rows) {
        shared = shared.substr(0, static_cast<std::size_t>(std::ranges::mismatch(shared, r.key).in1 - shared.begin()));
    }
    const auto common = shared.size();
    struct place {
        std::uint64_t head;
        row_change* row;
    };
    std::vector<place> places;
    places.reserve(rows.size());
    for (auto& r : rows) {
        std::uint64_t head = 0;
        for (std::size_t i = 0; i < sizeof head; ++i) {
            head = head << 8 | (common + i < r.key.size() ? static_cast<unsigned char>(r.key[common + i]) : 0U);
        }
        places.push_back({head, &r});
    }
    std::ranges::sort(places, [](const place& a, const place& b) {
        return a.head != b.head ? a.head < b.head : a.row->key < b.row->key;
    });
    std::vector<row_change*> all;
    all.reserve(places.size());
    for (const auto& p : places) all.push_back(p.row);
    return all;
}

folding::folding() : state_(std::make_unique<state>()) {}
folding::~folding() = default;

void folding::add(changes c) {
    for (auto& removal : c.removals) state_->add(std::move(removal));
    for (auto& r : c.rows) state_->add(r.key, std::move(r.change));
    state_->members.join(c.members);
    for (auto& f : c.carried) {
        state_->bytes += f.body.size();
        state_->carried.push_back(std::move(f));
    }
    state_->unknown |= c.unknown;
}

bool folding::add(std::string_view payload, const stamp& own, std::span<const origin> mentioned, const known_kinds& kinds) {
    changes_input in(payload, own, mentioned, kinds);
    for (auto& removal : in.removals()) state_->add(std::move(removal));
    std::string_view key;
    for (delta change; in.next(key, change);) state_->add(key, std::move(change));
    const auto members = in.members();
    if (members) state_->members.join(*members);
    return members.has_value();
}

std::size_t folding::bytes() const { return state_->bytes; }

/// What there is of each row for a receiver that has what the ranges do not hold, by key.
std::vector<row_change*> folding::state::settle(std::span<const dot_range> ranges) {
    auto all = sorted();
    for (const auto& [prefix, covered] : removals) {
        // What was added since or elsewhere is not covered: so the order of removals and additions does not count.
        for (auto it = std::ranges::lower_bound(all, prefix, {}, &row_change::key); it != all.end() && (*it)->key.starts_with(prefix); ++it) {
            cover((*it)->change.change, covered);
        }
    }
    for (auto* r : all) restrict_to(r->change.change, ranges);
    std::erase_if(all, [](const row_change* r) { return r->change.empty(); });
    return all;
}

std::vector<prefix_removal> folding::state::take_removals() {
    std::vector<prefix_removal> all;
    for (auto& [prefix, covered] : removals) all.push_back({prefix, std::move(covered)});
    return all;
}

changes folding::take(std::span<const dot_range> ranges) {
    const auto rows = state_->settle(ranges);
    changes c{state_->take_removals(), {}, std::move(state_->members), std::move(state_->carried), state_->unknown};
    c.rows.reserve(rows.size());
    for (auto* r : rows) c.rows.push_back(std::move(*r));
    *state_ = {};
    return c;
}

std::string folding::encode(std::span<const dot_range> ranges, const origin_table& origins, timestamp least, bool is_whole) {
    const auto rows = state_->settle(ranges);
    auto bytes = encode_fold({rows.begin(), rows.end()}, state_->take_removals(), state_->members, state_->carried, ranges,
                             origins, least, is_whole);
    *state_ = {};
    return bytes;
}

}  // namespace anabranch::crdt
