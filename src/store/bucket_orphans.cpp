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

/// Where the log is to end, of each origin of which it holds more than that state: whatever is beyond it may have seen what does not
/// count, and records do not say what they have seen.
std::map<origin, tail> bucket_state::ends_of(const entering& next) const {
    std::map<origin, tail> ends;
    if (!next.relieves) return ends;
    for (const auto& [writer, last] : capture()) {
        const auto it = next.reflects.find(writer);
        const auto end = it == next.reflects.end() ? tail{} : it->second;
        if (last.sequence > end.sequence) ends.emplace(writer, end);
    }
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
        if (!mentioned || record->is_unread) return corrupt();
        const dot id{position->writer, position->sequence};
        orphan kept{record->at, {}, {}};
        crdt::executed what;
        const bool is_execution = record->kind == oplog::record_kind::execution;
        if (is_execution) {
            const auto x = logged_record{*record, *mentioned}.execution_at(id, from_.kinds_);
            if (!x) return corrupt();
            what = x->what;
            const auto& r = what.request;
            kept.request = {r.identity, r.issued, r.role, r.outcome, r.content, r.result, {}};
            if (r.confirms) kept.request->confirms = transaction_id{from_.store_.origins().id(r.confirms->writer), r.confirms->sequence};
        } else {
            auto changed = crdt::decode_changes(record->payload, {id, record->at}, *mentioned, from_.kinds_);
            if (!changed) return corrupt();
            what.changed = std::move(*changed);
        }
        if (auto added = add_up(id, what, !is_execution); !added) return added;
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
            auto& [path, change] = what.changed.rows[i];
            if (is_to_be_told) {
                what.places.push_back(i);
                // Only requests say it: what they were asked to remove they may not have seen.
                const auto* c = std::get_if<crdt::counter_row>(&change.change);
                const auto* e = std::get_if<crdt::escrow_row>(&change.change);
                const auto is_removed = [](const auto& generation) { return !generation.removed.empty(); };
                change.removes = (c != nullptr && !c->resets.empty()) || (e != nullptr && std::ranges::any_of(e->generations, is_removed));
            }
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
            if (is_to_be_told) {
                const auto added = crdt::tallies_of(it->second, change, id, i);
                what.request.tallies.insert(what.request.tallies.end(), added.begin(), added.end());
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
        // It may have counted after all, and come again from who wrote it.
        if (position && tail_of(position->writer).sequence >= position->sequence) continue;
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

/// That have turned out to count.
result<void> bucket_state::forget_known_orphans() const {
    storage::batch batch;
    const auto prefix = store_keys::orphan_prefix(number_);
    const auto cursor = store_.engine().scan(space::rows, prefix);
    for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
        const auto position = store_keys::parse_log_key(cursor->key());
        if (position && tail_of(position->writer).sequence >= position->sequence) batch.erase(space::rows, std::string(cursor->key()));
    }
    if (auto status = cursor->status(); !status || batch.empty()) return status;
    return store_.engine().write(batch);
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
