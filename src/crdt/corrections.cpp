// Counters, bounded or not, under requests that may still change: running totals hold every execution, corrections take off
// those that do not count.
#include <algorithm>
#include <map>
#include <tuple>

#include "crdt/requests.hpp"
#include "crdt/sorted.hpp"

namespace anabranch::crdt {
namespace {

using sums = correction::sums;

void add(sums& to, const sums& more, int sign) {
    // Modulo 2^64: what is taken off now may have been added before.
    const auto sum = [&](std::int64_t a, std::int64_t b) {
        const auto ub = static_cast<std::uint64_t>(b);
        return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + (sign < 0 ? ~ub + 1 : ub));
    };
    to.uses += sign < 0 ? ~more.uses + 1U : more.uses;
    to.value = sum(to.value, more.value);
    to.bound = sum(to.bound, more.bound);
}

using place = std::pair<dot, origin>;  // of a correction: birth and writer
place place_of(const correction& c) { return {c.birth, c.writer}; }

template <class Corrections>
auto find_correction(Corrections& all, const dot& birth, origin writer) {
    const auto it = std::ranges::lower_bound(all, place(birth, writer), {}, place_of);
    return it != all.end() && place_of(*it) == place(birth, writer) ? &*it : nullptr;
}

correction& make_correction(std::vector<correction>& all, const place& at) {
    const auto it = std::ranges::lower_bound(all, at, {}, place_of);
    if (it != all.end() && place_of(*it) == at) return *it;
    correction fresh;
    std::tie(fresh.birth, fresh.writer) = at;
    return *all.insert(it, fresh);
}

/// Of several removals the one that has seen most.
struct removed {
    std::uint64_t sequence = 0;
    std::int64_t sum = 0;
    std::uint32_t uses = 0;
    bool is_certain = true;
};

removed removed_of(const counter_row& r, origin writer) {
    removed most;
    if (const auto* reset = find_writer(r.resets, writer)) most = {reset->sequence, reset->sum, reset->adds, true};
    for (const auto& removal : r.doubt.get().removals) {
        const auto* reset = find_writer(removal.resets, writer);
        if (reset != nullptr && reset->sequence > most.sequence) most = {reset->sequence, reset->sum, reset->adds, false};
    }
    return most;
}

removed removed_of(const escrow_row& r, const escrow_row::generation& g, origin writer) {
    removed most;
    if (const auto* seen = find_writer(g.removed, writer)) most = {seen->sequence, 0, seen->uses, true};
    for (const auto& removal : r.doubt.get().removals) {
        for (const auto& p : removal.parts) {
            if (p.birth != g.birth) continue;
            const auto* seen = find_writer(p.removed, writer);
            if (seen != nullptr && seen->sequence > most.sequence) most = {seen->sequence, 0, seen->uses, false};
        }
    }
    return most;
}

bool is_removed(const counter_row& r, const dot& d) {
    const auto* total = find_writer(r.totals, d.writer);
    return total == nullptr || d.sequence <= std::max(total->start, removed_of(r, d.writer).sequence);
}

const escrow_row::generation* find_generation(const escrow_row& r, const dot& birth) {
    const auto it = std::ranges::lower_bound(r.generations, birth, {}, &escrow_row::generation::birth);
    return it != r.generations.end() && it->birth == birth ? &*it : nullptr;
}

/// What a group takes off, and locks.
struct weight {
    struct load {
        sums off;
        std::int64_t locked = 0;
        std::uint64_t last = 0;  // of its executions
    };
    std::map<place, load> at;

    void take_off(const dot& birth, const dot& execution, const sums& what) {
        auto& l = at[{birth, execution.writer}];
        add(l.off, what, 1);
        l.last = std::max(l.last, execution.sequence);
    }
};

bool counts(const row_group& g, const part& p) { return g.content != nullptr && g.content->id == p.id; }

weight weigh(const counter_row& r, const row_group& g) {
    weight w;
    const bool is_gone = std::ranges::any_of(g.parts, [&](const part& p) { return !p.tallies.empty() && is_removed(r, p.id); });
    for (const auto& p : g.parts) {
        if (p.tallies.empty() || is_removed(r, p.id) || (counts(g, p) && !is_gone)) continue;
        const auto& t = p.tallies.front();
        w.take_off({}, p.id, {t.uses, t.value, t.bound});
    }
    return w;
}

weight weigh(const escrow_row& r, const row_group& g) {
    weight w;
    const auto is_seen = [&](const part& p, const tally& t) {
        const auto* generation = find_generation(r, t.birth);
        return generation != nullptr && t.uses > 0 && p.id.sequence <= removed_of(r, *generation, p.id.writer).sequence;
    };
    // Whoever has seen one execution use the counter has seen the request use it.
    const bool is_removed = std::ranges::any_of(g.parts, [&](const part& p) {
        return std::ranges::any_of(p.tallies, [&](const tally& t) { return !t.is_undone && is_seen(p, t); });
    });
    for (const auto& p : g.parts) {
        for (const auto& t : p.tallies) {
            const auto uses = is_seen(p, t) ? 0U : t.uses;
            if (!counts(g, p)) {
                w.take_off(t.birth, p.id, {uses, t.value, t.bound});
            } else {
                if (t.gain > 0) w.at[{t.birth, p.id.writer}].locked += t.gain;
                if (is_removed && uses > 0) w.take_off(t.birth, p.id, {uses, 0, 0});
            }
        }
    }
    return w;
}

void put(std::vector<correction>& all, const weight& w, int sign) {
    for (const auto& [at, load] : w.at) {
        auto& c = make_correction(all, at);
        add(c.open, load.off, sign);
        c.locked += sign * load.locked;
    }
}

bool is_doubled(const row_group& g) { return g.parts.size() > 1 || g.content == nullptr; }

bool locks(const row_group& g) {
    return std::ranges::any_of(g.parts, [](const part& p) { return std::ranges::any_of(p.tallies, [](const tally& t) { return t.gain > 0; }); });
}

/// Remembers where to look for its executions.
template <class Row>
void note(std::vector<correction>& all, const row_group& g) {
    if (!is_doubled(g) && !(std::same_as<Row, escrow_row> && locks(g))) return;
    for (const auto& p : g.parts) {
        for (const auto& t : p.tallies) {
            auto& c = make_correction(all, {std::same_as<Row, counter_row> ? dot{} : t.birth, p.id.writer});
            c.first = c.first == 0 ? p.id.sequence : std::min(c.first, p.id.sequence);
            c.last = std::max(c.last, p.id.sequence);
        }
    }
}

void tidy(std::vector<correction>& all) {
    std::erase_if(all, [](const correction& c) { return c.open == sums{} && c.fixed == sums{} && c.locked == 0 && c.first == 0 && c.plain == 0; });
}

template <class Row>
void finish(Row& r) {
    tidy(r.doubt.edit().corrections);
    if (r.doubt.empty()) r.doubt.clear();
}

void join(escrow_row::removal& to, const escrow_row::removal& more) {
    for (const auto& p : more.parts) {
        auto it = std::ranges::lower_bound(to.parts, p.birth, {}, &escrow_row::removal::part::birth);
        if (it == to.parts.end() || it->birth != p.birth) it = to.parts.insert(it, {p.birth, {}});
        join_newest(it->removed, p.removed, {});
    }
}

bool is_part(const row_group& g, const dot& id) { return std::ranges::find(g.parts, id, &part::id) != g.parts.end(); }

template <class Removal>
bool set_removal(std::vector<Removal>& all, const row_group& g, std::optional<Removal> next) {
    const auto is_of_it = [&](const Removal& r) { return is_part(g, r.id); };
    const auto old = std::ranges::find_if(all, is_of_it);
    if (old != all.end() ? next && *old == *next : !next) return false;
    std::erase_if(all, is_of_it);
    if (next) {
        all.push_back(std::move(*next));
        std::ranges::sort(all, {}, &Removal::id);
    }
    return true;
}

std::optional<counter_row::removal> removal_by(const row_group& g, const counter_row*) {
    if (g.content == nullptr || !g.content->change.removes) return std::nullopt;
    counter_row::removal removal{g.content->id, {}};
    for (const auto& p : g.parts) join_newest(removal.resets, std::get<counter_row>(p.change.change).resets, {});
    return removal;
}

std::optional<escrow_row::removal> removal_by(const row_group& g, const escrow_row*) {
    if (g.content == nullptr || !g.content->change.removes) return std::nullopt;
    escrow_row::removal removal{g.content->id, {}};
    for (const auto& p : g.parts) {
        for (const auto& gen : std::get<escrow_row>(p.change.change).generations) {
            if (!gen.removed.empty()) join(removal, {p.id, {{gen.birth, gen.removed}}});
        }
    }
    return removal;
}

/// The totals that the executions bring; whatever counts of them, they are what their writers go on from.
row totals_of(const row& change) {
    auto totals = change;
    if (auto* c = std::get_if<counter_row>(&totals)) c->resets.clear();
    if (auto* e = std::get_if<escrow_row>(&totals)) {
        for (auto& g : e->generations) g.removed.clear();
    }
    return totals;
}

/// What its writer has added so far no request has, unless the row says otherwise.
void note_plain(counter_row& r, origin writer) {
    const auto* total = find_writer(r.totals, writer);
    if (total != nullptr && total->adds == 0) make_correction(r.doubt.edit().corrections, {{}, writer}).plain = total->sequence;
}

template <class Row>
void regroup_counter(Row& r, const row_group* before, const row_group& after, const version_vector& have, open_requests& open) {
    if constexpr (std::same_as<Row, counter_row>) {
        for (const auto& p : after.parts) {
            note_plain(r, p.id.writer);
            for (const auto& t : std::get<counter_row>(p.change.change).totals) {
                const auto* old = find_writer(r.totals, t.writer);
                if (old != nullptr && old->start < t.start) open.is_recount_due = true;
            }
        }
    }
    row joined = std::move(r);
    for (const auto& p : after.parts) crdt::join(joined, {{}, totals_of(p.change.change)}, have);
    r = std::move(std::get<Row>(joined));
    const bool is_new_removal = set_removal(r.doubt.edit().removals, after, removal_by(after, static_cast<const Row*>(nullptr)));
    auto& corrections = r.doubt.edit().corrections;
    note<Row>(corrections, after);
    if (is_new_removal) {
        open.is_recount_due = true;
    } else {
        if (before != nullptr) put(corrections, weigh(r, *before), -1);
        put(corrections, weigh(r, after), 1);
    }
    if (is_new_removal || is_doubled(after) || (std::same_as<Row, escrow_row> && locks(after))) {
        for (const auto& p : after.parts) open.entangle(p.id);
    }
    finish(r);
}

/// What is fixed, or plain, and has been removed for good since.
void drop_removed(counter_row& r) {
    for (auto& c : r.doubt.edit().corrections) {
        const auto gone = removed_of(r, c.writer);
        const auto* total = find_writer(r.totals, c.writer);
        if (total == nullptr || total->start >= c.fixed_upto || (gone.is_certain && gone.sequence >= c.fixed_upto)) c.fixed = {};
        if (total == nullptr || total->start >= c.plain || total->adds == 0) c.plain = 0;
    }
}
void drop_removed(escrow_row&) {}  // a generation goes as a whole

template <class Row>
void recount_row(Row& r, const std::vector<row_group>& groups) {
    auto& corrections = r.doubt.edit().corrections;
    for (auto& c : corrections) {
        c.open = {};
        c.locked = 0;
        c.first = c.last = 0;
    }
    for (const auto& g : groups) {
        note<Row>(corrections, g);
        put(corrections, weigh(r, g), 1);
    }
    drop_removed(r);
    finish(r);
}

/// Moves what is off to what is off for good.
void settle_weight(std::vector<correction>& all, const weight& w) {
    put(all, w, -1);
    for (const auto& [at, load] : w.at) {
        auto& c = make_correction(all, at);
        add(c.fixed, load.off, 1);
        if (load.off != sums{}) c.fixed_upto = std::max(c.fixed_upto, load.last);
    }
}

void remove_for_good(counter_row& r, const counter_row::removal& removal) { join_newest(r.resets, removal.resets, {}); }
void remove_for_good(escrow_row& r, const escrow_row::removal& removal) {
    for (const auto& p : removal.parts) {
        const auto g = std::ranges::find(r.generations, p.birth, &escrow_row::generation::birth);
        if (g != r.generations.end()) join_newest(g->removed, p.removed, {});
    }
}

template <class Row>
bool fix_removals_of(Row& r, const row_group& group) {
    if (r.doubt.empty()) return false;
    auto& all = r.doubt.edit().removals;
    const auto it = std::ranges::find_if(all, [&](const auto& removal) { return is_part(group, removal.id); });
    if (it == all.end()) return false;
    remove_for_good(r, *it);
    all.erase(it);
    return true;
}

template <class Row>
bool fix_counter(Row& r, const row_group& group) {
    // An only execution takes nothing off a counter; of a bounded one it may lock rights.
    if (std::same_as<Row, counter_row> && !is_doubled(group)) return true;
    auto& doubt = r.doubt.edit();
    if (!doubt.removals.empty()) return false;
    settle_weight(doubt.corrections, weigh(r, group));
    finish(r);
    return true;
}

/// `use(counter)` for a row that is one, bounded or not; nothing for others.
template <class Row, class Use>
void if_counter(Row& r, const Use& use) {
    if (auto* c = std::get_if<counter_row>(&r)) use(*c);
    if (auto* e = std::get_if<escrow_row>(&r)) use(*e);
}

}  // namespace

std::optional<std::int64_t> counting(const counter_row& r, const counter_row::total& total) {
    auto sum = static_cast<std::uint64_t>(total.sum);
    auto adds = total.adds;
    bool is_plain = adds == 0;
    const auto gone = removed_of(r, total.writer);
    if (gone.sequence > total.start) {
        if (gone.sequence >= total.sequence) return std::nullopt;
        sum -= static_cast<std::uint64_t>(gone.sum);
        adds -= std::min(adds, gone.uses);
    }
    if (const auto* c = find_correction(r.doubt.get().corrections, {}, total.writer)) {
        // What a transaction that is running has just removed has not been counted anew yet.
        sums off = std::max(gone.sequence, total.start) < c->last ? c->open : sums{};
        if (std::max(gone.sequence, total.start) < c->fixed_upto) add(off, c->fixed, 1);
        sum -= static_cast<std::uint64_t>(off.value);
        adds -= std::min(adds, off.uses);
        is_plain = is_plain || c->plain > std::max(gone.sequence, total.start);
    }
    if (adds == 0 && !is_plain) return std::nullopt;
    return static_cast<std::int64_t>(sum);
}

account_doubt doubt_of(const escrow_row& r, const dot& birth, origin writer) {
    const auto* c = find_correction(r.doubt.get().corrections, birth, writer);
    if (c == nullptr) return {};
    account_doubt d{c->open, c->locked};
    add(d.off, c->fixed, 1);
    return d;
}

bool is_live(const escrow_row& r, const escrow_row::generation& g) {
    return std::ranges::any_of(g.accounts, [&](const escrow_row::account& a) {
        const auto gone = removed_of(r, g, a.writer);
        const auto uses = a.uses - std::min(a.uses, gone.uses);
        const auto* c = find_correction(r.doubt.get().corrections, g.birth, a.writer);
        if (c == nullptr) return uses > 0;
        return uses > (gone.sequence < c->last ? c->open.uses : 0) + (gone.sequence < c->fixed_upto ? c->fixed.uses : 0);
    });
}

std::vector<stretch> entangled_stretches(const row& r) {
    std::vector<stretch> found;
    if_counter(r, [&](const auto& counter) {
        for (const auto& c : counter.doubt.get().corrections) {
            if (c.first > 0) found.push_back({c.writer, c.first, c.last});
        }
    });
    return found;
}

bool is_in_doubt(const row& r) {
    if (const auto* removals = std::get_if<removals_row>(&r); removals != nullptr && shown(*removals).size() != removals->adds.size()) return true;
    return std::visit([](const auto& alternative) {
        if constexpr (requires { alternative.doubt.get().is_open(); }) return alternative.doubt.get().is_open();
        return !alternative.doubt.empty();
    }, r);
}

void note_plain(counter_row& r, const counter_row::total& added) {
    const auto* total = find_writer(r.totals, added.writer);
    if (total == nullptr || total->adds == 0 || added.sequence <= total->start) return;
    auto& c = make_correction(r.doubt.edit().corrections, {{}, added.writer});
    c.plain = std::max(c.plain, added.sequence);
}

void forget_writer(counter_row& r, origin writer) {
    std::erase_if(r.doubt.edit().corrections, [&](const correction& c) { return c.writer == writer; });
    if (r.doubt.empty()) r.doubt.clear();
}

void preview(row& r, const delta& change, origin me) {
    const auto* counter = std::get_if<counter_row>(&change.change);
    const auto* mine = counter == nullptr || counter->totals.empty() ? nullptr : &counter->totals.front();
    const auto* old = mine == nullptr ? nullptr : find_writer(std::get<counter_row>(r).totals, mine->writer);
    const bool is_plain = mine != nullptr && mine->adds == (old == nullptr ? 0 : old->adds);
    join(r, change, {});
    if (is_plain) note_plain(std::get<counter_row>(r), *mine);
    if (change.gained.empty()) return;
    auto& corrections = std::get<escrow_row>(r).doubt.edit().corrections;
    for (const auto& [birth, rights] : change.gained) make_correction(corrections, {birth, me}).locked += rights;
}

std::vector<tally> tallies_of(const row& before, const delta& change, const dot& me, std::uint32_t place) {
    std::vector<tally> found;
    if (const auto* c = std::get_if<counter_row>(&change.change); c != nullptr && !c->totals.empty()) {
        const auto& next = c->totals.front();
        const auto* old = find_writer(std::get<counter_row>(before).totals, me.writer);
        const bool goes_on = old != nullptr && old->start == next.start;
        // Its own replica costs no mention in the record.
        found.push_back({place, {me.writer, 0}, 1, next.sum - (goes_on ? old->sum : 0), 0, 0, false});
    }
    if (const auto* e = std::get_if<escrow_row>(&change.change)) {
        for (const auto& g : e->generations) {
            const auto* mine = g.find(me.writer);
            if (mine == nullptr) continue;
            const auto* known = find_generation(std::get<escrow_row>(before), g.birth);
            const auto* old = known == nullptr ? nullptr : known->find(me.writer);
            const escrow_row::account none;
            if (old == nullptr) old = &none;
            tally t{place, g.birth, mine->uses - old->uses, mine->value - old->value, mine->bound - old->bound, 0, false};
            const auto* seen = find_writer(g.removed, me.writer);
            t.is_undone = seen != nullptr && seen->sequence == me.sequence;
            for (const auto& [birth, rights] : change.gained) t.gain += birth == g.birth ? rights : 0;
            if (t.uses != 0) found.push_back(t);
        }
    }
    return found;
}

void regroup(row& r, const row_group* before, const row_group& after, const version_vector& have, open_requests& open) {
    std::visit([&](auto& alternative) {
        if constexpr (requires { regroup(alternative, after, open); }) {
            regroup(alternative, after, open);
        } else {
            regroup_counter(alternative, before, after, have, open);
        }
    }, r);
}

void recount(row& r, const std::vector<row_group>& groups) {
    if_counter(r, [&](auto& counter) { recount_row(counter, groups); });
}

bool fix_removals(row& r, const row_group& group, open_requests& open) {
    bool is_changed = false;
    if_counter(r, [&](auto& counter) { is_changed = fix_removals_of(counter, group); });
    open.is_recount_due = open.is_recount_due || is_changed;
    return is_changed;
}

bool fix(row& r, const row_group& group, const origin_table& origins, open_requests& open) {
    return std::visit([&](auto& alternative) {
        if constexpr (requires { settle(alternative, origins, open); }) {
            settle(alternative, origins, open);
            return true;
        } else {
            return fix_counter(alternative, group);
        }
    }, r);
}

}  // namespace anabranch::crdt
