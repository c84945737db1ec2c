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
void bucket_state::note_demands(const std::vector<transaction_access::demand>& demands, bool is_committed) {
    if (demands.empty()) return;
    const auto now = store_.options().env.now();
    for (const auto& d : demands) {
        if (d.is_refused) {
            rebalancing_.refused(d.path, d.amount, now);
        } else if (is_committed) {
            rebalancing_.spent(d.path, d.amount, now);
        }
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
        auto row = rows_.peek(path);
        if (!row) return fail(row.error());
        if (!*row || crdt::kind_of(**row) != crdt::row_kind::escrow) continue;
        crdt::edit e(std::move(**row));
        const auto demand = rebalancing_.demand(path, now);
        const auto all = [&] { return crdt::totals(std::get<crdt::escrow_row>(e.now()), heirs_); };
        for (const auto asker : errand.asked_by) {
            const auto* m = members_.roster().find(store_.origins().id(asker));
            if (m == nullptr || m->at != crdt::roster::stage::joined) continue;
            const auto gift = crdt::share_to_give(all(), me.writer, asker, demand, store_.origins());
            if (gift > 0) (void)e.transfer(me, asker, gift, heirs_);
        }
        if (errand.asks) {
            const auto sums = all();
            const auto* mine = sums.find(me.writer);
            if (demand > (mine == nullptr ? 0 : mine->rights)) e.want(me, demand);
        }
        if (!e.change().empty()) changes.push_back({path, e.take_change()});
    }
    return changes;
}

}  // namespace anabranch::detail
