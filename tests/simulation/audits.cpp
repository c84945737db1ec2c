// Audits: while all is well they find nothing, whatever goes on; a row that a disk has changed they find, and it is repaired.
#include <algorithm>

#include "crdt/row.hpp"
#include "simulation/world.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"

namespace anabranch::simulation {
namespace {

using storage::space;

constexpr std::chrono::milliseconds intervals[] = {std::chrono::milliseconds{200}, std::chrono::milliseconds{1000}};
constexpr std::size_t most_spoiled = 3;

std::map<std::string, std::string> rows_at(const storage::engine& engine, store_keys::bucket_number place) {
    std::map<std::string, std::string> rows;
    const auto prefix = store_keys::row_key(place, {});
    for (const auto at = engine.scan(space::rows, prefix); at->valid() && at->key().starts_with(prefix); at->next())
        rows[std::string(at->key().substr(prefix.size()))] = at->value();
    return rows;
}

}  // namespace

std::chrono::milliseconds world::draw_audit_interval() { return audits_rows_ ? audits_.pick(intervals) : std::chrono::milliseconds{0}; }

/// Beside the events of all histories.
void world::audit_now_and_then() {
    check_no_findings();
    auto& r = *audits_.pick(replicas_);
    const auto b = audits_.below(buckets_);
    if (!r.open || r.storage->is_dead() || !r.shares[b].handle) return;
    if (audits_.one_in(30)) {
        trace("audit", {{"replica", r.index}, {"bucket", b}});
        std::vector<field> below;
        const auto& n = audits_.pick(fields_.nodes);
        if (audits_.chance(30) && n.parent == 0) below.push_back({n.name, n.type});
        r.shares[b].handle->audit(below);
        wake(r);
        settle();
    }
    // What a disk held once, which is one of the things that it may hold again.
    if (!copies_disks_ && !r.shares[b].is_remembered && audits_.one_in(20)) {
        for (const auto place : {r.shares[b].handle->state()->number(), store_keys::other_rows(r.shares[b].handle->state()->number())})
            r.shares[b].remembered_rows.merge(rows_at(r.open->state()->engine(), place));
        r.shares[b].is_remembered = true;
    }
}

/// Rows of all replicas are what their transactions say.
void world::check_no_findings() {
    for (const auto& r : replicas_) {
        if (!r->open || r->storage->is_dead()) continue;
        for (std::size_t b = 0; b < buckets_; ++b) {
            const auto& s = r->shares[b];
            if (!s.handle) continue;
            ++checks_;
            for (const auto& found : s.handle->audit_findings())
                violate("an audit of replica " + std::to_string(r->index) + " says that replicas differ in " + std::string(bucket_names[b]) + '/' +
                        (found.path.empty() ? std::string() : found.path.front().name) + ", and none does");
            const auto reports = s.handle->audits();
            if (reports.size() > s.seen_audits) counts_.count(covered::audits_done, reports.size() - s.seen_audits);
            for (const auto& report : reports) {
                if (report.failure && !is_from_disk(report.failure->code)) violate("an audit failed: " + report.failure->message);
                counts_.count(covered::audits_beside_changes, report.left_out > 0);
            }
            r->shares[b].seen_audits = reports.size();
        }
    }
}

/// Members that are there and take part.
std::vector<std::size_t> world::auditors(std::size_t b) const {
    std::vector<std::size_t> all;
    for (const auto& group : holders(b)) {
        std::vector<std::size_t> members;
        for (const auto i : group) {
            const auto& r = *replicas_[i];
            const auto& s = r.shares[b];
            if (r.open && s.handle && s.handle->is_member() && s.handle->state()->roster().counts(*r.id)) members.push_back(i);
        }
        if (members.size() > all.size()) all = std::move(members);
    }
    return all;
}

/// The paths that are not what they were.
std::set<std::string> world::spoil(replica& r, std::size_t b, bool gently) {
    auto& s = r.shares[b];
    const auto number = s.handle->state()->number();
    end(r, ending::clean);
    settle();
    auto engine = r.storage->open();
    if (!engine) violate("the disk cannot be opened: " + engine.error().message);
    auto place = number;
    auto rows = rows_at(**engine, place);
    if (rows.empty()) rows = rows_at(**engine, place = store_keys::other_rows(number));
    std::set<std::string> spoiled;
    storage::batch batch;
    // What members do for each other reads rows of requests and of rights.
    const bool moves_rights = std::ranges::any_of(fields_.leaves, [](const leaf& l) { return l.type == field_type::bounded_counter; });
    const bool must_be_readable = gently || request_window_.count() > 0 || moves_rights;
    for (auto n = 1 + audits_.below(most_spoiled); n > 0 && !rows.empty(); --n) {
        const auto it = std::next(rows.begin(), static_cast<std::ptrdiff_t>(audits_.below(rows.size())));
        auto value = it->second;
        auto path = it->first;
        const auto old = s.remembered_rows.find(path);
        const auto before = crdt::decode_row(value);
        // Rights that are none would be given away, and that counts.
        if (crdt::kind_of(*before) == crdt::row_kind::escrow) continue;
        switch (audits_.below(4)) {
            case 0:
                value.clear();
                break;
            case 1:
                if (old == s.remembered_rows.end()) continue;
                value = old->second;
                break;
            case 2:
                if (gently) continue;
                path.insert(path.size() - 3, "spoiled");  // the end of a segment
                break;
            default: {
                auto& byte = value[audits_.below(value.size())];
                byte = static_cast<char>(byte ^ 1 << audits_.below(8));
            }
        }
        const auto after = crdt::decode_row(value);
        const bool is_readable = value.empty() || (after && crdt::kind_of(*after) == crdt::kind_of(*before));
        if (must_be_readable && !is_readable) continue;
        if (value.empty()) batch.erase(space::rows, store_keys::row_key(place, path));
        else batch.put(space::rows, store_keys::row_key(place, path), value);
        spoiled.insert(path);
    }
    if (!batch.empty() && !(*engine)->write(batch)) violate("a disk cannot be spoiled");
    engine->reset();
    s.is_spoiled = true;
    start(r);
    settle();
    return spoiled;
}

/// After all else: one replica's disk changes what it holds. What shows is found, and repaired: from the majority where there is
/// one, else from whom the operator says. Nobody else's rows change.
void world::check_repairs(bool is_generous, std::size_t most_rounds) {
    if (!audits_rows_) return;
    check_no_findings();
    const auto b = audits_.below(buckets_);
    connect_all(is_generous);
    run_to_rest(most_rounds);
    const auto members = auditors(b);
    if (members.size() < 2) return;
    auto& victim = *replicas_[audits_.pick(members)];
    auto& s = victim.shares[b];
    auto& other = *replicas_[members[members.front() == victim.index ? 1 : 0]];
    const auto right = other.shares[b].handle->digest();
    if (!right) violate("no digest: " + right.error().message);
    std::map<std::size_t, std::size_t> states;
    for (const auto i : members) states[i] = replicas_[i]->storage->states_entered(replicas_[i]->shares[b].handle->state()->number());
    const auto entered = states[victim.index];
    const bool is_busy = audits_.chance(40) && !limits_logs_ && !is_anybody_retired() && !has_anybody_left();
    trace("spoil", {{"replica", victim.index}, {"bucket", b}});
    const auto spoiled = spoil(victim, b, is_busy);
    if (!victim.open || !s.handle) violate("a replica does not start on a spoiled disk");
    connect_all(is_generous);
    run_to_rest(most_rounds);
    for (auto n = is_busy ? audits_.below(4) : 0; n > 0; --n) {
        auto& writer = *replicas_[audits_.pick(members)];
        if (writer.index != victim.index) commit(writer, b);
        if (audits_.chance(50)) run_to_rest(most_rounds);
    }
    run_to_rest(most_rounds);
    const auto roster = other.shares[b].handle->state()->roster();
    const auto all = static_cast<std::size_t>(std::ranges::count_if(roster.members, [&](const auto& m) { return roster.counts(m.first); }));
    const bool has_majority = 2 * (members.size() - 1) > all;
    const bool on_call = audits_.chance(50);
    std::size_t found = 0;
    bool has_chosen = false;
    const auto open = [&](const replica& r) {
        const auto findings = r.shares[b].handle->audit_findings();
        return std::ranges::any_of(findings, [](const audit_finding& f) { return f.stage == audit_stage::open; });
    };
    // As many as it takes to hear of the farthest one, take what it has, and hear that all is well.
    const auto most_audits = 4 * (replicas_.size() + 2);
    for (std::size_t audit = 0; audit < most_audits; ++audit) {
        for (const auto i : members) {
            if (on_call) replicas_[i]->shares[b].handle->audit();
        }
        now_ += 1000;
        for (const auto i : members) wake(*replicas_[i]);
        run_to_rest(most_rounds);
        found = std::max(found, s.handle->audit_findings().size());
        if (audit >= replicas_.size() + 2 && !has_majority && open(victim) && !has_chosen) {
            has_chosen = true;
            for (const auto& c : connections_) {
                for (std::size_t side = 0; side < 2 && !c.is_broken; ++side) {
                    const auto peer = c.ends[1 - side].replica;
                    if (c.ends[side].replica == victim.index) (void)s.handle->repair(*replicas_[peer]->id);
                }
            }
            wake(victim);
        }
    }
    for (const auto i : members) {
        for (const auto& f : replicas_[i]->shares[b].handle->audit_findings()) {
            if (f.stage != audit_stage::open) continue;
            std::string had;
            for (const auto& [id, fingerprint] : f.had) had += ' ' + std::to_string(index_of(id)) + ':' + anabranch::to_string(fingerprint).substr(0, 6);
            violate("replica " + std::to_string(i) + " has found that a row differs, and after so many audits it still does, in bucket " + std::to_string(b) + "; spoiled was " +
                    std::to_string(victim.index) + ", and they had" + had);
        }
    }
    for (const auto& f : s.handle->audit_findings()) {
        if (f.stage == audit_stage::repaired) counts_.count(has_chosen ? covered::rows_repaired_by_choice : covered::rows_repaired_by_majority);
    }
    trace("audited", {{"spoiled", spoiled.size()}, {"found", found}, {"members", members.size()}, {"of", all}, {"chosen", has_chosen}});
    counts_.count(covered::rows_spoiled, spoiled.size());
    counts_.count(covered::spoiled_rows_found, found);
    for (const auto i : members) {
        const auto& r = *replicas_[i];
        const auto now = r.storage->states_entered(r.shares[b].handle->state()->number());
        if (i != victim.index && now != states[i]) violate("replica " + std::to_string(i) + ", whose rows are right, has taken others");
    }
    counts_.count(covered::repairs_made, s.handle->state() && victim.storage->states_entered(s.handle->state()->number()) > entered);
    s.is_spoiled = false;
    for (const auto i : members) {
        check_digest(*replicas_[i], b);
        check_whole(*replicas_[i]);
    }
}

}  // namespace anabranch::simulation
