#include "store/bucket_state.hpp"

#include <anabranch/limits.hpp>

#include "codec/archive.hpp"
#include "store/field_kind.hpp"
#include "store/inside_guard.hpp"
#include "store/latest_access.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"
#include "store/transaction_access.hpp"
#include "store/watermark.hpp"

namespace anabranch::detail {
namespace {

using storage::space;

constexpr const char* not_its_own = "holds changes that cannot be its own";

}  // namespace

/// How finely the log's length is remembered: what is cut by bytes is exact to about a sixteenth.
std::uint64_t bucket_state::extent_step(const store_options& options) {
    constexpr std::uint64_t least = 256;
    const auto shortest = options.log_retain_bytes == 0 ? options.log_limit_bytes
                                                        : std::min(options.log_retain_bytes, options.log_limit_bytes);
    return std::max<std::uint64_t>(shortest / 16, least);
}

bucket_state::bucket_state(store_state& store, store_keys::bucket_number number, std::string name, participation as)
    : store_(store),
      number_(number),
      name_(std::move(name)),
      watermark_key_(store_keys::watermark_prefix + store_keys::big_endian32(static_cast<std::uint32_t>(number))),
      entering_key_(store_keys::entering_prefix + store_keys::big_endian32(static_cast<std::uint32_t>(number))),
      audit_key_(store_keys::audit_prefix + store_keys::big_endian32(static_cast<std::uint32_t>(number))),
      holding_key_(store_keys::holding_prefix + store_keys::big_endian32(static_cast<std::uint32_t>(number))),
      journal_(store.engine(), number, store.options().journal_step, store.options().journal_limit),
      rows_(store.engine(), number, store.options().write_behind_bytes, journal_),
      rebalancing_(store.options().rights_window),
      requests_(store.engine(), number),
      rivals_(store.engine(), number),
      known_records_((oplog::known_records & ~store.options().unknown.records) | oplog::bit_of(oplog::record_kind::plain)),
      extent_(extent_step(store.options()), store.options().log_limit_age / 16),
      participation_(as) {
    kinds_.known &= ~store.options().unknown.rows;
    kinds_.is_at_home = [](std::string_view path, crdt::row_kind kind) { return row_kind_at(path) == kind; };
}

// --- writing -------------------------------------------------------------------------------------------

result<void> bucket_state::check_outside() const {
    if (!inside_guard::is_inside()) return {};
    return fail(errc::nested_transaction, "bucket \"" + name_ + "\" cannot be used from inside a transaction or a read");
}

result<void> bucket_state::check_usable() const {
    if (broken_) return fail(*broken_);
    return {};
}

result<void> bucket_state::commit(const std::function<result<void>(transaction&)>& fn, durability wait_for) {
    if (auto allowed = check_outside(); !allowed) return allowed;
    std::unique_lock lock(mutex_);
    const auto is_logged = run(fn);
    const bool has_news = rebalancing_.has_errands() || (is_logged && *is_logged);
    lock.unlock();
    if (has_news) store_.notify();
    if (!is_logged) return fail(is_logged.error());
    if (*is_logged && wait_for == durability::disk) return store_.sync();
    return {};
}

/// Whether it has changed anything.
result<bool> bucket_state::run(const std::function<result<void>(transaction&)>& fn) {
    if (auto ready = check_ready(); !ready) return fail(ready.error());
    if (auto whole = check_whole(); !whole) return fail(whole.error());
    if (auto member = check_member(); !member) return fail(member.error());
    if (auto room = make_room(); !room) return fail(room.error());
    const auto& self = store_.self();
    const auto last = tail_of(self.number);
    const dot me{self.number, last.sequence + 1};
    const auto at = store_.clock().next();
    transaction_access access(surroundings(), me, at);
    auto done = [&] {
        const inside_guard guard;
        transaction tx(access, {self.id, me.sequence}, at);
        return fn(tx);
    }();
    if (done) done = access.status();
    const bool has_changes = done && access.settle();
    const auto logged = has_changes ? log_transaction(access, last, me, at) : result<void>{};
    note_demands(access.demands(), has_changes && logged);
    if (!done) return fail(done.error());
    if (!logged) return fail(logged.error());
    return has_changes;
}

transaction_access::surroundings bucket_state::surroundings() {
    return {rows_, store_.origins(), have_, members_.stable(), heirs_, rebalancing_, store_.options().env.now,
            [this](const replica_id& id) { return find_member(id); }, [this](const dot& d) { return time_of(d); },
            [this] { return flush_locked(); }, has_unread_, unread_.records != 0};
}

result<void> bucket_state::log_transaction(const transaction_access& access, const tail& last, const dot& me, timestamp at) {
    std::vector<origin> mentioned;
    const auto payload = access.encode(mentioned);
    const auto record = append(last, me, {at, {}, payload}, mentioned);
    if (!record) return fail(record.error());
    auto joined = join_removals(access.removals(), vector_of(me));
    for (const auto& [path, change] : access.rows()) {
        if (joined) joined = rows_.join(path, change, have_, open_);
    }
    if (joined) joined = recount_rows();
    if (!joined) broken_ = joined.error();
    have_.join(me);
    joined_own(*record);
    return {};
}

result<bucket_state::appended> bucket_state::append(const tail& last, const dot& me, oplog::record record, const std::vector<origin>& mentioned) {
    for (const auto o : mentioned) record.mentioned.push_back(store_.origins().id(o));
    std::string value(head_size, '\0');
    oplog::encode_record(record, value);
    const auto body = body_of(value);
    if (body.size() > limits::transaction) {
        return fail(errc::limit_exceeded, "a transaction of " + std::to_string(body.size()) + " bytes; the limit is " +
                                              std::to_string(limits::transaction));
    }
    const auto head = last.sequence == 0 ? oplog::chain_start(name_, store_.origins().id(me.writer)) : last.head;
    const tail next{me.sequence, oplog::chain_next(head, body), record.at};
    const auto size = body.size();
    set_head(value, next.head);
    storage::batch log;
    const auto known_origins = store_.origins().size();
    store_.persist_origins(log);
    log.put(space::log, store_keys::log_key(number_, me.writer, me.sequence), std::move(value));
    // From here on it is committed, or it never was.
    if (auto written = store_.engine().write(log); !written) return fail(written.error());
    store_.origins_persisted(known_origins);
    return appended{next, size};
}

void bucket_state::joined_own(const appended& record) {
    // Not before: who reads the log asks what is known of the requests in it.
    advance(store_.self().number, record.end);
    logged(record.bytes);
    after_write();
}

void bucket_state::logged(std::size_t bytes) {
    lag_bytes_ += bytes;
    extent_.grow(bytes, have_, store_.options().env.now);
    store_.wrote();
    // Last: whoever knows this revision finds what is to be synced for it.
    revision_.fetch_add(1);
}

result<oplog::applied> bucket_state::apply(const oplog::chunk& chunk, timestamp horizon, const replica_id& source) {
    oplog::applied outcome;
    {
        const std::unique_lock lock(mutex_);
        if (auto ready = check_ready(); !ready) return fail(ready.error());
        if (auto whole = check_whole(); !whole) return fail(whole.error());
        if (auto room = make_room(); !room) return fail(room.error());

        // Everything is looked at before anything is written.
        auto found = chunk.folded ? examine_fold(chunk, horizon, source) : examine(chunk, horizon, source);
        if (!found) return fail(found.error());
        outcome.held = found->held;
        if (found->records.empty() && !found->fold) return outcome;

        const auto known_origins = store_.origins().size();
        store_.persist_origins(found->log);
        const auto next_self = found->is_own_past ? store_.next_incarnation(found->log) : store_.self().number;
        if (auto written = store_.engine().write(found->log); !written) return fail(written.error());
        store_.origins_persisted(known_origins);
        if (found->is_own_past) store_.take_incarnation(next_self);

        if (!found->fold) {
            for (const auto& r : found->records) {
                if (auto joined = join_record(r.id, r.what); !joined) broken_ = joined.error();
                have_.join(r.id);
                store_.clock().observe(r.what.content.at);
            }
            advance(found->tails);
        } else {
            loaded_executions asides;
            std::uint64_t unread = 0;
            for (const auto& r : found->records) {
                if (r.what.is_execution()) asides.push_back(r.what.execution_at(r.id, kinds_));
                if (r.what.content.is_unread) unread |= oplog::bit_of(r.what.content.kind);
            }
            if (auto joined = join_fold(found->folded, found->fold->covers(), asides, unread); !joined) broken_ = joined.error();
            have_.join(found->fold->covers());
            store_.clock().observe(found->fold->greatest);
            const std::unique_lock uncut(cut_mutex_);
            folds_.push_back(std::move(*found->fold));
            // Not before: who reads the log looks for single records of what it does not know to be in a fold.
            advance(found->tails);
            if (unfinished_folds_ > 0) --unfinished_folds_;
        }
        outcome.transactions = found->transactions;
        look_for_orphans();
        logged(found->log.bytes());
        after_write();
    }
    store_.notify();
    return outcome;
}

result<bucket_state::examined> bucket_state::examine(const oplog::chunk& chunk, timestamp horizon,
                                                     const replica_id& source) {
    examined found;
    const auto* members = &members_.roster();
    std::optional<crdt::roster> ahead;  // with what the chunk itself says of members
    const auto join_members = [&](const crdt::roster& change) {
        if (change.empty()) return;
        if (!ahead) ahead = *members;
        ahead->join(change);
        members = &*ahead;
    };
    auto begun = lanes_of(chunk);
    if (!begun) return fail(begun.error());
    auto& lanes = *begun;
    auto seen = have_;
    for (const auto& entry : chunk.entries) {
        auto& l = lanes[entry.range];
        const auto sequence = l.next_sequence++;
        if (sequence <= l.last.sequence) continue;
        const transaction_id id{chunk.ranges[entry.range].origin, sequence};
        const auto at = oplog::record_time(entry.body);
        if (at > horizon) {
            found.held = oplog::applied::held_record{id, at};
            break;
        }
        crdt::roster change;
        seen.join(dot{l.writer, sequence});
        auto record = examine_record(id, l.writer, l.last.at, entry.body, seen, *members, change);
        if (!record) return fail(record.error());
        // Its founder's first transaction makes a bucket, and a member's next incarnation may go on with its authority; everybody
        // else has been let in by a member before.
        const bool succeeds = change.authority.holder == id.origin && members->find_former(id.origin) != nullptr;
        if (!members->founder || succeeds) join_members(change);
        if (auto allowed = check_writer(*members, id, source); !allowed) return fail(allowed.error());
        join_members(change);
        if (auto bounded = check_size(*members); !bounded) return fail(bounded.error());
        l.last = {sequence, oplog::chain_next(l.last.head, entry.body), at};
        found.is_own_past = found.is_own_past || l.writer == store_.self().number;
        found.log.put(space::log, store_keys::log_key(number_, l.writer, sequence), log_value(l.last.head, entry.body));
        found.records.push_back(std::move(*record));
        ++found.transactions;
    }
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        if (auto same = check_head(chunk.ranges[i], lanes[i].last); !same) return fail(same.error());
        if (lanes[i].last.sequence > 0) found.tails.emplace_back(lanes[i].writer, lanes[i].last);
    }
    return found;
}

result<std::vector<bucket_state::lane>> bucket_state::lanes_of(const oplog::chunk& chunk) {
    std::vector<lane> lanes;
    for (const auto& range : chunk.ranges) {
        const auto writer = meet(range.origin);
        if (!writer) return fail(writer.error());
        auto last = tail_of(*writer);
        if (last.sequence == 0) last.head = oplog::chain_start(name_, range.origin);
        if (range.first > last.sequence + 1) {
            return fail(errc::malformed, "records of replica " + to_string(range.origin) + " in bucket \"" + name_ +
                                             "\" begin at " + std::to_string(range.first) + ", here they end at " +
                                             std::to_string(last.sequence));
        }
        lanes.push_back({*writer, range.first, last});
    }
    return lanes;
}

result<void> bucket_state::check_head(const oplog::chunk::range& range, const tail& here) const {
    if (here.sequence != range.last || here.head == range.head) return {};
    return fail(errc::diverged, "the records of replica " + to_string(range.origin) + " in bucket \"" + name_ + "\" up to " +
                                    std::to_string(range.last) + " are others than those here");
}

result<bucket_state::examined::record> bucket_state::examine_record(const transaction_id& id, origin writer, timestamp previous,
                                                                    std::string_view body, const version_vector& seen,
                                                                    const crdt::roster& known, crdt::roster& members) {
    const auto malformed = [&](const char* what) {
        return fail(errc::malformed, "record " + std::to_string(id.sequence) + " of replica " + to_string(id.origin) +
                                         " in bucket \"" + name_ + "\" " + what);
    };
    auto record = oplog::decode_record(body, known_records_);
    if (!record || body.size() > limits::transaction) return malformed("cannot be decoded");
    if (record->at <= previous) return malformed("is not later than the one before");
    // It can only have seen transactions that come before it, here and in the chunk. A member may not have written any.
    auto mentioned = find_mentioned(record->mentioned);
    if (!mentioned) {
        for (const auto& mention : record->mentioned) {
            if (known.find(mention) == nullptr) continue;
            if (const auto met = meet(mention); !met) return fail(met.error());
        }
        mentioned = find_mentioned(record->mentioned);
    }
    if (!mentioned) return malformed("mentions replicas that it cannot have met");
    const dot me{writer, id.sequence};
    const crdt::known_kinds kinds{.known = kinds_.known};  // all of it is judged now
    logged_record logged{std::move(*record), std::move(*mentioned)};
    // By what all kinds have; by the rest once it is known.
    if (logged.content.is_unread) return examined::record{me, std::move(logged)};
    if (logged.is_execution()) {
        const auto x = logged.execution_at(me, kinds);
        if (!x) return malformed("cannot be decoded");
        const auto wrong = find_wrong_execution(me, x->what, seen);
        if (!wrong) return fail(wrong.error());
        if (*wrong != nullptr) return malformed(*wrong);
        return examined::record{me, std::move(logged)};
    }
    crdt::changes_input in(logged.content.payload, {me, logged.content.at}, logged.mentioned, kinds);
    for (const auto& removal : in.removals()) {
        if (!crdt::is_own_work(removal, me)) return malformed(not_its_own);
    }
    std::string_view path;
    for (crdt::delta change; in.next(path, change);) {
        const auto wrong = find_wrong_change(me, path, change, seen);
        if (!wrong) return fail(wrong.error());
        if (*wrong != nullptr) return malformed(*wrong);
    }
    auto change = in.members();
    if (!change) return malformed("cannot be decoded");
    const auto wrong = find_wrong_unknown(in.unknown());
    if (!wrong) return fail(wrong.error());
    if (*wrong != nullptr) return malformed(*wrong);
    members = std::move(*change);
    return examined::record{me, std::move(logged)};
}

result<const char*> bucket_state::find_wrong_execution(const dot& me, const crdt::executed& what, const version_vector& seen) {
    for (const auto& removal : what.changed.removals) {
        if (!crdt::is_own_work(removal, me)) return not_its_own;
    }
    for (const auto& r : what.changed.rows) {
        const auto wrong = find_wrong_change(me, r.key, r.change, seen);
        if (!wrong || *wrong != nullptr) return wrong;
    }
    return find_wrong_unknown(what.unknown);
}

result<const char*> bucket_state::find_wrong_change(const dot& me, std::string_view path, const crdt::delta& change, const version_vector& seen) {
    if (!crdt::is_own_work(change, me)) return not_its_own;
    if (!crdt::is_born(change.change, [&](const dot& birth) { return seen.covers(birth); })) return "goes on with what nobody has begun";
    return find_wrong_row(path, crdt::kind_of(change.change));
}

/// What is unknown is judged by its place alone; by the rest once it is known.
result<const char*> bucket_state::find_wrong_unknown(const std::vector<crdt::unknown_change>& all) {
    for (const auto& u : all) {
        const auto wrong = find_wrong_row(u.key, u.kind);
        if (!wrong || *wrong != nullptr) return wrong;
    }
    return nullptr;
}

/// It was logged by a build that could not read it; those that could have refused it, and it does nothing here either. `news`: what
/// it came with.
result<bool> bucket_state::is_refused(const loaded_execution& x, const version_vector& news) {
    if (!is_recovering_ || has_judged(oplog::record_kind::execution)) return false;
    auto seen = have_;
    seen.join(news);
    const auto wrong = find_wrong_execution(x.id, x.what, seen);
    if (!wrong) return fail(wrong.error());
    return *wrong != nullptr;
}

/// Brings the rows into memory, so that joining cannot fail after the log is written.
result<const char*> bucket_state::find_wrong_row(std::string_view path, crdt::row_kind kind) {
    if (!store_keys::is_path(path)) return "changes a row at an impossible path";
    const auto its_type = row_kind_at(path);
    if (its_type && *its_type != kind) return "changes a row of another kind than its type";
    const auto there = rows_.load(path);
    if (!there) return fail(there.error());
    const auto there_kind = crdt::encoded_kind((*there)->encoded());
    if (there_kind && *there_kind != kind) return "changes a row of another kind";
    return nullptr;
}

result<void> bucket_state::check_size(const crdt::roster& members) const {
    if (members.members.size() <= limits::origins) return {};
    return fail(errc::limit_exceeded, "bucket \"" + name_ + "\" would have more than " + std::to_string(limits::origins) + " members");
}

result<void> bucket_state::check_writer(const crdt::roster& members, const transaction_id& id, const replica_id& source) const {
    using stage = crdt::roster::stage;
    const auto* m = members.find(id.origin);
    const auto who = [&] { return "replica " + to_string(id.origin) + " in bucket \"" + name_ + '"'; };
    if (m == nullptr) return fail(errc::malformed, "transactions of " + who() + ", which no member has let in");
    if (m->at == stage::retired && id.sequence > m->last) {
        return fail(errc::retired, who() + " was retired after its transaction " + std::to_string(m->last) +
                                       "; what it did since does not count");
    }
    // What it has given to another member still counts, and comes from there: the last of it that anybody has reported.
    const auto* sender = members.find(source);
    if (m->at == stage::retiring && (sender == nullptr || sender->at != stage::joined)) {
        return fail(errc::retired, who() + " is being retired; its transaction " + std::to_string(id.sequence) +
                                       " comes too late");
    }
    return {};
}

/// `news`: what the rows reflect afterwards, and did not before.
result<void> bucket_state::join_removals(const std::vector<crdt::prefix_removal>& removals, const version_vector& news) {
    if (removals.empty()) return {};
    leftover_mark with{have_, forgotten_};
    with.reflects.join(news);
    for (const auto& removal : removals) {
        if (auto covered = rows_.cover_prefix(removal.prefix, removal.covered, with, open_); !covered) return covered;
    }
    return {};
}

result<void> bucket_state::join_record(const dot& id, const logged_record& record) {
    const auto undecodable = [&] {
        return fail(errc::corrupt, "record " + std::to_string(id.sequence) + " in the log of bucket \"" + name_ + "\" cannot be decoded");
    };
    if (record.content.is_unread) {
        note_unread(0, oplog::bit_of(record.content.kind));
        return {};
    }
    if (record.is_execution()) {
        auto x = record.execution_at(id, kinds_);
        if (!x) return has_judged(record.content.kind) ? result<void>(undecodable()) : result<void>{};
        const auto refused = is_refused(*x, vector_of(id));
        if (!refused) return fail(refused.error());
        return *refused ? result<void>{} : join_execution(std::move(x));
    }
    crdt::changes_input in(record.content.payload, {id, record.content.at}, record.mentioned, kinds_);
    if (auto joined = join_removals(in.removals(), vector_of(id)); !joined) return joined;
    const auto self = store_.self().number;
    std::string_view path;
    for (crdt::delta change; in.next(path, change);) {
        if (auto joined = rows_.join(path, change, have_, open_); !joined) return joined;
        heard_of(path, change.change, self);
    }
    const auto members = in.members();
    if (!members) return undecodable();
    note_unread(in.unknown_kinds(), 0);
    join_members(*members);
    return recount_rows();
}

/// What is being joined is of those kinds of records, or does something to rows of those kinds.
void bucket_state::note_unread(std::uint64_t rows, std::uint64_t records) {
    records &= ~known_records_;
    if (rows == 0 && records == 0) return;
    if (!unread_.is_any()) unread_.from = have_;
    unread_.rows |= rows;
    unread_.records |= records;
    has_unread_ = true;
}

/// The fold may have seen what stands aside of it, and that the fold: so executions come first, for what the fold covers of
/// them, and what they remove of the fold goes last.
result<void> bucket_state::join_fold(const crdt::changes& changes, const version_vector& covers, const loaded_executions& asides,
                                     std::uint64_t unread) {
    note_unread(changes.unknown, unread);
    loaded_executions counted;
    for (const auto& x : asides) {
        const auto refused = is_refused(*x, covers);
        if (!refused) return fail(refused.error());
        if (*refused) continue;
        if (auto joined = join_execution(x); !joined) return joined;
        counted.push_back(x);
    }
    if (auto joined = join_removals(changes.removals, covers); !joined) return joined;
    const auto self = store_.self().number;
    for (const auto& [path, change] : changes.rows) {
        if (auto joined = rows_.join(path, change, have_, open_); !joined) return joined;
        heard_of(path, change.change, self);
    }
    join_members(changes.members);
    for (const auto& x : counted) {
        if (auto joined = remove_again(*x); !joined) return joined;
    }
    return recount_rows();
}

bool bucket_state::is_flush_due() const { return rows_.is_full() || lag_bytes_ >= 2 * store_.options().write_behind_bytes; }

void bucket_state::after_write() {
    rows_.mark_time(have_);
    // Bounds both memory and what a crash leaves to replay. A failure changes nothing: the rows keep
    // waiting, and the next transaction that finds them overdue says so.
    if (is_flush_due() && flush_locked()) rows_.trim();
}

result<void> bucket_state::make_room() {
    if (!rows_.is_overdue()) return {};
    auto flushed = flush_locked();
    if (flushed) rows_.trim();
    return flushed;
}

result<origin> bucket_state::meet(const replica_id& id) {
    if (const auto known = store_.origins().find(id)) return *known;
    if (store_.origins().size() >= limits::origins) {
        return fail(errc::limit_exceeded, "replica " + to_string(id) + " is one more than the " + std::to_string(limits::origins) +
                                              " that a store can know");
    }
    return store_.origins().intern(id);
}

std::optional<std::vector<origin>> bucket_state::find_mentioned(const std::vector<replica_id>& ids) const {
    std::vector<origin> found;
    for (const auto& id : ids) {
        const auto one = store_.origins().find(id);
        if (!one) return std::nullopt;
        found.push_back(*one);
    }
    return found;
}

result<void> bucket_state::flush_locked() const {
    if (broken_) return fail(*broken_);
    if (lag_bytes_ == 0 && !rows_.has_changes()) return {};  // the rows are all written, and the watermark with them
    const watermark mark{have_, store_.clock().last(), members_, {floor_.begin(), floor_.end()}, extent_.bytes(), forgotten_, rows_.place() != number_, unread_};
    storage::batch known;
    requests_.add_changed(known);
    rivals_.add_changed(known);
    auto flushed = rows_.flush(watermark_key_, codec::encode(mark), {have_, forgotten_}, std::move(known), has_settled_);
    if (!flushed) return flushed;
    has_settled_ = false;
    requests_.changes_written();
    rivals_.changes_written();
    lag_bytes_ = 0;
    return flushed;
}

result<void> bucket_state::flush() const {
    const std::shared_lock lock(mutex_);
    return flush_locked();
}

// --- reading -------------------------------------------------------------------------------------------

result<void> bucket_state::read(const std::function<void(const map_view&)>& fn) const {
    if (auto allowed = check_outside(); !allowed) return allowed;
    const std::shared_lock lock(mutex_);
    if (auto usable = check_usable(); !usable) return usable;
    latest_access access(rows_, held_.get(), store_.origins(), store_.self().number, heirs_,
                         [this](const dot& d) { return time_of(d); }, [this] { return flush_locked(); });
    const inside_guard guard;
    fn(map_view(access, {}));
    return {};
}

result<std::unique_ptr<snapshot_access>> bucket_state::take_snapshot() const {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    const std::shared_lock lock(mutex_);
    if (auto usable = check_usable(); !usable) return fail(usable.error());
    // Reads go on where nothing can be written: the rows that wait are then part of the snapshot.
    auto waiting = flush_locked() ? row_table::rows{} : rows_.waiting({});
    std::shared_ptr<const bucket_state> keep(store_.shared_from_this(), this);
    return std::make_unique<snapshot_access>(std::move(keep), store_.origins(), store_.self().number, heirs_, rows_,
                                             rows_.take_snapshot(), std::move(waiting), held_);
}

result<std::unique_ptr<arriving_access>> bucket_state::take_arriving() const {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    const std::shared_lock lock(mutex_);
    if (auto usable = check_usable(); !usable) return fail(usable.error());
    if (!staged_ || !staged_->is_whole) return std::unique_ptr<arriving_access>{};
    row_snapshot at{store_.engine().take_snapshot(), store_keys::other_rows(rows_.place())};
    // As it is told with the rows: what is kept in memory is ahead of them where a piece could not be written.
    const auto stored = store_.engine().get(storage::space::rows, store_keys::staged_key(number_, store_keys::staged_kind::progress, {}), at.at.get());
    if (!stored) return fail(stored.error());
    if (!*stored) return std::unique_ptr<arriving_access>{};
    auto progress = codec::decode<staged_progress>(**stored);
    if (!progress) return fail(errc::corrupt, "how far the state of bucket \"" + name_ + "\" has come cannot be decoded");
    std::optional<std::uint64_t> rows_to_come;
    if (rows_announced_) rows_to_come = *rows_announced_ - std::min(*rows_announced_, progress->rows);
    std::shared_ptr<const bucket_state> keep(store_.shared_from_this(), this);
    auto rows = std::make_unique<snapshot_access>(std::move(keep), store_.origins(), store_.self().number, heirs_, rows_, std::move(at), row_table::rows{},
                                                  progress->only ? std::make_shared<const part>(*progress->only) : nullptr);
    return std::make_unique<arriving_access>(std::move(rows), std::move(progress->upto), progress->rows, rows_to_come, std::move(progress->reflects));
}

result<hash128> bucket_state::digest(std::string_view below) const {
    auto at = take_snapshot();
    if (!at) return fail(at.error());
    hash128 sum{};
    auto scanned = (*at)->scan(below, {}, [&](std::string_view path, const crdt::row& row) {
        crdt::add_fingerprint(sum, crdt::fingerprint(path, row, store_.origins()));
        return scan_step{};
    });
    if (!scanned) return fail(scanned.error());
    return sum;
}

tail bucket_state::tail_of(origin writer) const {
    const std::lock_guard lock(tails_mutex_);
    const auto it = tails_.find(writer);
    return it == tails_.end() ? tail{} : it->second;
}

void bucket_state::advance(const std::vector<std::pair<origin, tail>>& to) {
    // All at once: who captures them in between would have what depends on others without those.
    const std::lock_guard lock(tails_mutex_);
    for (const auto& [writer, last] : to) tails_[writer] = last;
}

void bucket_state::advance(origin writer, const tail& to) {
    const std::lock_guard lock(tails_mutex_);
    tails_[writer] = to;
}

frontier bucket_state::to_frontier(const tails& t) const {
    frontier f;
    for (const auto& [writer, last] : t) f.push_back({store_.origins().id(writer), last.sequence, last.head});
    std::ranges::sort(f, {}, &progress_entry::origin);
    return f;
}

std::uint64_t bucket_state::committed() const { return tail_of(store_.self().number).sequence; }

frontier bucket_state::progress() const { return to_frontier(capture()); }

frontier bucket_state::durable_progress() const {
    const std::lock_guard lock(durable_mutex_);
    return to_frontier(durable_);
}

bucket_state::tails bucket_state::durable() const {
    const std::lock_guard lock(durable_mutex_);
    return durable_;
}

bucket_state::tails bucket_state::capture() const {
    const std::lock_guard lock(tails_mutex_);
    return tails_;
}

void bucket_state::publish(tails durable) {
    {
        // What has been taken out of the log meanwhile is not on disk any more.
        const std::lock_guard lock(tails_mutex_);
        for (auto it = durable.begin(); it != durable.end();) {
            const auto here = tails_.find(it->first);
            it = here == tails_.end() || here->second.sequence < it->second.sequence ? durable.erase(it) : it + 1;
        }
    }
    const std::lock_guard lock(durable_mutex_);
    durable.insert(durable_.begin(), durable_.end());
    const bool is_same = std::ranges::equal(durable_, durable, {}, [](const auto& t) { return t.second.sequence; },
                                            [](const auto& t) { return t.second.sequence; });
    if (is_same) return;
    durable_ = std::move(durable);
    durable_revision_.fetch_add(1);
    has_duties_ = true;
}

version_vector bucket_state::to_vector(const tails& t) const {
    version_vector v;
    for (const auto& [writer, last] : t) v.join(dot{writer, last.sequence});
    return v;
}

}  // namespace anabranch::detail
