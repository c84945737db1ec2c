// Replicas that end, in every way, and begin again.
#include <algorithm>

#include "codec/archive.hpp"
#include "simulation/world.hpp"
#include "store/field_kind.hpp"
#include "store/keys.hpp"
#include "store/watermark.hpp"

namespace anabranch::simulation {
namespace {

constexpr unsigned upgraded_percent = 30;
constexpr unsigned later_records_percent = 35;
// Counters and bounded ones need changes of their own to be removed with their map, which who does not know them cannot make.
constexpr crdt::row_kind later_kinds[] = {crdt::row_kind::entries, crdt::row_kind::dots, crdt::row_kind::removals};

}  // namespace

/// In some histories the fleet is being upgraded: a part of it is of a build that does not know all kinds of rows, or of records.
void world::set_up_builds() {
    // The copy of an earlier build's disk would be opened by a later one.
    if (copies_disks_ || !upgrades_.chance(upgraded_percent)) return;
    const auto kind = upgrades_.pick(later_kinds);
    has_later_records_ = request_window_.count() != 0 && upgrades_.chance(later_records_percent);
    for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
        const bool is_later = has_later_records_ ? upgrades_.chance(60) : row_kind_of(fields_.leaves[leaf].type) == kind;
        if (is_later) later_leaves_ |= std::uint64_t{1} << leaf;
    }
    for (auto& r : replicas_) {
        r->is_old = later_leaves_ != 0 && upgrades_.chance(60);
        if (!r->is_old) continue;
        if (has_later_records_) r->options.unknown.records = oplog::bit_of(oplog::record_kind::execution);
        else r->options.unknown.rows = crdt::bit_of(kind);
    }
}

void world::upgrade(replica& r) {
    trace("upgrade", {{"replica", r.index}});
    counts_.count(covered::replicas_upgraded);
    r.is_old = false;
    r.options.unknown = {};
}

void world::start(replica& r) {
    if (is_process_dead_) return;
    if (r.is_old && event_ > 0 && upgrades_.chance(30)) upgrade(r);
    auto engine = r.storage->open();
    if (!engine) violate("the disk cannot be opened: " + engine.error().message);
    note_replay(**engine, r);
    auto opened = open_store(r, std::move(*engine));
    trace("start", {{"replica", r.index}, {"ok", opened.has_value()}});
    if (!opened) {
        if (!r.storage->is_dead()) violate("the store cannot be opened: " + opened.error().message);
        counts_.count(covered::crashes_while_opening);
        if (chance_.chance(50) && !options_.keeps_power) lose_power(r);
        return;
    }
    r.open = std::move(*opened);
    check_identity(r);
    if (r.openings == 0) r.id = r.open->id();
    ++r.openings;
    for (std::size_t b = 0; b < buckets_; ++b) {
        auto& s = r.shares[b];
        if (!s.is_wanted) continue;
        auto found = r.open->bucket(bucket_names[b]);
        if (!found) {
            if (!r.storage->is_dead()) violate("no bucket: " + found.error().message);
            return;
        }
        s.handle = std::move(*found);
    }
    recovered(r);
    for (std::size_t b = 0; b < buckets_; ++b) {
        if (!r.shares[b].handle || founders_[b] != r.index || r.shares[b].is_founded) continue;
        const auto founded = r.open->create_bucket(bucket_names[b]);
        if (r.storage->is_dead()) return;
        if (!founded) violate("a bucket cannot be created: " + founded.error().message);
        r.shares[b].is_founded = true;
        observe(r, b, r.shares[b].has);
    }
}

void world::note_replay(const storage::engine& engine, const replica& r) {
    std::uint64_t in_rows = 0;
    for (const auto at = engine.scan(storage::space::meta, {&store_keys::watermark_prefix, 1}); at->valid();
         at->next()) {
        if (at->key().front() != store_keys::watermark_prefix) break;
        const auto mark = codec::decode<detail::watermark>(at->value());
        if (!mark) violate("a watermark cannot be decoded");
        for (const auto& [writer, sequence] : mark->applied) in_rows += sequence;
        if (mark->unread.rows != 0) counts_.count(r.is_old ? covered::unknown_kinds_held : covered::unknown_kinds_learned);
        if (mark->unread.records != 0) counts_.count(r.is_old ? covered::unknown_records_held : covered::unknown_records_learned);
    }
    std::uint64_t known = 0;
    for (const auto& s : r.shares) {
        for (const auto sequence : s.durable) known += sequence;
    }
    if (known > in_rows) counts_.count(covered::replays_on_open);
}

void world::end(replica& r, ending how) {
    if (options_.keeps_power && how == ending::power_loss) how = ending::kill;
    constexpr const char* names[] = {"kill process", "lose power", "close"};
    trace(names[static_cast<std::size_t>(how)], {{"replica", r.index}});
    constexpr covered counted[] = {covered::process_kills, covered::power_losses, covered::clean_closes};
    counts_.count(counted[static_cast<std::size_t>(how)]);
    for (auto& c : connections_) {
        const bool is_its = c.ends[0].replica == r.index || c.ends[1].replica == r.index;
        if (is_its && !c.is_broken) break_up(c, chance_.chance(50));
    }
    for (auto& c : connections_) {
        for (auto& e : c.ends) {
            if (e.replica == r.index) e.machine.reset();
        }
    }
    drop_part_readers(r);
    if (how != ending::clean) r.storage->kill();
    r.snapshots.clear();
    for (auto& c : r.consumers) c.open.reset();
    std::erase_if(r.consumers, [](const consumer& c) { return c.token.empty(); });
    for (auto& s : r.shares) s.handle.reset();
    r.open.reset();
    r.storage->kill();
    r.dies_in.reset();
    if (how == ending::power_loss) lose_power(r);
}

void world::lose_power(replica& r) {
    counts_.count(covered::writes_lost, r.storage->lose_power(chance_));
    for (auto& s : r.shares) {
        while (!s.marks.empty() && s.marks.back().writes > r.storage->writes()) {
            s.may_have = s.marks.back().has;
            s.marks.pop_back();
        }
        s.late.clear();  // its fence may have been lost, too
    }
}

/// What came back is what had to, and what did not come back nobody else has seen.
void world::recovered(replica& r) {
    for (std::size_t b = 0; b < buckets_; ++b) {
        auto& s = r.shares[b];
        if (!s.handle) continue;
        auto& h = histories_[b];
        const auto progress = s.handle->progress();
        const auto mine = std::ranges::find(progress, *r.id, &progress_entry::origin);
        const auto own = mine == progress.end() ? 0 : mine->sequence;
        // In its place there may be what the replica wrote on its own account, while it waited for the disk.
        const auto is_there = [&](const transaction_record& t) {
            return own >= t.sequence && (!t.execution || logged(r, b, t.sequence).is_execution);
        };
        if (r.unconfirmed && r.unconfirmed->first == b && is_there(r.unconfirmed->second)) {
            counts_.count(covered::commits_durability_unknown);
            auto& record = r.unconfirmed->second;
            record.head = logged(r, b, record.sequence).head;
            if (record.at == timestamp{}) record.at = logged(r, b, record.sequence).at;
            h.append(std::move(record));
        } else if (own < h.everything()[r.index] && !has_lost_orphans(r, b, own)) {
            counts_.count(covered::own_transactions_lost);
            for (const auto& other : replicas_) {
                if (other->index != r.index && other->shares[b].has[r.index] > own) {
                    violate("a lost transaction of replica " + std::to_string(r.index) +
                            " is known to replica " + std::to_string(other->index));
                }
            }
            h.retire(r.index, own);
        }
        note_duties(r, b, own);
        s.may_have[r.index] = std::max(s.may_have[r.index], own);
        const auto now = read_progress(r, b);
        const auto& least = s.marks.empty() ? s.durable : s.marks.back().has;
        trace("recovered", {{"replica", r.index}, {"bucket", b}, {"own", own}});
        if (!covers(now, least) && !is_relieved(r, b, least, now))
            violate("after a crash there is " + to_string(now) + " and had to be " + to_string(least));
        if (!covers(joined(s.may_have, s.before_relief), now))
            violate("after a crash there is " + to_string(now) + ", more than " + to_string(s.may_have));
        if (!covers(now, s.has))
            counts_.count(covered::foreign_transactions_lost, now[r.index] >= s.has[r.index]);
        for (std::size_t o = 0; o < now.size(); ++o) {
            const auto* last = h.find(o, now[o]);
            if (last != nullptr && !covers(now, last->context))
                violate("what came back after a crash is not causally closed");
        }
        s.has = s.may_have = s.durable = now;
        s.who = read_heirs(r, b);
        s.fixed.clear();
        s.counted.clear();
        s.marks.clear();
        s.once_had = {};
        check_durable(r, b);
        // It may have died right after it had cut its log; or what it cut is there again.
        note_floor(r, b);
        check_values(r, b, all_leaves());
    }
    r.unconfirmed.reset();
}

}  // namespace anabranch::simulation
