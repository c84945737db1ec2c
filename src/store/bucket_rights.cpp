// Bounded counters: asking the other members for rights, and giving them some.
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {

result<origin> bucket_state::find_member(const replica_id& id) {
    const auto* m = members_.roster().find(id);
    if (m == nullptr || m->at != crdt::roster::stage::joined) {
        return fail(errc::not_a_member, "replica " + to_string(id) + " is no member of bucket \"" + name_ + "\", as far as is known here");
    }
    return meet(id);
}

/// The closure of a transaction has asked for rights.
void bucket_state::note_demands(const transaction_access::demands_by_path& demands, bool is_committed) {
    if (demands.empty()) return;
    const auto now = store_.options().env.now();
    for (const auto& [path, d] : demands) {
        if (is_committed && d.reserved) rebalancing_.reserved(path, *d.reserved, now);
        if (is_committed && d.spent > 0) rebalancing_.spent(path, d.spent, now);
        if (d.refused > 0) rebalancing_.refused(path, d.refused, now);
    }
    if (rebalancing_.has_errands()) has_duties_ = true;
}

void bucket_state::heard_of(std::string_view path, const crdt::row& change, origin self) {
    const auto* escrow = std::get_if<crdt::escrow_row>(&change);
    if (escrow == nullptr) return;
    for (const auto& g : escrow->generations) {
        for (const auto& a : g.accounts) {
            if (a.writer == self || a.wanted == 0) continue;
            rebalancing_.heard(path, a.writer);
            has_duties_ = true;
        }
    }
}

/// What this member writes to move rights: its own requests, and what others get from it.
result<std::vector<crdt::row_change>> bucket_state::move_rights(const dot& me) {
    std::vector<crdt::row_change> changes;
    const auto now = store_.options().env.now();
    for (const auto& [path, errand] : rebalancing_.take_errands()) {
        if (unread_.records != 0) continue;  // what rights there are may depend on them
        auto row = rows_.peek(path);
        if (!row) return fail(row.error());
        if (!*row || crdt::kind_of(**row) != crdt::row_kind::escrow) continue;
        crdt::edit e(std::move(**row));
        const auto all = [&] { return crdt::totals(std::get<crdt::escrow_row>(e.now()), heirs_); };
        const crdt::own_use own{std::max(rebalancing_.lately(path, now), errand.asks_for), rebalancing_.reserve(path)};
        for (const auto asker : errand.asked_by) {
            const auto* m = members_.roster().find(store_.origins().id(asker));
            if (m == nullptr || m->at != crdt::roster::stage::joined) continue;
            const auto gift = crdt::share_to_give(all(), me.writer, asker, own, store_.origins());
            if (gift > 0) (void)e.transfer(me, asker, gift, heirs_);
        }
        const auto wanted = std::max(own.needs, own.reserve);
        if (errand.asks_for > 0 && wanted > all().rights_of(me.writer)) e.want(me, wanted);
        if (!e.change().empty()) changes.push_back({path, e.take_change()});
    }
    return changes;
}

}  // namespace anabranch::detail
