#include "crdt/row.hpp"

#include <algorithm>
#include <functional>
#include <vector>

#include "base/hash.hpp"
#include "codec/archive.hpp"
#include "crdt/requests.hpp"
#include "crdt/sorted.hpp"

namespace anabranch::crdt {
namespace {

template <class Items, class Predicate>
bool erase_where(Items& items, Predicate predicate) {
    const auto kept = std::remove_if(items.begin(), items.end(), predicate);
    const bool any = kept != items.end();
    items.erase(kept, items.end());
    return any;
}

void join_into(counter_row& state, const delta& d, const version_vector& have, open_requests* open) {
    const auto& change = std::get<counter_row>(d.change);
    // A total that has been begun anew has nothing of what executions did to the old one.
    const bool begins = std::ranges::any_of(change.totals, [&](const counter_row::total& t) {
        const auto* old = find_writer(state.totals, t.writer);
        return old != nullptr && old->start < t.start;
    });
    join_newest(state.totals, change.totals, have);
    if (open != nullptr) {
        for (const auto& t : change.totals) note_plain(state, t);
    }
    join_newest(state.resets, change.resets, {});  // their dots are of what they took
    if (open != nullptr && (begins || !change.resets.empty()) && !state.doubt.empty()) open->is_recount_due = true;
    // A reset of an earlier total says nothing of the one that its writer began afterwards.
    erase_where(state.resets, [&](const counter_row::reset& reset) {
        const auto* total = find_writer(state.totals, reset.writer);
        return total != nullptr && reset.sequence <= total->start;
    });
}

void join_into(entries_row& state, const delta& d, const version_vector& have, open_requests* open) {
    take_away(state, d.covers, open);
    for (const auto& e : std::get<entries_row>(d.change).entries) {
        if (!have.covers(e.id)) insert_by_dot(state.entries, e, &entries_row::entry::id);
    }
}

void join_into(dots_row& state, const delta& d, const version_vector& have, open_requests* open) {
    take_away(state, d.covers, open);
    for (const auto& add : std::get<dots_row>(d.change).adds) {
        if (!have.covers(add)) insert_by_dot(state.adds, add, std::identity{});
    }
}

void join_into(removals_row& state, const delta& d, const version_vector& have, open_requests* open) {
    const auto& change = std::get<removals_row>(d.change);
    take_away(state, d.covers, open);
    for (const auto& [writer, sequence] : change.removals) {
        // One that is covered and not here has been replaced by a later one, or is stable and forgotten.
        if (!have.covers(dot{writer, sequence})) state.removals.join(dot{writer, sequence});
    }
    for (const auto& add : change.adds) {
        if (!have.covers(add.id)) insert_by_dot(state.adds, add, &removals_row::add::id);
    }
    drop_unseeing(state, open);
}

void join_into(escrow_row& state, const delta& d, const version_vector& have, open_requests* open) {
    using generation = escrow_row::generation;
    for (const auto& theirs : std::get<escrow_row>(d.change).generations) {
        auto it = std::ranges::lower_bound(state.generations, theirs.birth, {}, &generation::birth);
        if (it == state.generations.end() || it->birth != theirs.birth) {
            // One that is known and not here was removed, and is forgotten.
            if (have.covers(theirs.birth)) continue;
            it = state.generations.insert(it, generation{theirs.birth, {}, {}});
        }
        join_newest(it->accounts, theirs.accounts, {});
        join_newest(it->removed, theirs.removed, {});
        if (open != nullptr && !theirs.removed.empty() && !state.doubt.empty()) open->is_recount_due = true;
    }
}

std::size_t writes_in(const auto& items, const claims& all) {
    return items.size() + static_cast<std::size_t>(std::ranges::count_if(all, [](const claim& c) { return !c.is_gone; }));
}

bool cover_in(counter_row&, const version_vector&, open_requests*) { return false; }
bool cover_in(entries_row& r, const version_vector& covered, open_requests* open) {
    const auto before = writes_in(r.entries, r.doubt.get());
    take_away(r, covered, open);
    return writes_in(r.entries, r.doubt.get()) != before;
}
bool cover_in(dots_row& r, const version_vector& covered, open_requests* open) {
    const auto before = writes_in(r.adds, r.doubt.get());
    take_away(r, covered, open);
    return writes_in(r.adds, r.doubt.get()) != before;
}
bool cover_in(removals_row& r, const version_vector& covered, open_requests* open) {
    const auto before = writes_in(r.adds, r.doubt.get());
    take_away(r, covered, open);
    return writes_in(r.adds, r.doubt.get()) != before;
}
bool cover_in(escrow_row&, const version_vector&, open_requests*) { return false; }

/// For fingerprints: replicas by their identity, as their numbers differ between stores.
class identity_output final : public codec::basic_output<identity_output> {
  public:
    identity_output(std::string& out, const origin_table& origins) : basic_output(out), origins_(origins) {}
    replica_id translate(const origin& o) const { return origins_.id(o); }

  private:
    const origin_table& origins_;
};

/// The order must not depend on the store either.
template <class Items, class Projection>
auto by_identity(const Items& items, const origin_table& origins, Projection id) {
    std::vector<const typename Items::value_type*> sorted;
    for (const auto& item : items) sorted.push_back(&item);
    std::ranges::sort(sorted, {}, [&](const auto* item) {
        const dot d = std::invoke(id, *item);
        return std::pair(origins.id(d.writer), d.sequence);
    });
    return sorted;
}

void write_live(identity_output& out, const counter_row& r, const origin_table& origins) {
    const auto id = [](const counter_row::total& total) { return dot{total.writer, total.sequence}; };
    for (const auto* total : by_identity(r.totals, origins, id)) {
        // Modulo 2^64: it may be out of range.
        if (const auto left = counting(r, *total)) out(id(*total), *left);
    }
}

void write_live(identity_output& out, const entries_row& r, const origin_table& origins) {
    const auto id = [](const entries_row::entry* e) { return e->id; };
    const auto all = shown(r, origins);
    for (const auto* e : by_identity(all, origins, id)) out(**e);
}

void write_live(identity_output& out, const dots_row& r, const origin_table& origins) {
    const auto all = shown(r);
    for (const auto* add : by_identity(all, origins, std::identity{})) out(*add);
}

void write_live(identity_output& out, const removals_row& r, const origin_table& origins) {
    // Not what the additions have seen: once a removal is stable that is forgotten.
    const auto id = [](const removals_row::add* add) { return add->id; };
    const auto all = shown(r);
    for (const auto* add : by_identity(all, origins, id)) out((*add)->id);
}

void write_live(identity_output& out, const escrow_row& r, const origin_table& origins) {
    std::vector<escrow_row::generation> live;
    std::ranges::copy_if(r.generations, std::back_inserter(live), [&](const auto& g) { return is_live(r, g); });
    for (const auto* g : by_identity(live, origins, &escrow_row::generation::birth)) {
        out(g->birth, g->accounts.size());
        const auto id = [](const escrow_row::account& a) { return dot{a.writer, a.sequence}; };
        for (const auto* a : by_identity(g->accounts, origins, id)) {
            const auto off = doubt_of(r, g->birth, a->writer).off;
            out(id(*a), a->value - off.value, a->bound - off.bound, a->wanted, a->sent.size());
            const auto to = [](const escrow_row::transfer& t) { return dot{t.to, 0}; };
            for (const auto* t : by_identity(a->sent, origins, to)) out(*t);
        }
    }
}

}  // namespace

const escrow_row::account* escrow_row::generation::find(origin writer) const {
    const auto it = std::ranges::lower_bound(accounts, writer, {}, &account::writer);
    return it != accounts.end() && it->writer == writer ? &*it : nullptr;
}

row_kind kind_of(const row& r) {
    return std::visit([](const auto& alternative) { return alternative.kind; }, r);
}

row bottom(row_kind kind) {
    switch (kind) {
        case row_kind::counter: return counter_row{};
        case row_kind::entries: return entries_row{};
        case row_kind::dots: return dots_row{};
        case row_kind::removals: return removals_row{};
        case row_kind::escrow: return escrow_row{};
    }
    return {};
}

bool normalise(row& r) {
    const auto sort_unique = [](auto& items, auto id) {
        std::ranges::sort(items, {}, id);
        return std::ranges::adjacent_find(items, {}, id) == items.end();
    };
    struct visitor {
        const decltype(sort_unique)& sort;
        bool operator()(counter_row& c) const {
            return sort(c.totals, &counter_row::total::writer) && sort(c.resets, &counter_row::reset::writer) &&
                   std::ranges::all_of(c.totals, [](const auto& total) { return total.start < total.sequence; });
        }
        bool operator()(entries_row& e) const { return sort(e.entries, &entries_row::entry::id); }
        bool operator()(dots_row& d) const { return sort(d.adds, std::identity{}); }
        bool operator()(removals_row& m) const { return sort(m.adds, &removals_row::add::id); }
        bool operator()(escrow_row& e) const {
            const auto is_account = [&](escrow_row::account& a) {
                return a.touched <= a.sequence && (a.uses > 0) == (a.touched > 0) && a.wanted >= 0 && sort(a.sent, &escrow_row::transfer::to) &&
                       std::ranges::all_of(a.sent, [&](const auto& t) { return t.amount > 0 && t.to != a.writer; });
            };
            return sort(e.generations, &escrow_row::generation::birth) && std::ranges::all_of(e.generations, [&](auto& g) {
                       return g.birth.sequence > 0 && sort(g.accounts, &escrow_row::account::writer) &&
                              sort(g.removed, &escrow_row::seen_uses::writer) && std::ranges::all_of(g.accounts, is_account);
                   });
        }
    };
    return std::visit(visitor{sort_unique}, r);
}

bool adds_only(const row& r, const std::function<bool(const dot&)>& predicate) {
    struct visitor {
        const std::function<bool(const dot&)>& holds;
        bool operator()(const counter_row& c) const {
            return std::ranges::all_of(c.totals, [&](const auto& t) { return holds({t.writer, t.sequence}); });
        }
        bool operator()(const entries_row& e) const { return std::ranges::all_of(e.entries, holds, &entries_row::entry::id); }
        bool operator()(const dots_row& d) const { return std::ranges::all_of(d.adds, holds); }
        bool operator()(const removals_row& m) const {
            return std::ranges::all_of(m.adds, holds, &removals_row::add::id) &&
                   std::ranges::all_of(m.removals, [&](const auto& e) { return holds({e.first, e.second}); });
        }
        bool operator()(const escrow_row& e) const {
            return std::ranges::all_of(e.generations, [&](const auto& g) {
                return std::ranges::all_of(g.accounts, [&](const auto& a) { return holds({a.writer, a.sequence}); });
            });
        }
    };
    return std::visit(visitor{predicate}, r);
}

bool is_born(const row& r, const std::function<bool(const dot&)>& predicate) {
    const auto* escrow = std::get_if<escrow_row>(&r);
    return escrow == nullptr || std::ranges::all_of(escrow->generations, predicate, &escrow_row::generation::birth);
}

bool join(row& state, const delta& d, const version_vector& have, open_requests* open) {
    if (state.index() != d.change.index()) return false;
    std::visit([&](auto& alternative) { join_into(alternative, d, have, open); }, state);
    return true;
}

bool cover(row& state, const version_vector& covered, open_requests* open) {
    return std::visit([&](auto& alternative) { return cover_in(alternative, covered, open); }, state);
}

delta removal_in(const row& r, const version_vector& covered) {
    delta d{{}, bottom(kind_of(r))};
    const auto seen = std::visit([](const auto& alternative) {
        if constexpr (requires { seen_in(alternative); }) return seen_in(alternative);
        return version_vector{};
    }, r);
    for (const auto& [writer, sequence] : seen) d.covers.join(dot{writer, std::min(sequence, covered.at(writer))});
    return d;
}

bool has_leftovers(const row& r) {
    struct visitor {
        bool operator()(const counter_row& c) const {
            return std::ranges::any_of(c.totals, [&](const auto& total) { return !taken(c, total); }) ||
                   std::ranges::any_of(c.resets, [&](const auto& reset) { return find_writer(c.totals, reset.writer) == nullptr; });
        }
        bool operator()(const entries_row&) const { return false; }
        bool operator()(const dots_row&) const { return false; }
        bool operator()(const removals_row& m) const { return !m.removals.empty() || std::ranges::any_of(m.adds, [](const auto& add) { return !add.seen.empty(); }); }
        bool operator()(const escrow_row& e) const { return !std::ranges::all_of(e.generations, [&](const auto& g) { return is_live(e, g); }); }
    };
    return std::visit(visitor{}, r);
}

bool may_have_leftovers(row_kind kind) {
    return kind == row_kind::counter || kind == row_kind::removals || kind == row_kind::escrow;
}

void prune(row& r, const version_vector& stable) {
    struct visitor {
        const version_vector& stable;
        void operator()(counter_row& c) const {
            if (c.doubt.get().is_open()) return;
            // The writer has seen the reset, and begins a new total when it adds again.
            const auto all = c.totals;
            for (const auto& total : all) {
                if (!taken(c, total) && !c.doubt.empty()) forget_writer(c, total.writer);
            }
            erase_where(c.totals, [&](const auto& total) { return !taken(c, total); });
            erase_where(c.resets, [&](const auto& reset) { return find_writer(c.totals, reset.writer) == nullptr; });
        }
        void operator()(entries_row&) const {}
        void operator()(dots_row&) const {}
        void operator()(removals_row& m) const {
            // Additions of requests that may still turn out to have seen a removal are here, and not shown.
            if (!m.doubt.empty() || shown(m).size() != m.adds.size()) return;
            m.removals = m.removals.beyond(stable);
            for (auto& add : m.adds) add.seen = add.seen.beyond(stable);
        }
        // Nobody will use it any more without having seen its removal.
        void operator()(escrow_row& e) const {
            if (e.doubt.empty()) erase_where(e.generations, [&](const auto& g) { return !is_live(e, g); });
        }
    };
    std::visit(visitor{stable}, r);
}

bool is_bottom(const row& r) {
    struct visitor {
        bool operator()(const counter_row& c) const { return c.totals.empty() && c.resets.empty() && c.doubt.empty(); }
        bool operator()(const entries_row& e) const { return e.entries.empty() && e.doubt.empty(); }
        bool operator()(const dots_row& d) const { return d.adds.empty() && d.doubt.empty(); }
        bool operator()(const removals_row& m) const { return m.adds.empty() && m.removals.empty() && m.doubt.empty(); }
        bool operator()(const escrow_row& e) const { return e.generations.empty() && e.doubt.empty(); }
    };
    return std::visit(visitor{}, r);
}

bool delta::empty() const { return covers.empty() && is_bottom(change); }

bool is_live(const row& r) {
    struct visitor {
        bool operator()(const counter_row& c) const {
            return std::ranges::any_of(c.totals, [&](const auto& total) { return counting(c, total).has_value(); });
        }
        bool operator()(const entries_row& e) const { return e.doubt.empty() ? !e.entries.empty() : is_shown(e); }
        bool operator()(const dots_row& d) const { return d.doubt.empty() ? !d.adds.empty() : is_shown(d); }
        bool operator()(const removals_row& m) const { return !m.adds.empty() && !shown(m).empty(); }
        bool operator()(const escrow_row& e) const {
            return std::ranges::any_of(e.generations, [&](const auto& g) { return is_live(e, g); });
        }
    };
    return std::visit(visitor{}, r);
}

std::optional<std::int64_t> taken(const counter_row& r, const counter_row::total& total) {
    const auto* reset = find_writer(r.resets, total.writer);
    if (reset == nullptr || reset->sequence <= total.start) return 0;
    if (reset->sequence >= total.sequence) return std::nullopt;
    return reset->sum;
}

hash128 fingerprint(std::string_view key, const row& r, const origin_table& origins) {
    if (!is_live(r)) return {};
    std::string bytes;
    identity_output out(bytes, origins);
    out(key, kind_of(r));
    std::visit([&](const auto& alternative) { write_live(out, alternative, origins); }, r);
    return sha256_128({bytes});
}

row only_shown(const row& r, const origin_table& origins) {
    struct visitor {
        const origin_table& origins;
        row operator()(const counter_row& c) const {
            counter_row only;
            for (const auto& total : c.totals) {
                // As if no request had made it: what of it counts is known.
                if (const auto left = counting(c, total)) only.totals.push_back({total.writer, 0, total.start, total.sequence, *left});
            }
            return only;
        }
        row operator()(const entries_row& e) const {
            entries_row only;
            for (const auto* entry : shown(e, origins)) only.entries.push_back(*entry);
            return only;
        }
        row operator()(const dots_row& d) const {
            dots_row only;
            for (const auto& add : shown(d)) only.adds.push_back(add);
            return only;
        }
        row operator()(const removals_row& m) const {
            removals_row only;
            for (const auto* add : shown(m)) only.adds.push_back({add->id, {}});
            return only;
        }
        row operator()(const escrow_row& e) const {
            escrow_row only;
            doubts<escrow_row::removal> locked;
            for (const auto& g : e.generations) {
                if (!is_live(e, g)) continue;
                auto& kept = only.generations.emplace_back(g);
                kept.removed.clear();
                for (auto& a : kept.accounts) {
                    const auto doubt = doubt_of(e, g.birth, a.writer);
                    a.value -= doubt.off.value;
                    a.bound -= doubt.off.bound;
                    if (doubt.locked > 0) locked.corrections.push_back({.birth = g.birth, .writer = a.writer, .open = {}, .fixed = {}, .locked = doubt.locked});
                }
            }
            if (!locked.empty()) only.doubt.edit() = std::move(locked);
            return only;
        }
    };
    auto only = std::visit(visitor{origins}, r);
    normalise(only);
    return only;
}

void add_fingerprint(hash128& sum, const hash128& fingerprint) {
    unsigned carry = 0;
    for (std::size_t i = 0; i < sum.size(); ++i) {
        carry += static_cast<unsigned>(sum[i]) + fingerprint[i];
        sum[i] = static_cast<std::uint8_t>(carry);
        carry >>= 8;
    }
}

std::string encode_row(const row& r) {
    std::string bytes;
    encode_row(r, bytes);
    return bytes;
}

void encode_row(const row& r, std::string& out) {
    codec::output bytes(out);
    bytes(kind_of(r));
    std::visit([&](const auto& alternative) {
        bytes(alternative);
        // At the end, and mostly not there.
        if (!alternative.doubt.empty()) bytes(alternative.doubt.get());
    }, r);
}

std::optional<row_kind> encoded_kind(std::string_view bytes) {
    if (bytes.empty()) return std::nullopt;
    return static_cast<row_kind>(bytes.front());
}

namespace {

template <class Input>
std::optional<row> read_row(Input&& in) {
    row_kind kind{};
    in(kind);
    if (!in.ok() || !known_kinds{}.holds(kind)) return std::nullopt;
    row r = bottom(kind);
    std::visit([&](auto& alternative) {
        in(alternative);
        if (in.remaining() == 0) return;
        in(alternative.doubt.edit());
        if (alternative.doubt.empty()) in.fail();
    }, r);
    if (!in.complete()) return std::nullopt;
    return r;
}

void normalise(dots& d) { std::ranges::sort(d); }

void normalise(claims& all) {
    for (auto& c : all) {
        normalise(c.writes);
        normalise(c.removals);
    }
    std::ranges::sort(all, {}, &claim::id);
}

void normalise(counter_row::removal& r) { std::ranges::sort(r.resets, {}, &counter_row::reset::writer); }

void normalise(escrow_row::removal& r) {
    for (auto& p : r.parts) std::ranges::sort(p.removed, {}, &escrow_row::seen_uses::writer);
    std::ranges::sort(r.parts, {}, &escrow_row::removal::part::birth);
}

template <class Removal>
void normalise(doubts<Removal>& d) {
    std::ranges::sort(d.corrections, {}, [](const correction& c) { return std::pair(c.birth, c.writer); });
    for (auto& r : d.removals) normalise(r);
    std::ranges::sort(d.removals, {}, &Removal::id);
}

}  // namespace

std::optional<row> decode_row(std::string_view bytes) { return read_row(codec::input(bytes)); }

std::optional<row> decode_row(std::string_view bytes, const foreign_input::numbers& numbers) {
    auto r = read_row(foreign_input(bytes, numbers));
    if (!r || !normalise(*r)) return std::nullopt;
    std::visit([](auto& alternative) {
        if (!alternative.doubt.empty()) normalise(alternative.doubt.edit());
    }, *r);
    return r;
}

}  // namespace anabranch::crdt
