// What a replica wrote, or took, that does not count any more: set aside as a member's state replaces the rows that show it.
// docs/membership.md
#include <algorithm>

#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/field_kind.hpp"
#include "store/log_stream.hpp"
#include "store/orphan.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {
namespace {

using stage = crdt::roster::stage;
using storage::space;

bool is_counted(const crdt::roster& members, const replica_id& writer, std::uint64_t sequence) {
    const auto* m = members.find(writer);
    return m != nullptr && (m->at != stage::retired || sequence <= m->last);
}

}  // namespace

/// Retired replicas of which there is more here than counts.
std::vector<replica_id> bucket_state::orphans_in(const crdt::roster& members) const {
    std::vector<replica_id> found;
    for (const auto& [id, m] : members.members) {
        const auto writer = m.at == stage::retired ? store_.origins().find(id) : std::nullopt;
        if (writer && tail_of(*writer).sequence > m.last) found.push_back(id);
    }
    return found;
}

/// Nothing that is in the rows can be taken out of them again.
void bucket_state::look_for_orphans() { has_orphans_ = !orphans_in(members_.roster()).empty(); }

tl::unexpected<error> bucket_state::orphaned() const {
    return fail(errc::retired, "bucket \"" + name_ + "\" holds here what retired replicas did and does not count: a member's state is to replace it");
}

/// Of each origin of which this log holds what does not count in that state: where what counts ends. In the order of causality, as
/// records that come from a peer would be judged.
result<std::map<origin, tail>> bucket_state::find_orphans(const entering& next) const {
    std::map<origin, tail> ends;
    auto members = next.members;
    auto at = to_vector({next.reflects.begin(), next.reflects.end()});
    const auto reflected = [&](origin writer) {
        const auto it = next.reflects.find(writer);
        return it == next.reflects.end() ? tail{} : it->second;
    };
    const auto all = capture();
    for (const auto& [writer, last] : all) {
        const auto* m = members.find(store_.origins().id(writer));
        // Who knows of a retirement has all that counts.
        if (m != nullptr && m->at == stage::retired && last.sequence > m->last) ends.emplace(writer, reflected(writer));
    }
    const auto go_through = [&](const version_vector& upto) -> result<void> {
        std::vector<std::unique_ptr<oplog::record_stream>> streams;
        for (const auto& [writer, sequence] : upto.beyond(at)) {
            if (ends.contains(writer)) continue;
            streams.push_back(std::make_unique<log_stream>(store_.engine(), number_, writer, store_.origins().id(writer), at.at(writer) + 1, sequence));
        }
        oplog::merged_stream merged(std::move(streams));
        for (auto* top = merged.top(); top != nullptr; merged.next(), top = merged.top()) {
            const dot id{*store_.origins().find(top->origin()), top->sequence()};
            if (ends.contains(id.writer)) continue;
            const auto record = open_logged(*top);
            if (!record) return fail(record.error());
            std::optional<crdt::roster> change{std::in_place};
            if (!record->is_execution()) {
                crdt::changes_input in(record->content.payload, {id, record->content.at}, record->mentioned, kinds_);
                change = in.members();
            }
            if (!change) return undecodable(*top);
            const bool succeeds = change->authority.holder == top->origin() && members.find_former(top->origin()) != nullptr;
            if (succeeds) members.join(*change);
            if (!is_counted(members, top->origin(), id.sequence)) {
                // The first one: what comes before it counts.
                const auto counted = at.at(id.writer);
                auto end = counted == reflected(id.writer).sequence ? result<tail>(reflected(id.writer)) : tail_at(id.writer, counted);
                if (!end) return fail(end.error());
                ends.emplace(id.writer, *end);
                continue;
            }
            members.join(*change);
            at.join(id);
        }
        return merged.status();
    };
    for (const auto& f : folds_) {
        if (at.covers(f.covers())) continue;
        if (auto done = go_through(f.before); !done) return fail(done.error());
        const auto is_orphaned = [&](const auto& range) {
            if (at.covers(dot{range.writer, range.last})) return false;
            return ends.contains(range.writer) || !is_counted(members, store_.origins().id(range.writer), range.last);
        };
        if (std::ranges::none_of(f.ranges, is_orphaned)) {
            const auto chunk = load_fold(f);
            if (!chunk) return fail(chunk.error());
            const auto changes = decode_logged(*chunk);
            if (!changes) return fail(changes.error());
            members.join(changes->members);
            at.join(f.covers());
            continue;
        }
        // What counts of it cannot be told from the rest.
        for (const auto& range : f.ranges) {
            if (is_orphaned(range)) {
                ends.emplace(range.writer, reflected(range.writer));
            } else if (!at.covers(dot{range.writer, range.last})) {
                return fail(errc::behind_cut, "transactions of replica " + to_string(store_.origins().id(range.writer)) + " in bucket \"" + name_ +
                                                  "\" are here in one with some that do not count, and the peer lacks them");
            }
        }
    }
    if (auto done = go_through(to_vector(all)); !done) return fail(done.error());
    return ends;
}

/// Takes records, of each origin in their order.
class bucket_state::orphanage {
  public:
    orphanage(const bucket_state& from, storage::batch& batch) : from_(from), batch_(batch) {}

    result<void> take(std::string_view key, std::string_view value) {
        const auto position = store_keys::parse_log_key(key);
        const auto record = position && value.size() >= head_size ? oplog::decode_record(body_of(value)) : std::nullopt;
        const auto mentioned = record ? from_.find_mentioned(record->mentioned) : std::nullopt;
        if (!mentioned) return corrupt();
        const dot id{position->writer, position->sequence};
        orphan kept{record->at, {}, {}};
        crdt::executed what;
        if (record->kind == oplog::record_kind::execution) {
            const auto x = logged_record{*record, *mentioned}.execution_at(id, from_.kinds_);
            if (!x) return corrupt();
            what = x->what;
            const auto& r = what.request;
            kept.request = {r.identity, r.issued, r.role, r.outcome, r.content, r.result, {}};
            if (r.confirms) kept.request->confirms = transaction_id{from_.store_.origins().id(r.confirms->writer), r.confirms->sequence};
            if (auto added = add_up(id, what, false); !added) return added;
        } else {
            auto changed = crdt::decode_changes(record->payload, {id, record->at}, *mentioned, from_.kinds_);
            if (!changed) return corrupt();
            what.changed = std::move(*changed);
            if (auto added = add_up(id, what, true); !added) return added;
        }
        kept.deeds = crdt::deeds_of(what);
        if (kept.deeds.empty() && !kept.request) return {};  // what it did for the members is nothing to look at
        batch_.put(space::rows, store_keys::orphan_key(from_.number_, id.writer, id.sequence), codec::encode(kept));
        return storage::write_if_large(from_.store_.engine(), batch_);
    }

  private:
    tl::unexpected<error> corrupt() const { return fail(errc::corrupt, "the log of bucket \"" + from_.name_ + "\" holds what cannot be decoded"); }

    /// Running totals do not say what was added: that is the difference to what the new rows, and the records before, have.
    result<void> add_up(const dot& id, crdt::executed& what, bool is_to_be_told) {
        for (std::uint32_t i = 0; i < what.changed.rows.size(); ++i) {
            const auto& [path, change] = what.changed.rows[i];
            if (is_to_be_told) what.places.push_back(i);
            const auto kind = crdt::kind_of(change.change);
            if (kind != crdt::row_kind::counter && kind != crdt::row_kind::escrow) continue;
            auto it = rows_.find(path);
            if (it == rows_.end()) {
                const auto stored = from_.store_.engine().get(space::rows, store_keys::row_key(store_keys::other_rows(from_.rows_.place()), path));
                if (!stored) return fail(stored.error());
                auto row = *stored ? crdt::decode_row(**stored) : std::nullopt;
                if (!row || crdt::kind_of(*row) != kind) row = crdt::bottom(kind);
                it = rows_.emplace(path, std::move(*row)).first;
            }
            for (const auto& t : is_to_be_told ? crdt::tallies_of(it->second, change, id, i) : std::vector<crdt::tally>{}) {
                if (t.value != 0 || t.bound != 0) what.request.tallies.push_back(t);
            }
            crdt::join(it->second, change, {});
        }
        return {};
    }

    const bucket_state& from_;
    storage::batch& batch_;
    std::map<std::string, crdt::row> rows_;  // of totals, as they were before
};

/// What stands in the log behind these ends is kept aside, as far as it did anything. `batch` is written as it grows.
result<void> bucket_state::set_aside(storage::batch& batch, const std::map<origin, tail>& ends) const {
    orphanage to(*this, batch);
    for (const auto& [writer, end] : ends) {
        const auto beyond = store_keys::log_key(number_, writer, UINT64_MAX);
        const auto cursor = store_.engine().scan(space::log, store_keys::log_key(number_, writer, end.sequence + 1));
        for (; cursor->valid() && cursor->key() < beyond; cursor->next()) {
            if (auto taken = to.take(cursor->key(), cursor->value()); !taken) return taken;
        }
        if (auto status = cursor->status(); !status) return status;
    }
    return {};
}

// --- looking at them -------------------------------------------------------------------------------------

result<std::vector<orphaned_transaction>> bucket_state::orphans(std::size_t most) const {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    const std::shared_lock lock(mutex_);
    std::vector<orphaned_transaction> all;
    const auto prefix = store_keys::orphan_prefix(number_);
    const auto cursor = store_.engine().scan(space::rows, prefix);
    for (; all.size() < most && cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
        const auto position = store_keys::parse_log_key(cursor->key());
        const auto kept = position ? codec::decode<orphan>(cursor->value()) : std::nullopt;
        if (!kept) return fail(errc::corrupt, "an orphan of bucket \"" + name_ + "\" cannot be decoded");
        orphaned_transaction o{{store_.origins().id(position->writer), position->sequence}, kept->at, {}, changes_of(kept->deeds)};
        if (const auto& r = kept->request) {
            const std::chrono::milliseconds issued{static_cast<std::int64_t>(r->issued)};
            o.request = executed_request{r->identity, issued, r->role, r->outcome, r->result, o.transaction, r->confirms, false};
        }
        all.push_back(std::move(o));
    }
    if (auto status = cursor->status(); !status) return fail(status.error());
    return all;
}

result<orphan> bucket_state::find_orphan(const transaction_id& id) const {
    const auto writer = store_.origins().find(id.origin);
    const auto there = writer ? store_.engine().get(space::rows, store_keys::orphan_key(number_, *writer, id.sequence)) : std::nullopt;
    if (!there) return fail(there.error());
    if (!*there) {
        return fail(errc::invalid_argument, "transaction " + std::to_string(id.sequence) + " of replica " + to_string(id.origin) +
                                                " is no orphan of bucket \"" + name_ + '"');
    }
    auto kept = codec::decode<orphan>(**there);
    if (!kept) return fail(errc::corrupt, "an orphan of bucket \"" + name_ + "\" cannot be decoded");
    return std::move(*kept);
}

result<void> bucket_state::dismiss(const transaction_id& id) {
    if (auto allowed = check_outside(); !allowed) return allowed;
    const std::unique_lock lock(mutex_);
    if (auto found = find_orphan(id); !found) return fail(found.error());
    return forget_orphan(id);
}

result<void> bucket_state::forget_orphan(const transaction_id& id) {
    storage::batch batch;
    batch.erase(space::rows, store_keys::orphan_key(number_, *store_.origins().find(id.origin), id.sequence));
    auto written = store_.engine().write(batch);
    if (written) store_.wrote();
    return written;
}

// --- coming back -----------------------------------------------------------------------------------------

namespace {

/// Does the same once more. errc::insufficient_rights where that takes more of a bounded counter than may be spent here.
void do_again(transaction_access& in, const crdt::deed& d) {
    using kind = crdt::deed::kind;
    const auto its_kind = row_kind_at(d.path);
    if (d.what == kind::emptied || !its_kind) return in.clear(d.path);
    in.edit(d.path, *its_kind, [&](crdt::edit& e, const writer& w) -> result<void> {
        const bool is_written = d.what == kind::written;
        const auto overflow = [&] { return fail(errc::overflow, "doing again what an orphan did leaves 64 bits"); };
        switch (*its_kind) {
            case crdt::row_kind::counter:
                if (!is_written) e.reset();
                else if (!e.add(w.me, d.amount, w.stable.at(w.me.writer))) return overflow();
                return {};
            case crdt::row_kind::entries: is_written ? e.assign(w.me, w.at, d.value) : e.erase(); return {};
            case crdt::row_kind::dots: is_written ? e.insert(w.me) : e.remove(); return {};
            case crdt::row_kind::removals: is_written ? e.insert_seeing_removals(w.me, w.have) : e.remove_for_good(w.me); return {};
            case crdt::row_kind::escrow: break;
        }
        if (d.amount > 0 && !e.deposit(w.me, d.amount)) return overflow();
        const bool is_spent = d.amount >= 0 || (d.amount > INT64_MIN && e.spend(w.me, -d.amount, w.heirs));
        if (!is_spent || (d.bound != 0 && !e.move_bound(w.me, d.bound, w.heirs))) {
            return fail(errc::insufficient_rights, "what an orphan spent may not be spent here");
        }
        return {};
    });
}

}  // namespace

result<receipt> bucket_state::resubmit(const transaction_id& id, durability wait_for) {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    std::unique_lock lock(mutex_);
    auto kept = find_orphan(id);
    if (!kept) return fail(kept.error());
    // Nothing else can be told from what has been done again already, before a crash or elsewhere.
    if (!kept->request) return fail(errc::invalid_argument, "the orphan is no execution of a request");
    const auto& r = *kept->request;
    request named;
    named.issued = std::chrono::milliseconds{static_cast<std::int64_t>(r.issued)};
    named.role = r.role;
    named.content = r.content;
    auto done = answer(named, r.identity, [&](transaction_access& in, const transaction_id&, timestamp) -> result<std::string> {
        if (r.confirms) return fail(errc::invalid_argument, "the execution that the orphan confirms is not known here any more");
        for (const auto& d : kept->deeds) do_again(in, d);
        if (r.outcome == request_outcome::refused) in.refuse();
        return r.result;
    });
    const auto forgotten = done ? forget_orphan(id) : result<void>{};
    lock.unlock();
    store_.notify();
    if (!done) return done;
    if (!forgotten) return fail(forgotten.error());
    if (wait_for == durability::disk) {
        if (auto synced = store_.sync(); !synced) return fail(synced.error());
    }
    return done;
}

/// It is to take part and was retired: under another name it can, and the first member that it meets lets it in. Of a copy that
/// has come back under a later one it is the other one that goes on.
bool bucket_state::come_back() {
    const auto& self = store_.self().id;
    const auto& members = members_.roster().members;
    const auto it = members.find(self);
    if (it == members.end() || it->second.at != stage::retired || participation_ != participation::member) return false;
    const auto later = std::next(it);
    if (later != members.end() && later->first.value == self.value) return false;
    storage::batch batch;
    const auto next = store_.next_incarnation(batch);
    const auto known_origins = store_.origins().size();
    if (!store_.engine().write(batch)) return false;  // when there is room
    store_.origins_persisted(known_origins);
    store_.take_incarnation(next);
    store_.wrote();
    return true;
}

}  // namespace anabranch::detail
