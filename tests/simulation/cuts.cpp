// What a log may let go of, and what it has to; who is named a laggard, and what becomes of those.
#include <algorithm>

#include "codec/archive.hpp"
#include "crdt/changes.hpp"
#include "simulation/world.hpp"
#include "store/bucket_state.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"

namespace anabranch::simulation {

cut world::to_cut(const std::map<replica_id, std::uint64_t>& known) const {
    cut c{};
    for (const auto& [id, sequence] : known) c[index_of(id)] = sequence;
    return c;
}

/// Up to where its log has been cut.
cut world::read_floor(const replica& r, std::size_t b) const {
    const auto number = static_cast<std::uint32_t>(r.shares[b].handle->state()->number());
    const auto value = r.open->state()->engine().get(storage::space::meta, store_keys::watermark_prefix + store_keys::big_endian32(number));
    if (!value || !*value) return {};
    const auto mark = codec::decode<detail::watermark>(**value);
    if (!mark) violate("a watermark cannot be decoded");
    cut floor{};
    for (const auto& [writer, last] : mark->floor) floor[index_of(r.open->state()->origins().id(writer))] = last.sequence;
    return floor;
}

/// A log lets go of what every member has on disk; where some lag, of what all the others have. A laggard waits for everybody.
void world::check_cut(const replica& r, std::size_t b, const cut& before, const cut& floor) {
    if (floor == before) return;
    ++checks_;
    const auto roster = r.shares[b].handle->state()->roster();
    bool is_early = false;
    for (const auto& other : replicas_) {
        if (!other->id || !roster.counts(*other->id) || other->shares[b].before_relief != cut{}) continue;
        const auto& has = other->shares[b].durable;
        for (std::size_t o = 0; o < floor.size(); ++o) {
            if (floor[o] <= before[o] || floor[o] <= has[o]) continue;
            is_early = true;
            if (roster.is_laggard(*other->id) && !roster.is_laggard(*r.id)) continue;
            violate("replica " + std::to_string(r.index) + (roster.is_laggard(*r.id) ? ", a laggard," : "") + " has cut transaction " +
                    std::to_string(floor[o]) + " of replica " + std::to_string(o) + ", and replica " + std::to_string(other->index) +
                    " has " + to_string(has) + " on disk");
        }
    }
    counts_.count(covered::early_cuts, is_early);
}

void world::note_cut(replica& r, std::size_t b) {
    auto& s = r.shares[b];
    if (std::exchange(s.seen_watermarks, r.storage->watermarks()) == r.storage->watermarks()) return;
    note_floor(r, b);
    check_rivals(r, b, s.floor);
}

/// A state that has entered begins the log anew where it came to.
void world::note_floor(replica& r, std::size_t b) {
    auto& s = r.shares[b];
    const auto states = r.storage->states_entered(s.handle->state()->number());
    const auto before = std::exchange(s.floor, read_floor(r, b));
    if (std::exchange(s.seen_states, states) == states || s.floor == before) return check_cut(r, b, before, s.floor);
    if (!covers(s.floor, before) && !is_anybody_retired()) violate("a state has entered that lacks what the log does not hold any more");
    if (!covers(s.has, s.floor)) violate("a log begins after what is there");
    counts_.count(covered::states_entered);
}

/// It has just looked after its duties, and nothing has changed since: no record is left that every member is known to have, but
/// for executions of requests.
void world::check_all_cut(const replica& r, std::size_t b) {
    const auto& s = r.shares[b];
    if (!s.handle || r.is_old || r.options.log_retain_bytes > 0 || s.handle->state()->is_receiving_walk() || s.handle->state()->has_orphans()) return;
    const auto roster = s.handle->state()->roster();
    const auto adverts = s.handle->state()->adverts();
    std::size_t members = 0;
    auto held = s.has;
    for (const auto& [id, m] : roster.members) {
        if (!roster.counts(id)) continue;
        ++members;
        const auto advert = adverts.find(id);
        if (advert == adverts.end()) return;
        const auto known = to_cut(advert->second);
        if (!covers(s.has, known)) return;  // does not count yet
        for (std::size_t o = 0; o < held.size(); ++o) held[o] = std::min(held[o], known[o]);
    }
    if (members < 2) return;
    // What is told of together goes together.
    for (const auto& all : rivals(b, s)) {
        // Also where nobody lacks any of them: what is in a fold is kept for what else is in it.
        if (std::ranges::none_of(all, [&](const auto* t) { return t->sequence > s.floor[t->origin]; })) continue;
        for (const auto* t : all) held[t->origin] = std::min(held[t->origin], t->sequence - 1);
    }
    ++checks_;
    auto& local = *r.open->state();
    for (std::size_t o = 0; o < replicas_.size(); ++o) {
        const auto writer = local.origins().find(*replicas_[o]->id);
        if (!writer) continue;
        const auto number = s.handle->state()->number();
        const auto end = store_keys::log_key(number, *writer, held[o] + 1);
        for (auto at = local.engine().scan(storage::space::log, store_keys::log_key(number, *writer, 0), nullptr); at->valid() && at->key() < end; at->next()) {
            const auto sequence = store_keys::parse_log_key(at->key())->sequence;
            // An execution stands beside the log while its request is open, or in it with the fold that it came with.
            const auto* kept = histories_[b].find(o, sequence);
            if (kept != nullptr && kept->execution) continue;
            // So does what somebody could not read who folded the rest.
            const bool was_unknown = kept != nullptr && (histories_[b].touched_by(*kept) & later_leaves_) != 0;
            if (was_unknown && sequence > s.floor[o]) continue;
            violate("replica " + std::to_string(r.index) + " keeps transaction " + std::to_string(sequence) + " of replica " +
                    std::to_string(o) + ", and every member is known to have it");
        }
    }
}

/// What a member says of others on its own account.
void world::check_duty(const replica& r, std::size_t b, std::uint64_t sequence) {
    const auto changes = logged_changes(r, b, sequence);
    if (!changes) return;  // is cut already
    const auto& state = *r.shares[b].handle->state();
    for (const auto& [id, m] : changes->members.members) {
        const bool is_for_authority = m.laggard > 0 || m.at == crdt::roster::stage::retired;
        if (is_for_authority && state.roster().authority.holder != *r.id)
            violate("replica " + std::to_string(r.index) + " decides what is the authority's to decide");
        if (m.at == crdt::roster::stage::retired) {
            const auto it = retired_by_[b].try_emplace(id, r.index, sequence, logged(r, b, sequence).head).first;
            const auto& [first, place, head] = it->second;
            const auto* t = histories_[b].find(first, place);
            // What that one did may have been lost, or not count.
            if (first != r.index && t != nullptr && t->head == head && !replicas_[first]->shares[b].is_retired)
                violate("two authorities have finished one retirement");
            it->second = {r.index, sequence, logged(r, b, sequence).head};
        }
        if (m.laggard > 0) counts_.count(m.laggard % 2 == 1 ? covered::laggards_named : covered::laggards_caught_up);
    }
}

}  // namespace anabranch::simulation
