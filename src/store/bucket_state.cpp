#include "store/bucket_state.hpp"

#include <anabranch/limits.hpp>

#include "base/hash.hpp"
#include "codec/archive.hpp"
#include "store/store_state.hpp"
#include "store/transaction_access.hpp"

namespace anabranch::detail {
namespace {

using storage::space;

/// Buckets in whose closures this thread is: committing to one of them, or reading it, would wait for itself.
thread_local std::vector<const bucket_state*> entered;

class entry_guard {
  public:
    explicit entry_guard(const bucket_state* bucket) { entered.push_back(bucket); }
    ~entry_guard() { entered.pop_back(); }
    entry_guard(const entry_guard&) = delete;
    entry_guard& operator=(const entry_guard&) = delete;
};

bool is_entered(const bucket_state* bucket) {
    return std::ranges::find(entered, bucket) != entered.end();
}

/// The latest state, under the bucket's shared lock.
class latest_access final : public access {
  public:
    latest_access(const row_table& rows, const origin_table& origins, std::function<result<void>()> flush)
        : rows_(rows), origins_(origins), flush_(std::move(flush)) {}

    const origin_table& origins() const override { return origins_; }
    result<crdt::row> read(std::string_view path, crdt::row_kind kind) override {
        auto row = rows_.peek(path);
        if (!row) return fail(row.error());
        return *row ? std::move(**row) : crdt::bottom(kind);
    }
    result<void> scan(std::string_view prefix, std::string_view from, const row_visitor& visit) override {
        if (auto flushed = flush_(); !flushed) return flushed;
        return visit_rows(rows_.scan(prefix, from), visit);
    }

    static result<void> visit_rows(row_cursor cursor, const row_visitor& visit) {
        while (cursor.valid()) {
            auto row = cursor.row();
            if (!row) return fail(row.error());
            const auto step = visit(cursor.path(), *row);
            if (step.stop) return {};
            if (step.seek) {
                cursor.seek(*step.seek);
            } else {
                cursor.next();
            }
        }
        return cursor.status();
    }

  private:
    const row_table& rows_;
    const origin_table& origins_;
    std::function<result<void>()> flush_;
};

/// A log value: the chain's head after the record, then the record.
constexpr std::size_t head_size = std::tuple_size_v<hash128>;

hash128 head_of(std::string_view log_value) {
    hash128 head{};
    std::copy_n(log_value.begin(), head_size, head.begin());
    return head;
}

/// The rows reflect at least these records. Written with them; everything after it is applied again on open.
struct watermark {
    version_vector applied;
    timestamp clock;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(applied, clock.value);
    }
};

}  // namespace

result<crdt::row> snapshot_access::read(std::string_view path, crdt::row_kind kind) {
    auto row = rows_.peek(path, at_.get());
    if (!row) return fail(row.error());
    return *row ? std::move(**row) : crdt::bottom(kind);
}

result<void> snapshot_access::scan(std::string_view prefix, std::string_view from, const row_visitor& visit) {
    return latest_access::visit_rows(rows_.scan(prefix, from, at_.get()), visit);
}

class bucket_state::log_stream final : public oplog::record_stream {
  public:
    log_stream(const storage::engine& engine, store_keys::bucket_number bucket, anabranch::origin writer, replica_id id,
               std::uint64_t from, std::uint64_t to)
        : bucket_(bucket), writer_(writer), id_(id), sequence_(from), last_(to) {
        cursor_ = engine.scan(space::log, store_keys::log_key(bucket, writer, from));
        look();
    }

    bool valid() const override { return status_ && sequence_ <= last_; }
    const replica_id& origin() const override { return id_; }
    std::uint64_t sequence() const override { return sequence_; }
    std::string_view body() const override { return cursor_->value().substr(head_size); }
    const hash128& head() const override { return head_; }
    void next() override {
        ++sequence_;
        if (sequence_ > last_) return;
        cursor_->next();
        look();
    }
    result<void> status() const override { return status_; }

  private:
    void look() {
        if (!cursor_->valid() || cursor_->key() != store_keys::log_key(bucket_, writer_, sequence_) ||
            cursor_->value().size() < head_size) {
            status_ = cursor_->status();
            if (status_) {
                status_ = fail(errc::corrupt, "the log has no usable record " + std::to_string(sequence_) + " of replica " +
                                                  to_string(id_));
            }
            return;
        }
        head_ = head_of(cursor_->value());
    }

    store_keys::bucket_number bucket_;
    anabranch::origin writer_;
    replica_id id_;
    std::uint64_t sequence_;
    std::uint64_t last_;
    std::unique_ptr<storage::cursor> cursor_;
    hash128 head_{};
    result<void> status_;
};

bucket_state::bucket_state(store_state& store, store_keys::bucket_number number, std::string name)
    : store_(store),
      number_(number),
      name_(std::move(name)),
      watermark_key_(store_keys::watermark_prefix + store_keys::big_endian32(static_cast<std::uint32_t>(number))),
      rows_(store.engine(), number, store.options().write_behind_bytes) {}

// --- opening -------------------------------------------------------------------------------------------

result<void> bucket_state::recover() {
    if (auto found = find_tails(); !found) return found;
    auto stored = store_.engine().get(space::meta, watermark_key_);
    if (!stored) return fail(stored.error());
    watermark mark;
    if (*stored) {
        auto decoded = codec::decode<watermark>(**stored);
        if (!decoded) return fail(errc::corrupt, "the watermark of bucket \"" + name_ + "\" cannot be decoded");
        mark = std::move(*decoded);
    }
    store_.clock().observe(mark.clock);
    for (const auto& [writer, sequence] : mark.applied) {
        if (tail_of(writer).sequence < sequence) {
            return fail(errc::corrupt, "the log of bucket \"" + name_ + "\" ends before record " + std::to_string(sequence) +
                                           " of replica " + to_string(store_.origins().id(writer)) +
                                           ", which is in its rows");
        }
    }
    return replay(mark.applied);
}

result<void> bucket_state::find_tails() {
    // One seek an origin: from its last record on to the next origin's first.
    std::uint32_t next = 0;
    while (true) {
        auto cursor = store_.engine().scan(space::log, store_keys::log_key(number_, origin{next}, 0));
        if (!cursor->valid()) return cursor->status();
        const auto first = store_keys::parse_log_key(cursor->key());
        if (!first) return fail(errc::corrupt, "the log holds a key that is none");
        if (first->bucket != number_) return {};
        auto last = store_.engine().last(space::log, store_keys::log_key(number_, first->writer, UINT64_MAX));
        if (!last) return fail(last.error());
        const auto position = *last ? store_keys::parse_log_key((*last)->first) : std::nullopt;
        if (!position || position->writer != first->writer || (*last)->second.size() < head_size) {
            return fail(errc::corrupt, "the log of bucket \"" + name_ + "\" has no usable last record");
        }
        if (static_cast<std::size_t>(first->writer) >= store_.origins().size()) {
            return fail(errc::corrupt, "the log of bucket \"" + name_ + "\" names a replica that is not in the table");
        }
        const auto& value = (*last)->second;
        const tail t{position->sequence, head_of(value), oplog::record_time(std::string_view(value).substr(head_size))};
        tails_[first->writer] = t;
        store_.clock().observe(t.at);
        next = static_cast<std::uint32_t>(first->writer) + 1;
    }
}

result<void> bucket_state::replay(const version_vector& from) {
    std::vector<std::unique_ptr<oplog::record_stream>> streams;
    for (const auto& [writer, t] : tails_) {
        if (from.at(writer) >= t.sequence) continue;
        streams.push_back(std::make_unique<log_stream>(store_.engine(), number_, writer, store_.origins().id(writer),
                                                       from.at(writer) + 1, t.sequence));
    }
    have_ = from;
    oplog::merged_stream merged(std::move(streams));
    for (auto* top = merged.top(); top != nullptr; top = merged.top()) {
        const auto writer = store_.origins().intern(top->origin());
        const auto record = oplog::decode_record(top->body());
        std::optional<crdt::changes> changes;
        if (record) {
            const auto mentioned = meet_all(record->mentioned);
            if (!mentioned) return fail(mentioned.error());
            changes = crdt::decode_changes(record->payload, writer, *mentioned);
        }
        if (!changes) {
            return fail(errc::corrupt, "record " + std::to_string(top->sequence()) + " of replica " +
                                           to_string(top->origin()) + " in bucket \"" + name_ + "\" cannot be decoded");
        }
        if (auto joined = join_rows(std::move(*changes)); !joined) return joined;
        have_.join(dot{writer, top->sequence()});
        lag_bytes_ += top->body().size();
        merged.next();
        after_write();
    }
    return merged.status();
}

// --- writing -------------------------------------------------------------------------------------------

result<void> bucket_state::check_usable() const {
    if (broken_) return fail(*broken_);
    return {};
}

result<void> bucket_state::commit(const std::function<result<void>(transaction&)>& fn, durability wait_for) {
    if (is_entered(this)) return fail(errc::nested_transaction, "bucket \"" + name_ + "\" is already in use by this thread");
    {
        const std::unique_lock lock(mutex_);
        if (auto usable = check_usable(); !usable) return usable;
        if (auto room = make_room(); !room) return room;
        const auto writer = store_.self();
        const auto last = tail_of(writer);
        const dot me{writer, last.sequence + 1};
        const auto at = store_.clock().next();
        transaction_access access(rows_, store_.origins(), have_, me, at, [this] { return flush_locked(); });
        {
            const entry_guard guard(this);
            transaction tx(access, {store_.origins().id(writer), me.sequence}, at);
            if (auto done = fn(tx); !done) return done;
        }
        if (!access.status()) return access.status();
        const auto changes = access.changes();
        if (changes.empty()) return {};

        std::vector<origin> mentioned;
        const auto payload = crdt::encode_changes(changes, writer, mentioned);
        oplog::record record{at, {}, payload};
        for (const auto o : mentioned) record.mentioned.push_back(store_.origins().id(o));
        const auto body = oplog::encode_record(record);
        if (body.size() > limits::transaction) {
            return fail(errc::limit_exceeded, "a transaction of " + std::to_string(body.size()) + " bytes; the limit is " +
                                                  std::to_string(limits::transaction));
        }
        const tail next{me.sequence, oplog::chain_next(last.sequence == 0 ? oplog::chain_start(name_, store_.origins().id(writer)) : last.head, body), at};
        std::string value(as_bytes(next.head));
        value += body;
        storage::batch log;
        log.put(space::log, store_keys::log_key(number_, writer, me.sequence), std::move(value));
        // From here on it is committed, or it never was.
        if (auto written = store_.engine().write(log); !written) return written;

        for (const auto& removal : changes.removals) {
            if (auto covered = rows_.cover_prefix(removal.prefix, removal.covered); !covered) broken_ = covered.error();
        }
        access.take_rows([&](std::string_view path, crdt::row row) { rows_.put(path, std::move(row)); });
        tails_[writer] = next;
        have_.join(me);
        lag_bytes_ += body.size();
        store_.wrote();
        after_write();
    }
    store_.notify();
    if (wait_for == durability::disk) return store_.sync();
    return {};
}

result<oplog::applied> bucket_state::apply(const oplog::chunk& chunk, timestamp horizon) {
    oplog::applied outcome;
    timestamp latest;
    {
        const std::unique_lock lock(mutex_);
        if (auto usable = check_usable(); !usable) return fail(usable.error());
        if (auto room = make_room(); !room) return fail(room.error());

        // Everything is looked at before anything is written.
        struct place {
            origin writer;
            std::uint64_t sequence;  // of the next entry
            tail last;               // the last record here, with those of this chunk
        };
        std::vector<place> places;
        storage::batch log;
        bool is_own_past = false;
        for (const auto& range : chunk.ranges) {
            const auto met = meet(range.origin);
            if (!met) return fail(met.error());
            const auto writer = *met;
            auto last = tail_of(writer);
            if (last.sequence == 0) last.head = oplog::chain_start(name_, range.origin);
            if (range.first > last.sequence + 1) {
                return fail(errc::malformed, "records of replica " + to_string(range.origin) + " in bucket \"" + name_ +
                                                 "\" begin at " + std::to_string(range.first) + ", here they end at " +
                                                 std::to_string(last.sequence));
            }
            is_own_past = is_own_past || (writer == store_.self() && range.last > last.sequence);
            places.push_back({writer, range.first, last});
        }
        struct joinable {
            dot id;
            crdt::changes changes;
        };
        std::vector<joinable> joins;
        for (const auto& entry : chunk.entries) {
            auto& here = places[entry.range];
            const auto sequence = here.sequence++;
            if (sequence <= here.last.sequence) continue;
            const auto& id = chunk.ranges[entry.range].origin;
            const auto where = [&] {
                return "record " + std::to_string(sequence) + " of replica " + to_string(id) + " in bucket \"" + name_ + "\"";
            };
            const auto record = oplog::decode_record(entry.body);
            if (!record || entry.body.size() > limits::transaction) return fail(errc::malformed, where() + " cannot be decoded");
            if (record->at <= here.last.at) return fail(errc::malformed, where() + " is not later than the one before");
            if (record->at > horizon) {
                outcome.held = oplog::applied::held_record{{id, sequence}, record->at};
                break;
            }
            const auto mentioned = meet_all(record->mentioned);
            if (!mentioned) return fail(mentioned.error());
            auto changes = crdt::decode_changes(record->payload, here.writer, *mentioned);
            if (!changes || !crdt::is_own_work(*changes, {here.writer, sequence})) {
                return fail(errc::malformed, where() + " holds changes that cannot be its own");
            }
            for (const auto& r : changes->rows) {
                if (!store_keys::is_path(r.key)) return fail(errc::malformed, where() + " changes a row at an impossible path");
                auto row = rows_.load(r.key, crdt::kind_of(r.change.change));
                if (!row) return fail(row.error());
                if ((*row)->index() != r.change.change.index()) {
                    return fail(errc::malformed, where() + " changes a row of another kind");
                }
            }
            here.last = {sequence, oplog::chain_next(here.last.head, entry.body), record->at};
            std::string value(as_bytes(here.last.head));
            value += entry.body;
            log.put(space::log, store_keys::log_key(number_, here.writer, sequence), std::move(value));
            joins.push_back({{here.writer, sequence}, std::move(*changes)});
            latest = record->at;
        }
        for (std::size_t i = 0; i < places.size(); ++i) {
            const auto& range = chunk.ranges[i];
            if (places[i].last.sequence == range.last && places[i].last.head != range.head) {
                return fail(errc::diverged, "the records of replica " + to_string(range.origin) + " in bucket \"" + name_ +
                                                "\" up to " + std::to_string(range.last) +
                                                " are others than those here");
            }
        }
        if (joins.empty()) return outcome;

        const auto known_origins = store_.origins().size();
        store_.persist_origins(log);
        const auto next_self = is_own_past ? store_.next_incarnation(log) : store_.self();
        if (auto written = store_.engine().write(log); !written) return fail(written.error());
        store_.origins_persisted(known_origins);
        if (is_own_past) store_.take_incarnation(next_self);

        for (auto& [id, changes] : joins) {
            if (auto joined = join_rows(std::move(changes)); !joined) broken_ = joined.error();
            have_.join(id);
        }
        for (const auto& p : places) {
            if (p.last.sequence > 0) tails_[p.writer] = p.last;
        }
        outcome.transactions = joins.size();
        lag_bytes_ += log.bytes();
        store_.clock().observe(latest);
        store_.wrote();
        after_write();
    }
    store_.notify();
    return outcome;
}

result<void> bucket_state::join_rows(crdt::changes&& changes) {
    for (const auto& removal : changes.removals) {
        if (auto covered = rows_.cover_prefix(removal.prefix, removal.covered); !covered) return covered;
    }
    for (const auto& [path, change] : changes.rows) {
        auto row = rows_.load(path, crdt::kind_of(change.change));
        if (!row) return fail(row.error());
        crdt::join(**row, change, have_);
        rows_.touch(path);
    }
    return {};
}

void bucket_state::after_write() {
    // Bounds both memory and what a crash leaves to replay. A failure changes nothing: the rows keep
    // waiting, and the next transaction that finds them overdue says so.
    if (!rows_.is_full() && lag_bytes_ < 2 * store_.options().write_behind_bytes) return;
    if (flush_locked()) rows_.trim();
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

result<std::vector<origin>> bucket_state::meet_all(const std::vector<replica_id>& ids) {
    std::vector<origin> met;
    for (const auto& id : ids) {
        const auto one = meet(id);
        if (!one) return fail(one.error());
        met.push_back(*one);
    }
    return met;
}

std::string bucket_state::encode_watermark() const { return codec::encode(watermark{have_, store_.clock().last()}); }

result<void> bucket_state::flush_locked() const {
    if (broken_) return fail(*broken_);
    auto flushed = rows_.flush(watermark_key_, encode_watermark());
    if (flushed) lag_bytes_ = 0;
    return flushed;
}

result<void> bucket_state::flush() const {
    const std::shared_lock lock(mutex_);
    return flush_locked();
}

// --- reading -------------------------------------------------------------------------------------------

result<void> bucket_state::read(const std::function<void(const map_view&)>& fn) const {
    if (is_entered(this)) return fail(errc::nested_transaction, "bucket \"" + name_ + "\" is already in use by this thread");
    const std::shared_lock lock(mutex_);
    if (auto usable = check_usable(); !usable) return usable;
    latest_access access(rows_, store_.origins(), [this] { return flush_locked(); });
    const entry_guard guard(this);
    fn(map_view(access, {}));
    return {};
}

result<std::unique_ptr<snapshot_access>> bucket_state::take_snapshot() const {
    if (is_entered(this)) return fail(errc::nested_transaction, "bucket \"" + name_ + "\" is already in use by this thread");
    const std::shared_lock lock(mutex_);
    if (auto flushed = flush_locked(); !flushed) return fail(flushed.error());
    std::shared_ptr<const bucket_state> keep(store_.shared_from_this(), this);
    return std::make_unique<snapshot_access>(std::move(keep), store_.origins(), rows_, store_.engine().take_snapshot());
}

result<hash128> bucket_state::digest() const {
    auto at = take_snapshot();
    if (!at) return fail(at.error());
    hash128 sum{};
    auto scanned = (*at)->scan({}, {}, [&](std::string_view path, const crdt::row& row) {
        crdt::add_fingerprint(sum, crdt::fingerprint(path, row, store_.origins()));
        return scan_step{};
    });
    if (!scanned) return fail(scanned.error());
    return sum;
}

bucket_state::tail bucket_state::tail_of(origin writer) const {
    const auto it = tails_.find(writer);
    return it == tails_.end() ? tail{} : it->second;
}

frontier bucket_state::to_frontier(const tails& t) const {
    frontier f;
    for (const auto& [writer, last] : t) f.push_back({store_.origins().id(writer), last.sequence, last.head});
    std::ranges::sort(f, {}, &progress_entry::origin);
    return f;
}

frontier bucket_state::progress() const { return to_frontier(capture()); }

frontier bucket_state::durable_progress() const {
    const std::lock_guard lock(durable_mutex_);
    return to_frontier(durable_);
}

bucket_state::tails bucket_state::capture() const {
    const std::shared_lock lock(mutex_);
    return tails_;
}

void bucket_state::publish(tails durable) {
    const std::lock_guard lock(durable_mutex_);
    const bool is_same = std::ranges::equal(durable_, durable, {}, [](const auto& t) { return t.second.sequence; },
                                            [](const auto& t) { return t.second.sequence; });
    if (is_same) return;
    durable_ = std::move(durable);
    durable_revision_.fetch_add(1);
}

result<oplog::chunk> bucket_state::read_log(const positions& after, timestamp ceiling, std::size_t max_bytes) const {
    tails durable;
    {
        const std::lock_guard lock(durable_mutex_);
        durable = durable_;
    }
    std::vector<std::unique_ptr<oplog::record_stream>> streams;
    for (const auto& [writer, last] : durable) {
        const auto& id = store_.origins().id(writer);
        const auto it = after.find(id);
        const auto known = it == after.end() ? 0 : it->second;
        if (known >= last.sequence) continue;
        streams.push_back(std::make_unique<log_stream>(store_.engine(), number_, writer, id, known + 1, last.sequence));
    }
    oplog::merged_stream merged(std::move(streams));
    return oplog::collect(merged, ceiling, max_bytes);
}

result<void> bucket_state::compare(const frontier& peer) const {
    for (const auto& theirs : peer) {
        const auto writer = store_.origins().find(theirs.origin);
        if (!writer || theirs.sequence == 0) continue;
        tail ours;
        {
            const std::shared_lock lock(mutex_);
            ours = tail_of(*writer);
        }
        if (ours.sequence < theirs.sequence) continue;  // theirs to compare
        if (ours.sequence > theirs.sequence) {
            auto value = store_.engine().get(space::log, store_keys::log_key(number_, *writer, theirs.sequence));
            if (!value) return fail(value.error());
            if (!*value || (*value)->size() < head_size) return fail(errc::corrupt, "the log of bucket \"" + name_ + "\" has a gap");
            ours.head = head_of(**value);
        }
        if (ours.head != theirs.head) {
            return fail(errc::diverged, "two histories of replica " + to_string(theirs.origin) + " in bucket \"" + name_ +
                                            "\" differ at or before record " + std::to_string(theirs.sequence) +
                                            ": a restored backup, a cloned disk or a damaged one");
        }
    }
    return {};
}

}  // namespace anabranch::detail
