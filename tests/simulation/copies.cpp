// Backups that are restored, disks that are cloned, older states that are put back: what goes on from one is a replica of its own.
#include <algorithm>

#include "simulation/world.hpp"
#include "store/bucket_state.hpp"
#include "store/keys.hpp"

namespace anabranch::simulation {

/// Beside the events of all histories.
void world::happen_to_disks() {
    auto& r = *chance_.pick(replicas_);
    if (r.index >= set_up_ || r.index % 2 == 1 || r.is_absent || r.storage->is_dead() != !r.open || !replicas_[r.index + 1]->is_absent ||
        replicas_[r.index + 1]->openings > 0)
        return;
    if (r.open && chance_.one_in(8)) copy_disk(r);
    if (r.copy && chance_.one_in(12)) go_on_from_copy(r);
    settle();
}

/// As the engine does it: a backup is one once all that it holds is on disk where it comes from.
void world::copy_disk(replica& r) {
    disk_copy made{r.storage->copy(), {}, {}, r.accepted, chance_.chance(50), r.openings};
    for (std::size_t b = 0; b < buckets_; ++b) {
        if (r.shares[b].is_wanted && (!r.shares[b].handle || (founders_[b] == r.index && !r.shares[b].is_founded))) return;
        made.has[b] = r.shares[b].has;
        made.floor[b] = r.shares[b].floor;
    }
    sync(r);
    trace("copy disk", {{"replica", r.index}, {"backup", made.is_backup}, {"ok", !r.storage->is_dead()}});
    for (std::size_t b = 0; b < buckets_; ++b) {
        if (r.storage->is_dead() || !covers(r.shares[b].durable, made.has[b])) return;
    }
    counts_.count(made.is_backup ? covered::backups_made : covered::disks_copied);
    r.copy = std::move(made);
}

/// Beside the original, or in its place. What the original does from then on need not count: the bucket's authority does without
/// a replica that has come back under a later incarnation.
void world::go_on_from_copy(replica& r) {
    auto& n = *replicas_[r.index + 1];
    const auto from = *std::exchange(r.copy, std::nullopt);
    const bool stays = chance_.chance(30);
    // On its own host a disk is told from a copy of it that was made before it was opened last.
    const bool is_here = (from.is_backup || r.openings > from.openings) && chance_.chance(60);
    trace("go on from copy", {{"of", r.index}, {"stays", stays}, {"here", is_here}, {"backup", from.is_backup}});
    if (from.is_backup) {
        counts_.count(covered::backups_restored);
    } else {
        counts_.count(stays ? covered::clones_started : is_here ? covered::older_states_put_back : covered::disks_moved);
        if (stays && is_here) counts_.count(covered::clones_on_the_same_host);
    }
    if (!stays && r.open) end(r, chance_.chance(50) ? ending::kill : ending::power_loss);
    n.storage = std::make_unique<disk>([this, &n] { return fate_of(n); }, from.holds);
    if (from.is_backup) {
        storage::batch mark;
        mark.put(storage::space::meta, std::string(store_keys::restored_key), {});
        auto engine = test::crashable_engine::open(from.holds);
        if (!engine || !(*engine)->write(mark) || !(*engine)->sync()) violate("a backup cannot be restored");
    }
    if (is_here) n.host = r.host;
    n.options.write_behind_bytes = r.options.write_behind_bytes;
    n.accepted = from.accepted;
    n.skew = r.skew;
    n.strays = false;
    for (std::size_t b = 0; b < buckets_; ++b) {
        auto& s = n.shares[b];
        auto& original = r.shares[b];
        s.is_wanted = original.is_wanted;
        s.comes_late = true;
        s.durable = s.may_have = from.has[b];
        s.floor = from.floor[b];
        s.sent_states = original.sent_states;
        original.is_retired = true;
        if (!stays) original.is_wanted = false;
    }
    n.is_absent = false;
    r.is_absent = !stays;
    move_links(r, n, stays);
    start(n);
}

void world::move_links(const replica& from, const replica& to, bool stays) {
    const auto before = links_;
    for (std::size_t i = 0; i < before.size(); ++i) {
        auto moved = before[i];
        for (auto& end : moved.ends) {
            if (end == from.index) end = to.index;
        }
        if (moved.ends == before[i].ends) continue;
        if (stays) {
            links_.push_back(moved);
        } else {
            links_[i] = moved;
        }
    }
    if (stays && chance_.chance(50)) links_.push_back({{from.index, to.index}});
}

/// It is who it was, whatever has happened to its process; and a copy is not who its original is.
void world::check_identity(const replica& r) const {
    const auto id = r.open->id();
    if (r.openings > 0) {
        if (id != *r.id && !is_anybody_retired()) violate("a replica has another identity than before");  // go_on_as_another() looks at it
    } else if (r.index % 2 == 1 && copies_disks_) {
        const auto& original = *replicas_[r.index - 1]->id;
        if (id.value != original.value || id <= original) violate("a copy goes on as " + to_string(id) + ", and was made of " + to_string(original));
    }
}

/// With what its host knows of its data, where it looks at that.
result<store> world::open_store(replica& r, std::unique_ptr<storage::engine> engine) {
    if (r.host == nullptr) return store::on(std::move(engine), r.options);
    r.host->arrives = [this, &r](std::string_view content) -> std::size_t {
        if (r.storage->is_dead()) return 0;
        const auto now = fate_of(r);
        if (now != fate::done) r.storage->kill();
        return now == fate::dies_before && !content.empty() ? chance_.below(content.size()) : content.size();
    };
    return store::on(std::move(engine), std::make_unique<test::simulated_host_files>(r.host), r.options);
}

}  // namespace anabranch::simulation
