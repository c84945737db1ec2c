#include "crdt/history.hpp"

#include <algorithm>
#include <stdexcept>

namespace anabranch::test {
namespace {

using crdt::row_kind;

const std::string map_path = "map/";
const std::string row_path = "map/row";

void edit_row(crdt::edit& e, type t, const operation& o, const dot& me, timestamp at, const version_vector& have) {
    if (o.what == operation::kind::clear) return e.clear(have);
    const bool put = o.what == operation::kind::put;
    switch (t) {
        case type::counter:
            if (put && !e.add(me, o.amount, me.sequence - 1)) throw std::logic_error("overflow");
            if (!put) e.reset();
            return;
        case type::last_writer:
        case type::multi_value: return put ? e.assign(me, at, std::to_string(o.amount)) : e.erase();
        case type::add_wins: return put ? e.insert(me) : e.remove();
        case type::remove_wins: return put ? e.insert_seeing_removals(me, have) : e.remove_for_good(me);
        case type::bounded: return;
    }
}

}  // namespace

row_kind kind_of(type t) {
    switch (t) {
        case type::counter: return row_kind::counter;
        case type::last_writer:
        case type::multi_value: return row_kind::entries;
        case type::add_wins: return row_kind::dots;
        case type::remove_wins: return row_kind::removals;
        case type::bounded: return row_kind::escrow;
    }
    return {};
}

history::history(type t, std::size_t replicas) : type_(t), replicas_(replicas) {
    for (std::size_t i = 0; i < replicas; ++i) {
        // Identities in another order than the numbers, and numbers that differ between replicas.
        replicas_[i].id.value[0] = static_cast<std::uint8_t>(200 - i * 50);
        replicas_[i].id.incarnation = 1;
    }
    for (auto& r : replicas_) {
        r.origins.intern(r.id);
        r.row = crdt::bottom(kind_of(t));
    }
}

void history::run(const step& s) {
    const auto [who, what, how] = s;
    const auto actor = who % replicas_.size();
    if (what % 4 >= 2) return deliver(how % replicas_.size(), actor, how, how % 3 == 0 ? 1U + how % 5U : SIZE_MAX);
    std::vector<operation> operations;
    auto bits = static_cast<std::uint32_t>(how);
    for (auto n = 1 + bits % 3; n > 0; --n) {
        bits = bits / 3 + 7;
        const auto kind = bits % 8;
        operations.push_back({kind < 4   ? operation::kind::put
                              : kind < 7 ? operation::kind::take
                                         : operation::kind::clear,
                              static_cast<std::int64_t>(how % 1000) - 300 + static_cast<std::int64_t>(n)});
    }
    commit(actor, operations, what % 5 == 0 ? 100 : 0);
}

dot history::dot_of(site& at, const sent_transaction& t) const {
    return {at.origins.intern(replicas_[t.writer].id), t.sequence};
}

void history::commit(std::size_t replica, const std::vector<operation>& operations, std::uint64_t clock_jump) {
    auto& r = replicas_[replica];
    sent_transaction t;
    t.writer = replica;
    t.operations = operations;
    t.past = r.known;
    const auto writer = r.origins.intern(r.id);
    t.sequence = r.have.at(writer) + 1;
    r.clock = t.at = {r.clock.value + 1 + clock_jump};
    const dot me{writer, t.sequence};

    const auto before = r.row;
    crdt::edit e(before);
    crdt::changes c;
    // So that what is asked for sees what comes before it in the transaction.
    t.operations.clear();
    log_.push_back(t);
    auto& pending = log_.back();
    r.known.insert(log_.size() - 1);
    for (auto o : operations) {
        if (type_ == type::bounded && o.what != operation::kind::clear) {
            local_is_remote_ = change_rights(r, replica, e, o, me) && local_is_remote_;
        } else {
            edit_row(e, type_, o, me, t.at, r.have);
        }
        pending.operations.push_back(o);
        if (o.what == operation::kind::clear) c.removals.assign(1, {map_path, r.have});
    }
    if (!e.change().empty()) c.rows.push_back({row_path, e.change()});

    // What the transaction itself reads is what is joined, here and elsewhere.
    if (!c.removals.empty()) crdt::cover(r.row, r.have);
    auto joined = r.row;
    crdt::join(joined, e.change(), r.have);
    if (!e.change().empty()) r.row = e.now();
    local_is_remote_ = local_is_remote_ && joined == r.row;

    std::vector<origin> mentioned;
    t.payload = crdt::encode_changes(c, {me, t.at}, mentioned);
    for (const auto o : mentioned) t.mentioned.push_back(r.origins.id(o));
    r.have.join(me);
    r.adverts.push_back(r.known);
    r.applied.push_back(log_.size() - 1);
    t.operations = std::move(pending.operations);
    log_.back() = std::move(t);
}

history::generations history::generations_of(const std::set<std::size_t>& known) const {
    generations found;
    std::vector<event> clears;
    for (const auto t : known) {
        for (std::size_t i = 0; i < log_[t].operations.size(); ++i) {
            if (log_[t].operations[i].what == operation::kind::clear) clears.push_back({t, i, operation::kind::clear, 0});
        }
    }
    for (const auto t : known) {
        for (std::size_t i = 0; i < log_[t].operations.size(); ++i) {
            const auto& o = log_[t].operations[i];
            const auto is_removed = [&](bool in_it) {
                return std::ranges::any_of(clears, [&](const event& c) { return (!in_it || c.transaction == t) && sees(c, {t, i, o.what, 0}); });
            };
            for (const auto& [birth, amount] : o.parts) {
                if (birth == t && is_removed(true)) continue;  // nobody has ever seen it
                auto& g = found[birth];
                g.rights.resize(replicas_.size());
                g.is_live = g.is_live || !is_removed(false);
                const auto change = o.what == operation::kind::put ? amount : -amount;
                g.value += change;
                g.rights[log_[t].writer] += change;
            }
        }
    }
    std::erase_if(found, [](const auto& entry) { return !entry.second.is_live; });
    return found;
}

/// Whether it is granted exactly when the specification says so.
bool history::change_rights(site& at, std::size_t who, crdt::edit& e, operation& o, const dot& me) {
    const auto all = generations_of(at.known);
    // In the order in which this replica knows those who created them.
    std::vector<std::size_t> births;
    for (const auto& [birth, g] : all) births.push_back(birth);
    std::ranges::sort(births, {}, [&](std::size_t t) {
        return t + 1 == log_.size() ? me : dot{*at.origins.find(replicas_[log_[t].writer].id), log_[t].sequence};
    });
    o.amount = std::abs(o.amount) % 20;
    if (o.what == operation::kind::put) {
        o.parts = {{births.empty() ? log_.size() - 1 : births.front(), o.amount}};
        return e.deposit(me, o.amount);
    }
    auto missing = o.amount;
    for (const auto birth : births) {
        const auto part = std::min(missing, all.at(birth).rights[who]);
        if (part > 0) o.parts.emplace_back(birth, part);
        missing -= part;
    }
    if (missing > 0) o.parts.clear();
    return e.spend(me, o.amount, {}) == (missing == 0);
}

void history::apply(site& to, const sent_transaction& t) const {
    const auto me = dot_of(to, t);
    std::vector<origin> mentioned;
    for (const auto& id : t.mentioned) mentioned.push_back(to.origins.intern(id));
    const auto c = crdt::decode_changes(t.payload, {me, t.at}, mentioned);
    if (!c || !crdt::is_own_work(*c, me)) throw std::logic_error("a payload is not what was encoded");
    for (const auto& removal : c->removals) crdt::cover(to.row, removal.covered);
    for (const auto& r : c->rows) crdt::join(to.row, r.change, to.have);
    to.have.join(me);
    to.clock.value = std::max(to.clock.value, t.at.value);
}

void history::deliver(std::size_t from, std::size_t to, std::uint16_t order, std::size_t limit) {
    auto& r = replicas_[to];
    std::set<std::size_t> lacking;
    std::ranges::set_difference(replicas_[from].known, r.known, std::inserter(lacking, lacking.end()));
    for (std::uint32_t bits = order; !lacking.empty() && limit > 0; --limit) {
        std::vector<std::size_t> ready;
        for (const auto t : lacking) {
            if (std::ranges::includes(r.known, log_[t].past)) ready.push_back(t);
        }
        bits = bits * 1'103'515'245U + 12'345U;
        const auto next = ready.at(bits / 65'536 % ready.size());
        apply(r, log_[next]);
        r.known.insert(next);
        r.applied.push_back(next);
        lacking.erase(next);
    }
    r.adverts.push_back(r.known);
}

bool history::prune(std::size_t replica) {
    auto& r = replicas_[replica];
    const auto has_told = [&](const site& member) {
        // It may have got further since; what it had then is part of that. The last one that counts is enough.
        const auto is_delivered = [&](const auto& advert) { return std::ranges::includes(r.known, advert); };
        const auto last = std::ranges::find_if(member.adverts.rbegin(), member.adverts.rend(), is_delivered);
        return last != member.adverts.rend() && *last == r.known;
    };
    if (!std::ranges::all_of(replicas_, has_told)) return false;
    crdt::prune(r.row, r.have);
    return true;
}

void history::deliver_all() {
    for (std::size_t round = 0; round < 2; ++round) {
        for (std::size_t from = 0; from < replicas_.size(); ++from) {
            for (std::size_t to = 0; to < replicas_.size(); ++to) {
                deliver(from, to, static_cast<std::uint16_t>(from * 31 + to), SIZE_MAX);
            }
        }
    }
}

bool history::duplicates_change_nothing(std::size_t replica) {
    auto& r = replicas_[replica];
    const auto before = r.row;
    for (const auto t : r.applied) {
        apply(r, log_[t]);
        if (r.row != before) return false;
    }
    return true;
}

void history::replay(std::size_t replica, std::size_t from) {
    auto& r = replicas_[replica];
    const auto first = r.applied.begin() + static_cast<std::ptrdiff_t>(std::min(from, r.applied.size()));
    r.have = {};
    for (auto it = r.applied.begin(); it != first; ++it) r.have.join(dot_of(r, log_[*it]));
    std::vector<std::size_t> again(first, r.applied.end());
    std::ranges::sort(again, {}, [&](std::size_t t) { return std::pair(log_[t].at, replicas_[log_[t].writer].id); });
    for (const auto t : again) apply(r, log_[t]);
}

bool history::commutes(std::size_t replica) const {
    const auto ready = [&](std::size_t t) {
        return !replicas_[replica].known.contains(t) && std::ranges::includes(replicas_[replica].known, log_[t].past);
    };
    for (std::size_t a = 0; a < log_.size(); ++a) {
        for (std::size_t b = a + 1; b < log_.size(); ++b) {
            if (!ready(a) || !ready(b)) continue;
            // Origin tables only grow, so one copy of the row and the vector is enough.
            auto& r = const_cast<history*>(this)->replicas_[replica];
            const auto row = r.row;
            const auto have = r.have;
            const auto clock = r.clock;
            apply(r, log_[a]);
            apply(r, log_[b]);
            const auto one = std::exchange(r.row, row);
            r.have = have;
            apply(r, log_[b]);
            apply(r, log_[a]);
            const auto other = std::exchange(r.row, row);
            r.have = have;
            r.clock = clock;
            if (one != other) return false;
        }
    }
    return true;
}

std::string history::shown(std::size_t replica) const {
    const auto& r = replicas_[replica];
    if (type_ == type::counter) {
        return std::to_string(crdt::counter_value(std::get<crdt::counter_row>(r.row)).value());
    }
    if (type_ == type::add_wins || type_ == type::remove_wins) return crdt::is_live(r.row) ? "in" : "out";
    if (type_ == type::bounded) {
        const auto all = crdt::totals(std::get<crdt::escrow_row>(r.row), {});
        if (all.value < all.bound) return "below its bound";
        std::string rights = std::to_string(static_cast<std::int64_t>(all.value));
        for (std::size_t i = 0; i < replicas_.size(); ++i) {
            const auto known = r.origins.find(replicas_[i].id);
            const auto* h = known ? all.find(*known) : nullptr;
            rights += ' ' + std::to_string(h == nullptr ? 0 : h->rights);
        }
        return rights;
    }
    std::string text;
    for (const auto* e : crdt::latest_first(std::get<crdt::entries_row>(r.row), r.origins)) {
        text += e->value + ' ';
        if (type_ == type::last_writer) break;
    }
    return text;
}

bool history::sees(const event& later, const event& earlier) const {
    if (later.transaction == earlier.transaction) return earlier.place < later.place;
    return log_[later.transaction].past.contains(earlier.transaction);
}

std::string history::demanded(std::size_t replica) const {
    using enum operation::kind;
    if (type_ == type::bounded) {
        std::int64_t value = 0;
        std::vector<std::int64_t> rights(replicas_.size());
        for (const auto& [birth, g] : generations_of(replicas_[replica].known)) {
            value += g.value;
            for (std::size_t i = 0; i < rights.size(); ++i) rights[i] += g.rights[i];
        }
        auto text = std::to_string(value);
        for (const auto r : rights) text += ' ' + std::to_string(r);
        return text;
    }
    std::vector<event> events;
    for (const auto t : replicas_[replica].known) {
        for (std::size_t i = 0; i < log_[t].operations.size(); ++i) {
            events.push_back({t, i, log_[t].operations[i].what, log_[t].operations[i].amount});
        }
    }
    const auto is_removed = [&](const event& put) {
        return std::ranges::any_of(events, [&](const event& e) { return e.what != event{}.what && sees(e, put); });
    };
    std::vector<event> standing;
    for (const auto& put : events) {
        if (put.what != operation::kind::put) continue;
        bool stands = !is_removed(put);
        if (type_ == type::last_writer || type_ == type::multi_value) {
            // A later write takes the place of those that it has seen.
            stands = stands && std::ranges::none_of(events, [&](const event& e) {
                return e.what == operation::kind::put && sees(e, put);
            });
        }
        if (type_ == type::remove_wins) {
            // It has seen every removal that there is.
            stands = stands && std::ranges::all_of(events, [&](const event& e) { return e.what != take || sees(put, e); });
        }
        if (stands) standing.push_back(put);
    }
    if (type_ == type::counter) {
        std::int64_t sum = 0;
        for (const auto& e : standing) sum += e.amount;
        return std::to_string(sum);
    }
    if (type_ == type::add_wins || type_ == type::remove_wins) return standing.empty() ? "out" : "in";
    std::ranges::sort(standing, std::greater{}, [&](const event& e) {
        return std::pair(log_[e.transaction].at, replicas_[log_[e.transaction].writer].id);
    });
    std::string text;
    for (const auto& e : standing) {
        text += std::to_string(e.amount) + ' ';
        if (type_ == type::last_writer) break;
    }
    return text;
}

hash128 history::fingerprint(std::size_t replica) const {
    return crdt::fingerprint(row_path, replicas_[replica].row, replicas_[replica].origins);
}

}  // namespace anabranch::test
