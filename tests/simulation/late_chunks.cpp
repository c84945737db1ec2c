// Chunks that arrive late: read for a receiver that has got on since.
#include "simulation/world.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"

namespace anabranch::simulation {

/// One chunk, and often more from there on, before anything else happens.
bool world::bring_late() {
    if (!is_calm_ && !chance_.one_in(20)) return false;
    const auto b = chance_.below(buckets_);
    std::size_t from = chance_.below(replicas_.size());
    bool has_any = false;
    for (bool goes_on = true; goes_on; goes_on = chance_.chance(85)) {
        const auto to = chance_.below(replicas_.size());
        if (to == from || !bring(*replicas_[from], *replicas_[to], b)) continue;
        has_any = true;
        if (!replicas_[to]->storage->is_dead()) sync(*replicas_[to]);
        from = to;
    }
    return has_any;
}

/// A chunk that was read for a receiver that has got on since: as by a session of which nothing was heard for long.
bool world::bring(replica& from, replica& to, std::size_t b) {
    auto& s = to.shares[b];
    if (from.storage->is_dead() || to.storage->is_dead() || !from.shares[b].handle || !s.handle) return false;
    detail::positions after;
    const auto& read_for = chance_.chance(35) ? cut{} : chance_.chance(35) ? s.once_had : s.has;
    for (std::size_t o = 0; o < replicas_.size(); ++o) {
        if (read_for[o] > 0) after[*replicas_[o]->id] = read_for[o];
    }
    const auto size = draw_portion();
    const auto chunk = from.shares[b].handle->state()->read_log(after, {UINT64_MAX}, size);
    if (!chunk && chunk.error().code != errc::behind_cut) violate("the log cannot be read: " + chunk.error().message);
    if (!chunk || chunk->empty()) return false;
    const auto applied = s.handle->state()->apply(*chunk, to.open->state()->horizon(), *from.id);
    trace("bring late", {{"from", from.index},
                         {"to", to.index},
                         {"bucket", b},
                         {"folded", chunk->folded.has_value()},
                         {"ok", applied.has_value()}});
    observe_arrival(to, from);
    if (to.storage->is_dead()) return true;
    counts_.count(covered::chunks_brought_late);
    const auto is_excused = [&](errc code) { return is_from_disk(code) || (code == errc::retired && is_anybody_retired()); };
    if (!applied && !is_excused(applied.error().code)) violate("a chunk is not taken: " + applied.error().message);
    wake(to);
    return true;
}

}  // namespace anabranch::simulation
