// Replicas that come back after they were retired: what does not count of what they did, and who they are from then on.
#include <algorithm>

#include "simulation/world.hpp"
#include "store/bucket_state.hpp"

namespace anabranch::simulation {
namespace {

/// Something is left of it for certain. Removals may have found nothing; moving rights is nothing to look at, nor what was refused.
bool has_written(const transaction_record& t) {
    bool is_left = false;
    for (const auto& op : t.operations) {
        const bool is_removal = op.what == action::reset || op.what == action::erase || op.what == action::remove || op.what == action::clear;
        const bool is_write = op.what == action::add || op.what == action::assign || op.what == action::insert ||
                              (op.what >= action::deposit && op.what < action::transfer && !op.parts.empty());
        is_left = !is_removal && (is_left || is_write);
    }
    return is_left;
}

}  // namespace

/// It has had what does not count, has it no more, and knows why.
bool world::is_relieved(const replica& r, std::size_t b, const cut& before, const cut& now) const {
    const auto roster = r.shares[b].handle->state()->roster();
    return std::ranges::any_of(roster.members, [&](const auto& entry) {
        const auto o = index_of(entry.first);
        return entry.second.at == crdt::roster::stage::retired && before[o] > entry.second.last && now[o] <= entry.second.last;
    });
}

/// It has less than before: a state that lacks what does not count has replaced what it had.
void world::note_orphans(replica& r, std::size_t b, const cut& now) {
    auto& s = r.shares[b];
    if (!is_relieved(r, b, s.has, now)) violate("progress of replica " + std::to_string(r.index) + " went back");
    s.before_relief = joined(s.before_relief, s.has);
    const auto roster = s.handle->state()->roster();
    const auto listed = s.handle->orphans(SIZE_MAX);
    if (!listed) violate("orphans cannot be listed: " + listed.error().message);
    for (std::size_t o = 0; o < now.size(); ++o) {
        if (now[o] >= s.has[o]) continue;
        const auto* m = roster.find(*replicas_[o]->id);
        if (m != nullptr && m->at == crdt::roster::stage::retired && now[o] != m->last) violate("what counts of a retired replica has gone, or not all that does not");
        for (auto sequence = now[o] + 1; sequence <= s.has[o]; ++sequence) {
            const auto& t = *histories_[b].find(o, sequence);
            const auto it = std::ranges::find(*listed, transaction_id{*replicas_[o]->id, sequence}, &orphaned_transaction::transaction);
            // What came folded cannot be told apart, and what was cut is not here any more.
            if (it == listed->end() && (o != r.index || sequence <= s.floor[o] || !(t.execution || has_written(t)))) continue;
            ++checks_;
            counts_.count(covered::orphans_set_aside);
            if (it == listed->end()) violate("transaction " + std::to_string(sequence) + " of replica " + std::to_string(o) + " has gone, and is no orphan");
            if (it->at != t.at || it->request.has_value() != t.execution.has_value()) violate("an orphan is told of wrongly");
            check_orphan(*it, t);
        }
    }
    counts_.count(covered::replicas_relieved);
    for (auto& c : connections_) c.is_outdated = c.is_outdated || c.ends[0].replica == r.index || c.ends[1].replica == r.index;
    for (std::size_t o = 0; o < now.size(); ++o) s.has[o] = std::min(s.has[o], now[o]);
    s.may_have = now;
    s.once_had = {};
    s.fixed.clear();
    s.counted.clear();
    s.who = read_heirs(r, b);
    s.marks.push_back({r.storage->last_log_write(), now});
}

/// What it wrote to registers is in it; and nothing else.
void world::check_orphan(const orphaned_transaction& told, const transaction_record& t) const {
    for (const auto& change : told.changes) {
        if (!change.value) continue;
        const bool is_its = std::ranges::any_of(t.operations, [&](const operation& op) { return op.what == action::assign && value_codec<std::string>::encode(op.value) == *change.value; });
        if (!is_its) violate("an orphan is said to have written what it has not");
    }
}

/// What it lacks of its own does not count: no other one will stand in its place.
bool world::has_lost_orphans(const replica& r, std::size_t b, std::uint64_t own) const {
    const auto roster = r.shares[b].handle->state()->roster();
    const auto* m = roster.find(*r.id);
    return r.open->id() != *r.id || (m != nullptr && m->at == crdt::roster::stage::retired && own <= m->last);
}

/// Its process has gone on under another name: from here on it is another replica, on the same disk.
void world::go_on_as_another(replica& r) {
    const auto id = r.open->id();
    if (id.value != r.id->value || id <= *r.id || !std::ranges::any_of(r.shares, [](const share& s) { return s.is_retired || s.comes_late; }))
        violate("a replica has another identity than before");
    for (const auto& s : r.shares) {
        if (!s.handle) continue;
        // Of two that run at once the later one stays; else each would be retired for the other, again and again.
        for (const auto& [member, how] : s.handle->state()->roster().members) {
            if (member.value == id.value && member > *r.id && member != id) violate("the earlier of two copies has come back, too");
        }
    }
    counts_.count(covered::replicas_come_back);
    if (replicas_.size() == most_replicas || !options_.directory.empty() || options_.keeps_power) {
        // There is no place for one more, or it would need a directory of its own: its disk dies.
        end(r, ending::kill);
        r.is_absent = true;
        for (auto& s : r.shares) {
            s.is_wanted = false;
            s.is_retired = true;
        }
        return;
    }
    auto& n = add_replica(r.index);
    trace("come back", {{"replica", r.index}, {"as", n.index}});
    end(r, ending::kill);
    n.id = id;
    n.openings = r.openings;
    n.storage = std::make_unique<disk>([this, &n] { return fate_of(n); }, r.storage->copy());
    n.storage->kill();
    n.host = r.host;
    n.accepted = r.accepted;
    n.skew = r.skew;
    n.latest = r.latest;
    n.is_old = r.is_old;
    for (std::size_t b = 0; b < buckets_; ++b) {
        auto& s = n.shares[b];
        auto& former = r.shares[b];
        s.is_wanted = former.is_wanted;
        s.has_left = former.has_left;
        s.comes_late = true;
        s.has = s.durable = s.may_have = former.has;
        s.floor = former.floor;
        s.sent_states = former.sent_states;
        former.is_wanted = false;
        former.is_retired = true;
    }
    // A copy that goes on beside it is an earlier incarnation now: the authority does without it.
    for (auto& other : replicas_) {
        if (other->id->value != id.value || *other->id >= id) continue;
        for (auto& s : other->shares) s.is_retired = true;
    }
    r.is_absent = true;
    move_links(r, n, false);
}

/// Also right after it has begun again, or died.
void world::let_come_back() {
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        auto& r = *replicas_[i];
        if (r.open && !r.storage->is_dead() && r.open->id() != *r.id) go_on_as_another(r);
    }
}

/// Whoever was refused tries again, until nothing comes of it.
void world::meet_again(bool is_generous, std::size_t most_rounds) {
    for (std::size_t round = 0; round < 2 * replicas_.size() && is_anybody_retired(); ++round) {
        const auto before = replicas_.size();
        std::vector<cut> had;
        for (const auto& r : replicas_) had.insert(had.end(), {r->shares[0].has, r->shares[1].has});
        start_all();
        connect_all(is_generous);
        run_to_rest(most_rounds);
        std::vector<cut> has;
        for (const auto& r : replicas_) has.insert(has.end(), {r->shares[0].has, r->shares[1].has});
        const bool is_any_changing = std::ranges::any_of(replicas_, [](const auto& r) { return r->open && r->open->id() != *r->id; });
        if (replicas_.size() == before && has == had && !is_any_changing) return;
    }
}

/// Whoever has met a member that knows that it was retired has been relieved, and has begun anew.
void world::check_returns() {
    for (std::size_t b = 0; b < buckets_; ++b) {
        for (const auto& l : links_) {
            for (std::size_t side = 0; side < 2; ++side) {
                const auto& r = *replicas_[l.ends[side]];
                const auto& peer = *replicas_[l.ends[1 - side]];
                if (!r.shares[b].handle || !peer.shares[b].handle || !peer.shares[b].handle->is_member()) continue;
                ++checks_;
                const auto roster = peer.shares[b].handle->state()->roster();
                const auto what = "replica " + std::to_string(r.index) + ", which has met replica " + std::to_string(peer.index) + ", ";
                for (const auto& [id, m] : roster.members) {
                    if (m.at != crdt::roster::stage::retired) continue;
                    if (r.shares[b].has[index_of(id)] > m.last) violate(what + "has what does not count");
                    const bool is_replaced = std::ranges::any_of(roster.members, [&](const auto& other) { return other.first.value == id.value && other.first > id; });
                    if (id == *r.id && !is_replaced) violate(what + "was retired, and has not come back");
                }
            }
        }
    }
}

}  // namespace anabranch::simulation
