// What can happen in a history. Each returns false where it cannot happen now.
#include <algorithm>

#include "simulation/world.hpp"
#include "store/bucket_state.hpp"

namespace anabranch::simulation {
namespace {

constexpr std::size_t most_snapshots = 2;

}  // namespace

bool world::commit_somewhere() {
    auto& r = *chance_.pick(replicas_);
    const auto b = chance_.below(buckets_);
    // Where it is calm, there is time to hear of everything and forget it.
    if (!r.open || !r.shares[b].handle || (is_calm_ && chance_.chance(75))) return false;
    commit(r, b);
    return true;
}

bool world::deliver_something() {
    std::vector<std::pair<connection*, std::size_t>> ready;
    for (auto& c : connections_) {
        for (std::size_t side = 0; side < 2; ++side) {
            if (!links_[c.over].is_cut && !c.ends[side].wire.empty()) ready.emplace_back(&c, side);
        }
    }
    if (ready.empty()) return false;
    auto [c, side] = chance_.pick(ready);
    const auto all = c->ends[side].wire.size();
    deliver(*c, side, chance_.chance(65) ? all : 1 + chance_.below(all));
    return true;
}

bool world::sync_somewhere() {
    auto& r = *chance_.pick(replicas_);
    if (!r.open) return false;
    const bool is_wanted = std::ranges::any_of(connections_, [&](const connection& c) {
        return std::ranges::any_of(
            c.ends, [&](const endpoint& e) { return e.replica == r.index && e.machine->wants_sync(); });
    });
    if (!is_wanted && !chance_.chance(5)) return false;
    sync(r);
    return true;
}

bool world::poll_somewhere() {
    std::vector<std::pair<connection*, std::size_t>> due;
    for (auto& c : connections_) {
        for (std::size_t side = 0; side < 2; ++side) {
            const auto& e = c.ends[side];
            if (e.is_poll_due || e.machine->next_poll().count() <= now_ || chance_.chance(5))
                due.emplace_back(&c, side);
        }
    }
    if (due.empty()) return false;
    auto [c, side] = chance_.pick(due);
    trace("poll", {{"replica", c->ends[side].replica}});
    poll(*c, side);
    return true;
}

/// The system has taken the bytes of a write, and holds them for the peer.
bool world::finish_write() {
    if (connections_.empty()) return false;
    auto& c =
        *std::next(connections_.begin(), static_cast<std::ptrdiff_t>(chance_.below(connections_.size())));
    const auto side = chance_.below(2);
    if (!c.ends[side].is_writing) return false;
    trace("finish write", {{"replica", c.ends[side].replica}});
    c.ends[side].is_writing = false;
    transmit(c, side);
    return true;
}

/// One of its ends keeps away. Later it comes back.
bool world::is_astray(const link& l) const {
    return event_ < options_.events * 3 / 4 && (replicas_[l.ends[0]]->strays || replicas_[l.ends[1]]->strays);
}

bool world::connect_somewhere() {
    const auto over = chance_.below(links_.size());
    const auto& l = links_[over];
    if (l.is_cut || !are_open(l)) return false;
    if (std::ranges::any_of(connections_, [&](const connection& c) { return c.over == over; })) return false;
    if (is_astray(l) && !chance_.one_in(30)) return false;
    connect(over, uses_generous_sessions_);
    return true;
}

bool world::cut_or_heal_link() {
    auto& l = chance_.pick(links_);
    if (!l.is_cut && !chance_.chance(60)) return false;
    l.is_cut = !l.is_cut;
    if (l.is_cut) counts_.count(covered::links_cut);
    trace(l.is_cut ? "cut link" : "heal link", {{"between", l.ends[0]}, {"and", l.ends[1]}});
    return true;
}

bool world::break_connection() {
    if (connections_.empty()) return false;
    auto& c =
        *std::next(connections_.begin(), static_cast<std::ptrdiff_t>(chance_.below(connections_.size())));
    trace("break connection", {{"between", c.ends[0].replica}, {"and", c.ends[1].replica}});
    break_up(c, chance_.chance(50));
    return true;
}

bool world::end_some_process() {
    auto& r = *chance_.pick(replicas_);
    if (!r.open) return false;
    constexpr ending endings[] = {ending::kill,       ending::kill,       ending::power_loss,
                                  ending::power_loss, ending::power_loss, ending::clean};
    end(r, chance_.pick(endings));
    return true;
}

bool world::restart_somewhere() {
    auto& r = *chance_.pick(replicas_);
    if (!is_down(r) || r.storage->is_full() || r.storage->is_filling()) return false;
    start(r);
    return true;
}

bool world::change_clock() {
    constexpr std::int64_t decade = 10LL * 365 * 24 * 3600 * 1000;
    auto& r = *chance_.pick(replicas_);
    const auto what = chance_.below(10);
    if (what < 6) {
        r.skew += chance_.between(-2000, 2000);
    } else if (what < 9 || !has_wild_clocks_) {
        r.skew = 0;
    } else {
        r.skew = decade;
        counts_.count(covered::far_future_clocks);
    }
    counts_.count(covered::clock_jumps);
    trace("change clock", {{"replica", r.index}, {"skew", static_cast<std::uint64_t>(r.skew)}});
    return true;
}

bool world::fill_or_empty_disk() {
    auto& r = *chance_.pick(replicas_);
    if (!r.storage->is_full() && chance_.chance(60)) {
        r.storage->fill_after(chance_.below(4));
        counts_.count(covered::disks_filled_inside_calls);
    } else {
        r.storage->set_full(!r.storage->is_full());
    }
    if (r.storage->is_full()) counts_.count(covered::disks_full);
    storage_has_failed_ = true;
    trace(r.storage->is_full() ? "disk full" : "disk has room", {{"replica", r.index}});
    return true;
}

bool world::arm_death() {
    auto& r = *chance_.pick(replicas_);
    r.dies_in = chance_.below(5);
    r.dies_after = chance_.chance(50);
    trace("arm death", {{"replica", r.index}, {"in", *r.dies_in}, {"after", r.dies_after}});
    return true;
}

bool world::take_snapshot() {
    auto& r = *chance_.pick(replicas_);
    const auto b = chance_.below(buckets_);
    if (!r.open || !r.shares[b].handle || r.snapshots.size() == most_snapshots)
        return false;
    auto taken = r.shares[b].handle->snapshot();
    trace("take snapshot", {{"replica", r.index}, {"bucket", b}, {"ok", taken.has_value()}});
    if (taken) {
        note_fixed(r, b);
        r.snapshots.push_back({b, r.shares[b].has, r.shares[b].who, r.shares[b].fixed, std::move(*taken)});
    } else {
        violate("no snapshot: " + taken.error().message);
    }
    return true;
}

bool world::check_snapshot() {
    auto& r = *chance_.pick(replicas_);
    if (r.snapshots.empty()) return false;
    trace("check snapshot", {{"replica", r.index}});
    check_snapshot(r.snapshots.front(), r.index);
    if (chance_.chance(40)) r.snapshots.erase(r.snapshots.begin());
    return true;
}

bool world::check_something_whole() {
    auto& r = *chance_.pick(replicas_);
    if (!r.open) return false;
    trace("check", {{"replica", r.index}});
    check_whole(r);
    return true;
}

bool world::compare_digests() {
    auto& r = *chance_.pick(replicas_);
    if (!r.open) return false;
    trace("digest", {{"replica", r.index}});
    for (std::size_t b = 0; b < buckets_; ++b) {
        if (r.shares[b].handle) check_digest(r, b);
    }
    return true;
}

bool world::create_bucket() {
    auto& r = *chance_.pick(replicas_);
    const auto b = chance_.below(buckets_);
    if (!r.open || cuts_logs_ || r.shares[b].is_wanted || r.storage->is_full() || r.storage->is_filling()) return false;
    auto created = r.open->bucket(bucket_names[b]);
    trace("create bucket", {{"replica", r.index}, {"bucket", b}, {"ok", created.has_value()}});
    r.shares[b].is_wanted = true;
    if (created) {
        r.shares[b].handle = std::move(*created);
        if (!founders_[b]) founders_[b] = r.index;  // when it starts again
        counts_.count(covered::buckets_created_late);
        wake(r);
    } else if (!r.storage->is_dead()) {
        violate("no bucket: " + created.error().message);
    }
    return true;
}

bool world::retire_someone() {
    const auto b = chance_.below(buckets_);
    auto& by = *chance_.pick(replicas_);
    auto& who = *chance_.pick(replicas_);
    if (!by.open || !by.shares[b].handle || !who.shares[b].is_wanted || by.index == who.index) return false;
    if (!retires_often_ && !chance_.chance(10)) return false;
    if (retires_often_ && chance_.chance(40)) return change_authority();
    const auto done = by.shares[b].handle->retire(*who.id);
    trace("retire", {{"by", by.index}, {"bucket", b}, {"replica", who.index}, {"ok", done.has_value()}});
    if (by.storage->is_dead()) {
        who.shares[b].is_retired = true;
        return true;
    }
    if (done) {
        who.shares[b].is_retired = true;
        counts_.count(covered::retirements_begun);
    }
    observe(by, b, by.shares[b].has);
    wake(by);
    return true;
}

bool world::leave_somewhere() {
    const auto b = chance_.below(buckets_);
    auto& r = *chance_.pick(replicas_);
    if (!r.open || !r.shares[b].handle || !chance_.chance(30)) return false;
    // Somebody has to stay.
    const auto authority = r.shares[b].handle->authority();
    if (!authority || *authority == *r.id) return false;
    const auto done = r.shares[b].handle->leave();
    trace("leave", {{"replica", r.index}, {"bucket", b}, {"ok", done.has_value()}});
    r.shares[b].has_left = r.shares[b].has_left || done || r.storage->is_dead();
    if (r.storage->is_dead()) return true;
    if (done) counts_.count(covered::members_left);
    observe(r, b, r.shares[b].has);
    wake(r);
    return true;
}

/// As an operator would: by a member that knows of the last time. Two at once could name each other laggards.
bool world::change_authority() {
    const auto b = chance_.below(buckets_);
    auto& r = *chance_.pick(replicas_);
    if (!r.open || !r.shares[b].handle || limits_logs_ || authority_terms_[b] > 4) return false;
    const auto roster = r.shares[b].handle->state()->roster();
    if (roster.authority.number != authority_terms_[b] || roster.authority.holder == *r.id) return false;
    // A new incarnation may let itself in where really nobody else goes on (docs/backup.md).
    const auto goes_on = [&](const auto& other) { return other->index != r.index && !other->is_absent && other->shares[b].is_wanted; };
    if (!r.shares[b].handle->is_member() && std::ranges::any_of(replicas_, goes_on)) return false;
    const auto done = r.shares[b].handle->take_authority();
    trace("take authority", {{"replica", r.index}, {"bucket", b}, {"ok", done.has_value()}});
    if (done || r.storage->is_dead()) ++authority_terms_[b];
    if (r.storage->is_dead()) return true;
    if (done) counts_.count(covered::authorities_changed);
    observe(r, b, r.shares[b].has);
    wake(r);
    return true;
}

bool world::accept_future() {
    auto& r = *chance_.pick(replicas_);
    if (!r.open || r.storage->is_full() || r.storage->is_filling()) return false;
    const auto at = timestamp::from(std::chrono::milliseconds{wall(r)} + std::chrono::hours{24 * 365 * 20});
    const auto done = r.open->accept_until(at);
    trace("accept future", {{"replica", r.index}, {"ok", done.has_value()}});
    if (done || r.storage->is_dead()) r.accepted = std::max(r.accepted, at);
    if (!done && !r.storage->is_dead()) violate("cannot accept: " + done.error().message);
    wake(r);
    return true;
}

bool world::let_time_pass() {
    if (is_crowded_) {
        now_ += chance_.between(request_window_.count() / 10, request_window_.count() / 2);
    } else {
        now_ += chance_.chance(85) ? chance_.between(100, 3000) : chance_.between(10'000, 31'000);
    }
    trace("time passes");
    return true;
}

/// Whatever is not cut off hears of what the others have.
bool world::run_some_rounds() {
    if (!is_crowded_) return false;
    trace("rounds");
    for (auto rounds = 1 + chance_.below(6); rounds > 0 && run_round(); --rounds) {}
    return true;
}

}  // namespace anabranch::simulation
